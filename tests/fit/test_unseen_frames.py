"""Frames in which nobody was seen are evidence of nothing: adding some changes no other frame."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.controls import control_names, controls_of
from likeness.fit.denoise import denoise
from likeness.fit.edit import apply_edits, parse_edit
from likeness.fit.seen_range import Seen, SeenRange
from likeness.fit.transfer import Mode, TransferConfig, rest_frame, transfer
from likeness.smoothing import smooth_seen, smooth_signal
from likeness.track.smooth import smooth_track
from likeness.types import Clip, FaceParams, FaceTrack, Shot
from likeness.verify import Scene
from likeness.verify.blink import BlinkSignal

NAMES = ("eyeBlinkLeft", "eyeBlinkRight", "jawOpen", "mouthSmileLeft", "detail_mouth_1z")
COUNT = 40
GAPS = st.lists(st.tuples(st.integers(0, COUNT), st.integers(1, 30)), max_size=4)
"""Where how many faceless frames are added."""


def performed(seed: int) -> FaceParams:
    random = np.random.default_rng(seed)
    expression = random.uniform(0, 0.3, (COUNT, len(NAMES))).astype(np.float32)
    expression[20:23, :2] = 0.9
    return FaceParams(
        "likeness",
        np.zeros(2, np.float32),
        np.zeros(2, np.float32),
        expression,
        NAMES,
        random.normal(0, 0.1, (COUNT, 3)).astype(np.float32),
        (np.array([0, 0, 500]) + random.normal(0, 5, (COUNT, 3))).astype(np.float32),
        random.uniform(0.5, 1, (COUNT, 9, 3)).astype(np.float32),
        random.normal(0, 0.1, (COUNT, 2, 2)).astype(np.float32),
        800.0,
    )


def places(gaps: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """(N,) the true frame that each frame repeats, and (N,) whether it is that frame."""
    source, observed = [], []
    for frame in range(COUNT + 1):
        for at, length in gaps:
            if at == frame:
                source += [min(frame, COUNT - 1)] * length
                observed += [False] * length
        if frame < COUNT:
            source.append(frame)
            observed.append(True)
    return np.array(source), np.array(observed)


def padded(params: FaceParams, gaps: list[tuple[int, int]]) -> tuple[FaceParams, np.ndarray]:
    """The performance with faceless frames in it, which hold whatever a tracker makes up."""
    source, observed = places(gaps)
    made_up = ~observed
    expression, rotation = params.expression[source], params.rotation[source]
    expression[made_up], rotation[made_up] = 1.0, 0.7
    translation, light = params.translation[source], params.light[source]
    translation[made_up], light[made_up] = (400, 400, 2000), 7.0
    gaze = params.gaze[source]
    gaze[made_up] = -0.6
    values = {"expression": expression, "rotation": rotation, "translation": translation}
    return replace(params, **values, light=light, gaze=gaze), observed


def assert_same(found: FaceParams, expected: FaceParams, rows: np.ndarray) -> None:
    for name in ("expression", "translation", "gaze", "light"):
        np.testing.assert_array_equal(getattr(found, name)[rows], getattr(expected, name), name)
    assert_same_turn(found, expected, rows)


def assert_same_turn(found: FaceParams, expected: FaceParams, rows: np.ndarray) -> None:
    # Products of another number of frames may be rounded otherwise.
    np.testing.assert_allclose(found.rotation[rows], expected.rotation, atol=1e-6)


@pytest.mark.parametrize("mode", ["full", "pose"])
@given(gaps=GAPS, seed=st.integers(0, 20), absolute=st.booleans())
def test_transfer_does_not_see_faceless_frames(
    mode: Mode, gaps: list[tuple[int, int]], seed: int, absolute: bool
) -> None:
    driver, target = performed(seed), performed(seed + 100)
    config = TransferConfig(mode=mode, absolute=absolute)
    beneath = target if mode == "pose" else None
    plain = transfer(driver, target, config, beneath)
    more, observed = padded(driver, gaps)
    own = padded(target, gaps)[0] if mode == "pose" else None
    found = transfer(more, target, config, own, seen=Seen(driver=observed))
    if mode == "full":
        assert_same(found.params, plain.params, observed)
    else:
        assert_same_turn(found.params, plain.params, observed)
    assert (found.clamped, found.warnings) == (plain.clamped, plain.warnings)
    clip, seen = padded(target, gaps)
    other = transfer(driver, clip, config, beneath, seen=Seen(target=seen))
    if mode == "full":
        assert_same(other.params, plain.params, np.ones(COUNT, bool))
    assert (other.clamped, other.warnings) == (plain.clamped, plain.warnings)


@given(gaps=GAPS, seed=st.integers(0, 20))
def test_rest_range_and_jitter_are_told_by_what_was_seen(
    gaps: list[tuple[int, int]], seed: int
) -> None:
    params = performed(seed)
    more, observed = padded(params, gaps)
    assert places(gaps)[0][rest_frame(more, observed)] == rest_frame(params)
    assert observed[rest_frame(more, observed)]
    wide, narrow = SeenRange.of(more, observed), SeenRange.of(params)
    np.testing.assert_array_equal([wide.low, wide.high], [narrow.low, narrow.high])
    assert_same(denoise(more, 1.0, observed), denoise(params, 1.0), observed)
    if not observed.all():
        assert SeenRange.of(more).high.max() > narrow.high.max()


@given(gaps=GAPS)
def test_warnings_of_edits_count_frames_that_show_a_face(gaps: list[tuple[int, int]]) -> None:
    params = performed(1)
    more, observed = padded(params, gaps)
    edits = [parse_edit("yaw=+9"), parse_edit("jawOpen=+0.25")]
    seconds = np.arange(len(more)) / 25
    plain = apply_edits(params, seconds[:COUNT], edits, params).warnings
    assert plain
    found = apply_edits(more, seconds, edits, more, seen=Seen(observed, observed))
    assert found.warnings == plain


def test_a_filled_gap_moves_with_its_neighbors_and_is_no_sign_of_calm() -> None:
    random = np.random.default_rng(3)
    noisy = np.sin(np.arange(60) / 9)[:, None] + random.normal(0, 0.02, (60, 1))
    observed = np.ones(60, bool)
    observed[20:45] = False
    held = noisy.astype(np.float32)
    held[20:45] = np.linspace(held[19], held[45], 27)[1:-1]
    smooth = smooth_seen(held, observed)
    seen = np.flatnonzero(observed)
    np.testing.assert_array_equal(smooth[seen], smooth_signal(held[seen]))
    # A straight line has no jitter: taken for a measurement, it would switch smoothing off.
    assert np.abs(smooth_signal(held) - held)[seen].mean() < np.abs(smooth - held)[seen].mean()
    steps = np.abs(np.diff(smooth[19:46], axis=0))
    assert steps.max() < np.abs(held[45] - held[19]) / 26 + 0.02
    np.testing.assert_array_equal(smooth_seen(held, None), smooth_signal(held))


def test_a_track_is_smoothed_by_what_was_seen() -> None:
    random = np.random.default_rng(0)
    points = random.uniform(0, 100, (1, 478, 3)) + random.normal(0, 0.1, (40, 478, 3))
    points = points.astype(np.float32)
    boxes = np.concatenate([points[..., :2].min(1), points[..., :2].max(1)], 1)
    source, observed = places([(10, 12), (30, 5)])
    plain = FaceTrack(0, boxes, points, np.ones(40, np.float32), np.ones(40, bool))
    more = FaceTrack(0, boxes[source], points[source], observed.astype(np.float32), observed)
    found = smooth_track(more).landmarks[observed]
    np.testing.assert_array_equal(found, smooth_track(plain).landmarks)


def test_blinks_are_counted_in_the_time_that_shows_the_face(
    actor_shot: Shot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(observed: np.ndarray) -> dict[str, float | int | None]:
        n = len(observed)
        face = np.repeat(actor_shot.track.landmarks[:1], n, 0)
        boxes = np.repeat(actor_shot.track.boxes[:1], n, 0)
        clip = Clip(Path("a.mp4"), "", (128, 128), np.arange(n), Fraction(1, 25), 1)
        track = FaceTrack(0, boxes, face, observed.astype(np.float32), observed)
        return dict(BlinkSignal(Scene(clip, track)).read().numbers)

    eyes = np.full((250, 2), 0.3, np.float32)
    for at in (40, 120, 200):
        eyes[at : at + 5] = [[0.15], [0.03], [0.02], [0.03], [0.15]]
    source = np.r_[0:80, [80] * 125, 80:250]
    observed = np.r_[np.ones(80, bool), np.zeros(125, bool), np.ones(170, bool)]
    calls = iter([eyes, eyes])
    monkeypatch.setattr("likeness.verify.blink.eye_openness", lambda landmarks: next(calls))
    assert len(source) == len(observed)
    plain = read(np.ones(250, bool))
    assert (plain["blinks"], plain["per_minute"]) == (3, pytest.approx(18))
    assert read(observed) == plain


def test_controls_have_a_name_each() -> None:
    params = performed(0)
    assert controls_of(params).shape == (COUNT, len(control_names(params)))
