"""Squares of faces: kept from a pass over the clip, they are those that are cut again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from likeness.decode import Decoder
from likeness.fit import FitConfig, looks
from likeness.fit.alignment import align
from likeness.fit.looks import SIDE, Looks
from likeness.store import load_face_model
from likeness.types import Shot, Window, silent
from tests.stage import film


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    folder: Path = tmp_path_factory.mktemp("stage")
    return film(folder, seed=4, motion=7, count=12)


def kept(shot: Shot) -> Looks:
    """Keep the squares of a whole shot, as the pass that reads the surface does."""
    found = Looks(load_face_model(), shot.clip.size, shot.params)
    with Decoder(shot.clip) as decoder:
        for begin in (0, 5):
            some = slice(begin, 5 if begin == 0 else len(shot.track))
            start = shot.track.start
            pixels = decoder.read(Window(start + some.start, start + some.stop))
            found.keep(pixels.numpy(), some)
    return found


def test_kept_squares_are_those_that_are_cut_again(shot: Shot) -> None:
    cut = Looks(load_face_model(), shot.clip.size, shot.params)
    index = np.array([0, 3, 11])
    assert cut.known(index) is None
    one, other = (
        kept(shot).read(shot.clip, shot.track, index),
        cut.read(shot.clip, shot.track, index),
    )
    assert one.luma.shape == (3, SIDE, SIDE)
    assert one.luma.std() > 10
    for name in ("luma", "corner", "scale"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_a_fit_is_the_same_whether_squares_were_kept(
    shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, random = load_face_model(), np.random.default_rng(1)
    wrong = shot.params.rotation + random.normal(0, 0.01, (12, 3)).astype(np.float32)
    params = replace(shot.params, rotation=wrong)
    given = (shot.clip, shot.track, params, model, FitConfig(), silent)
    fast = align(*given, kept(shot))
    monkeypatch.setattr(looks, "_KEPT", 0)
    slow = align(*given, kept(shot))
    for name in ("rotation", "translation", "expression"):
        np.testing.assert_array_equal(getattr(fast, name), getattr(slow, name))
    assert np.abs(fast.rotation - wrong).max() > 1e-4
