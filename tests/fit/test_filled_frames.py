"""What a tracker filled in was seen by nobody: whatever it holds, no result of the fit changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from likeness.fit import FitConfig, fit
from likeness.fit.bridge import bridge_turns, bridge_values, bridged, positions_among
from likeness.fit.gaze import solve_gaze
from likeness.fit.landmarks import fit_landmarks
from likeness.geometry import axis_angle, rotation_matrix
from likeness.store import load_face_model
from likeness.types import FaceParams, FaceTrack, Floats, Shot
from tests.stage import film

HIDDEN = (6, 7, 8, 9, 15)
VALUES = ("shape", "albedo", "expression", "rotation", "translation", "light", "gaze")


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    return film(tmp_path_factory.mktemp("stage"), seed=4, motion=7, count=20)


def hidden(track: FaceTrack, garbage: Floats | None = None) -> FaceTrack:
    """The track with some frames unseen, which hold what is given."""
    observed = np.ones(len(track), bool)
    observed[list(HIDDEN)] = False
    landmarks, boxes = track.landmarks.copy(), track.boxes.copy()
    if garbage is not None:
        landmarks[~observed] = garbage
        boxes[~observed] = (3, 3, 90, 5)
    return replace(track, landmarks=landmarks, boxes=boxes, observed=observed)


def test_garbage_in_filled_frames_changes_nothing(shot: Shot) -> None:
    model = load_face_model()
    garbage = np.random.default_rng(1).uniform(0, 128, (len(HIDDEN), 478, 3)).astype(np.float32)
    plain, other = (
        fit(shot.clip, track, model, FitConfig(shared_rounds=3, frame_rounds=3))
        for track in (hidden(shot.track), hidden(shot.track, garbage))
    )
    for name in VALUES:
        np.testing.assert_array_equal(getattr(other, name), getattr(plain, name), name)
    assert other.focal == plain.focal


def test_landmarks_that_are_no_numbers_do_not_reach_the_solver(shot: Shot) -> None:
    model, config = load_face_model(), FitConfig(shared_rounds=2, frame_rounds=2)
    nothing = np.full((len(HIDDEN), 478, 3), np.nan, np.float32)
    found = fit_landmarks(hidden(shot.track, nothing), model, shot.clip.size, config)
    assert np.isfinite(found.rotation).all()
    assert np.isfinite(found.expression).all()
    gaze = solve_gaze(
        hidden(shot.track, nothing).landmarks,
        shot.params,
        model,
        shot.clip.size,
        hidden(shot.track).observed,
    )
    assert np.isfinite(gaze).all()


def test_an_unseen_face_goes_the_way_between_the_seen_ones(shot: Shot) -> None:
    observed = hidden(shot.track).observed
    found = bridged(shot.params, observed)
    for name in ("expression", "translation", "light", "gaze"):
        values, given_values = getattr(found, name), getattr(shot.params, name)
        np.testing.assert_array_equal(values[observed], given_values[observed])
        steps = np.diff(values[5:11], axis=0)
        np.testing.assert_allclose(steps, np.broadcast_to(steps[:1], steps.shape), atol=1e-3)
    turns = rotation_matrix(found.rotation[5:11])
    steps = axis_angle(turns[1:] @ np.swapaxes(turns[:-1], 1, 2))
    np.testing.assert_allclose(steps, np.broadcast_to(steps[:1], steps.shape), atol=1e-4)


def test_a_face_that_is_always_seen_is_left_alone(shot: Shot) -> None:
    assert bridged(shot.params, np.ones(len(shot.track), bool)) is shot.params
    everything, at = positions_among(np.zeros(4, bool))
    assert (everything.tolist(), at.tolist()) == ([0, 1, 2, 3], [0, 1, 2, 3])


@given(arrays.arrays(np.bool_, st.integers(1, 30)), st.integers(0, 99))
def test_bridges_start_and_end_at_what_was_seen(observed: np.ndarray, seed: int) -> None:
    random = np.random.default_rng(seed)
    seen, at = positions_among(observed)
    values = random.normal(0, 1, (len(seen), 3)).astype(np.float32)
    turns = rotation_matrix(random.normal(0, 2, (len(seen), 3)).astype(np.float32))
    spread, turned = bridge_values(values, at), bridge_turns(turns, at)
    np.testing.assert_array_equal(spread[seen], values)
    np.testing.assert_array_equal(turned[seen], turns)
    assert values.min() - 1e-5 <= spread.min()
    assert spread.max() <= values.max() + 1e-5
    identity = turned @ np.swapaxes(turned, 1, 2)
    np.testing.assert_allclose(identity, np.broadcast_to(np.eye(3), identity.shape), atol=1e-5)


def test_light_of_what_is_before_a_face_is_not_its_light(shot: Shot) -> None:
    """A frame that shows a hand instead of the face is as bright as the hand."""
    model, config = load_face_model(), FitConfig(shared_rounds=2, frame_rounds=2, align_rounds=0)
    found: FaceParams = fit(shot.clip, hidden(shot.track), model, config)
    level, seen = found.light[:, 0].mean(-1), hidden(shot.track).observed
    assert level[~seen].min() >= level[seen].min() - 1e-6
    assert level[~seen].max() <= level[seen].max() + 1e-6
