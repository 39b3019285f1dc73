"""Frames laid onto each other by optical flow, on an actor whose params are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from likeness.fit import FitConfig, reproject
from likeness.fit.alignment import align
from likeness.store import load_face_model
from likeness.types import FaceParams, Floats, Shot, silent
from tests.stage import film


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    return film(tmp_path_factory.mktemp("stage"), seed=4, motion=7, count=40)


def disturbed(params: FaceParams) -> FaceParams:
    """Err in every frame in another way, as landmarks do."""
    random = np.random.default_rng(1)
    count = len(params)
    wrong = random.normal(0, 0.05, params.expression.shape).astype(np.float32)
    return replace(
        params,
        rotation=params.rotation + random.normal(0, 0.015, (count, 3)).astype(np.float32),
        translation=params.translation
        + (random.normal(0, 1, (count, 3)) * (1.5, 1.5, 6)).astype(np.float32),
        expression=(params.expression + wrong).clip(0, 1).astype(np.float32),
    )


def apart(params: FaceParams, shot: Shot) -> float:
    """RMS distance to the true mesh in pixels, about its mean over time."""
    model = load_face_model(params.model)
    places: list[Floats] = [
        reproject(one, model, shot.clip.size)[:, :468, :2] for one in (params, shot.params)
    ]
    error = places[0] - places[1]
    error = error - error.mean(0)
    return float(np.sqrt(np.square(error).sum(-1).mean()))


def test_frames_that_err_each_in_its_way_are_brought_together(shot: Shot) -> None:
    model = load_face_model()
    wrong = disturbed(shot.params)
    right = align(shot.clip, shot.track, wrong, model, FitConfig(), silent)
    assert apart(wrong, shot) > 1.0
    assert apart(right, shot) < 0.6 * apart(wrong, shot)
    assert right.expression[:, :52].min() >= 0


def test_no_rounds_and_few_frames_change_nothing(shot: Shot) -> None:
    model = load_face_model()
    off = align(shot.clip, shot.track, shot.params, model, FitConfig(align_rounds=0), silent)
    assert off is shot.params
    hidden = np.zeros(len(shot.track), bool)
    hidden[:3] = True
    alone = replace(shot.track, observed=hidden)
    assert align(shot.clip, alone, shot.params, model, FitConfig(), silent) is shot.params


def test_windows_change_nothing(shot: Shot) -> None:
    model = load_face_model()
    wrong = disturbed(shot.params)
    a, b = (
        align(shot.clip, shot.track, wrong, model, FitConfig(window=size), silent)
        for size in (7, 40)
    )
    assert np.abs(a.expression - b.expression).max() < 2e-3
    assert np.abs(a.rotation - b.rotation).max() < 1e-4
