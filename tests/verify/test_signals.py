"""Each signal stays quiet on what is usual and speaks on the forgery it is made for."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.errors import ContractError
from likeness.metrics.regions import FACE_OVAL, face_hull
from likeness.types import Clip, FaceTrack, Floats, Shot, Window
from likeness.verify import SIGNALS, Scene, SignalReading
from likeness.verify.background import BackgroundSignal
from likeness.verify.blink import BlinkSignal, find_blinks
from likeness.verify.head_pose import INNER, HeadPoseSignal
from likeness.verify.signal import ramp, surprise
from likeness.verify.signals import combine, strength
from likeness.verify.spectrum import SpectrumSignal, azimuthal_average, peaks_of

SIZE = (256, 320)
RATE = 25


def clip_of(count: int, size: tuple[int, int] = SIZE) -> Clip:
    """Facts of a clip at 25 frames a second."""
    pts = np.arange(count, dtype=np.int64)
    return Clip(Path("clip.mp4"), "", size, pts, Fraction(1, RATE), 1)


def track_of(landmarks: Floats) -> FaceTrack:
    """A face that is seen in every frame."""
    xy, count = landmarks[..., :2], len(landmarks)
    boxes = np.concatenate([xy.min(1), xy.max(1)], 1).astype(np.float32)
    return FaceTrack(0, boxes, landmarks, np.ones(count, np.float32), np.ones(count, bool))


def standing(shot: Shot, count: int, width: float = 110) -> FaceTrack:
    """The actor's first face, `width` pixels wide, in the middle of each of `count` frames."""
    points = shot.track.landmarks[0]
    low, high = points[FACE_OVAL, :2].min(0), points[FACE_OVAL, :2].max(0)
    scale = width / (high - low)[0]
    face = (points - [*(low + high) / 2, 0]) * scale + [SIZE[1] / 2, SIZE[0] / 2, 0]
    return track_of(np.repeat(face[None].astype(np.float32), count, 0))


def watch(signal: object, frames: torch.Tensor) -> SignalReading:
    """Feed frames in windows of 8."""
    for start in range(0, len(frames), 8):
        part = frames[start : start + 8]
        signal.look(Window(start, start + len(part)), part)  # type: ignore[attr-defined]
    return signal.read()  # type: ignore[attr-defined,no-any-return]


def noise(count: int, deviation: float = 3 / 255) -> torch.Tensor:
    """(n,3,H,W) a gradient with sensor noise, in 8 bit."""
    generator = torch.Generator().manual_seed(1)
    still = torch.linspace(0.2, 0.8, SIZE[0])[:, None].expand(SIZE)
    frames = still + deviation * torch.randn((count, 1, *SIZE), generator=generator)
    return ((frames * 255).round() / 255).clamp(0, 1).expand(-1, 3, -1, -1).contiguous()


def openness(seconds: float, blinks: list[tuple[float, float, float]]) -> Floats:
    """(N,2) eyes at 0.3 that close at (second, half width in seconds, depth)."""
    time = np.arange(round(seconds * RATE)) / RATE
    closed = np.zeros_like(time)
    for at, half, depth in blinks:
        closed = np.maximum(closed, depth * np.clip(1.5 - np.abs(time - at) / half, 0, 1))
    return np.repeat((0.3 * (1 - closed))[:, None], 2, 1).astype(np.float32)


def blinking(monkeypatch: pytest.MonkeyPatch, eyes: Floats, shot: Shot) -> SignalReading:
    """What the signal says of a face with these eyes."""
    monkeypatch.setattr("likeness.verify.blink.eye_openness", lambda landmarks: eyes)
    face = track_of(np.repeat(shot.track.landmarks[:1], len(eyes), 0))
    return BlinkSignal(Scene(clip_of(len(eyes)), face)).read()


def test_blinks_are_found_with_their_length_and_depth() -> None:
    found = find_blinks(openness(10, [(2.0, 0.1, 0.9), (5.0, 0.12, 0.6), (8.0, 0.1, 0.3)]), RATE)
    assert len(found.depth) == 2
    np.testing.assert_allclose(found.depth, [0.9, 0.6], atol=0.02)
    np.testing.assert_allclose(found.frames.mean(1) / RATE, [2.0, 5.0], atol=0.02)
    assert np.diff(found.frames, axis=1)[0, 0] / RATE == pytest.approx(0.24, abs=0.03)


@settings(max_examples=25)
@given(st.lists(st.integers(2, 57), max_size=12, unique=True))
def test_any_well_separated_blinks_are_counted(seconds: list[int]) -> None:
    eyes = openness(60, [(float(at), 0.1, 0.9) for at in seconds])
    assert len(find_blinks(eyes, RATE).depth) == len(seconds)


def test_usual_blinks_are_no_sign(monkeypatch: pytest.MonkeyPatch, actor_shot: Shot) -> None:
    often = [(2.0 + 3.5 * i, 0.1, 0.95 if i % 3 else 0.6) for i in range(16)]
    found = blinking(monkeypatch, openness(60, often), actor_shot)
    assert found.score == 0
    assert found.numbers["blinks"] == 16
    assert found.curves[0].over_time
    # Nobody can say anything of ten seconds without a blink.
    assert blinking(monkeypatch, openness(10, []), actor_shot).score == 0


def test_unusual_blinks_are_a_sign(monkeypatch: pytest.MonkeyPatch, actor_shot: Shot) -> None:
    staring = blinking(monkeypatch, openness(400, []), actor_shot)
    assert staring.score is not None
    assert staring.score > 0.9
    assert "rarely" in staring.finding
    half_way = [(2.0 + 3 * i, 0.1, 0.6) for i in range(18)]
    incomplete = blinking(monkeypatch, openness(60, half_way), actor_shot)
    assert incomplete.score == 1
    assert "incompletely" in incomplete.finding
    flutter = [(1 + 0.5 * i, 0.08, 0.9) for i in range(110)]
    assert "often" in blinking(monkeypatch, openness(58, flutter), actor_shot).finding


def test_one_head_has_one_pose(actor_shot: Shot) -> None:
    face = track_of(actor_shot.track.landmarks[::4])
    found = HeadPoseSignal(Scene(actor_shot.clip, face)).read()
    assert found.score == 0
    assert found.numbers["cosine_distance"] < 0.002


def test_a_face_with_another_pose_than_its_head_is_a_sign(actor_shot: Shot) -> None:
    landmarks = actor_shot.track.landmarks[::4].copy()
    # Turn the inner face by 12 degrees about the vertical axis through its middle.
    inner = landmarks[:, INNER]
    middle = inner.mean(1, keepdims=True)
    c, s = np.cos(np.radians(12)), np.sin(np.radians(12))
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)
    landmarks[:, INNER] = (inner - middle) @ turn.T + middle
    # The depth of the tracker's points is a guess of its own, and no help against this.
    landmarks[..., 2] = actor_shot.track.landmarks[::4, :, 2]
    found = HeadPoseSignal(Scene(actor_shot.clip, track_of(landmarks))).read()
    assert found.score is not None
    assert found.score > 0.2
    assert found.numbers["degrees"] > 5


def test_a_lone_peak_is_told_from_the_ridges_of_edges() -> None:
    level = np.random.default_rng(3).normal(0, 0.3, (32, 32)).astype(np.float32)
    level[16] += 12
    assert peaks_of(level).max() < 3
    level[16 + 8, 16 + 8] += 9
    rise = peaks_of(level)
    assert np.unravel_index(rise.argmax(), rise.shape) == (24, 24)
    assert rise.max() == pytest.approx(9, abs=1.5)


def test_the_azimuthal_average_of_a_flat_spectrum_is_flat() -> None:
    frequency, profile = azimuthal_average(np.full((32, 32), 2.0, np.float32))
    assert frequency[-1] == 0.5
    np.testing.assert_allclose(profile, 2.0, rtol=1e-6)


def test_repeated_pixels_in_the_face_are_a_sign(actor_shot: Shot) -> None:
    frames, face = noise(24), standing(actor_shot, 24)
    scene = Scene(clip_of(24), face)
    usual = watch(SpectrumSignal(scene), frames)
    assert usual.score == 0
    hull = torch.from_numpy(face_hull(face.landmarks[:1], SIZE))[:, None]
    small = torch.nn.functional.avg_pool2d(frames, 2)
    large = small.repeat_interleave(2, -1).repeat_interleave(2, -2)
    # A tenth of a gray level of checkerboard, as an upsampling network leaves it, in the face.
    board = 0.004 * (-1.0) ** torch.arange(SIZE[1])
    found = watch(SpectrumSignal(scene), torch.where(hull, large + board, frames))
    assert found.score is not None
    assert found.score > 0.9
    assert (found.numbers["cycles_across"], found.numbers["cycles_down"]) == (0.5, 0.0)
    # The same trace everywhere is the codec's or the camera's own.
    assert watch(SpectrumSignal(scene), frames + board).score == 0


def test_a_face_that_fills_too_few_places_has_no_spectrum(actor_shot: Shot) -> None:
    # The same tile in sixty frames is one place, however often it is seen.
    scene = Scene(clip_of(60), standing(actor_shot, 60, 62))
    found = watch(SpectrumSignal(scene), noise(60))
    assert found.score is None
    assert "in a frame" in found.finding


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 999), width=st.floats(80, 130))
def test_skin_that_stands_still_is_no_sign(actor_shot: Shot, seed: int, width: float) -> None:
    # One texture for all frames: its peaks of chance don't average out.
    texture = torch.randn(SIZE, generator=torch.Generator().manual_seed(seed))
    frames = (0.5 + 0.02 * texture).expand(40, 3, *SIZE).contiguous()
    for codec in ("h264", ""):
        clip = dataclasses.replace(clip_of(40), codec=codec)
        found = watch(SpectrumSignal(Scene(clip, standing(actor_shot, 40, width))), frames)
        assert found.score is None or found.score < 0.5


def test_a_coder_may_spend_more_around_the_head(actor_shot: Shot) -> None:
    frames, face = noise(30, 2 / 255), standing(actor_shot, 30, width=90)
    low, high = face.boxes[0, :2], face.boxes[0, 2:]
    reach = slice(max(0, int(low[1] - 60)), None), slice(int(low[0] - 42), int(high[0] + 42))
    middle = frames.mean(0, keepdim=True)
    livelier = frames.clone()
    # Twice the variance, one octave.
    livelier[:, :, reach[0], reach[1]] += 0.42 * (frames - middle)[:, :, reach[0], reach[1]]
    told = watch(BackgroundSignal(Scene(clip_of(30), face)), livelier)
    assert told.score is not None
    assert told.score > 0.1
    coded = dataclasses.replace(clip_of(30), codec="h264")
    assert watch(BackgroundSignal(Scene(coded, face)), livelier).score == 0


def test_a_frozen_surrounding_is_a_sign(actor_shot: Shot) -> None:
    frames, face = noise(30), standing(actor_shot, 30, width=90)
    scene = Scene(clip_of(30), face)
    usual = watch(BackgroundSignal(scene), frames)
    assert usual.score == 0
    assert abs(usual.numbers["octaves"] or 0) < 0.1
    low, high = face.boxes[0, :2], face.boxes[0, 2:]
    frozen = frames.clone()
    reach = slice(max(0, int(low[1] - 60)), None), slice(int(low[0] - 42), int(high[0] + 42))
    frozen[:, :, reach[0], reach[1]] = frames[:1, :, reach[0], reach[1]]
    found = watch(BackgroundSignal(scene), frozen)
    assert found.score == 1
    assert "less around the head" in found.finding
    assert found.picture is not None
    assert found.picture.shape == (3, *SIZE)


def test_a_moving_camera_is_no_sign(actor_shot: Shot) -> None:
    frames = torch.stack([noise(1)[0].roll(9 * i, -2) for i in range(20)])
    found = watch(BackgroundSignal(Scene(clip_of(20), standing(actor_shot, 20, 90))), frames)
    assert found.score is None
    assert "stands still" in found.finding


@pytest.mark.parametrize("make", SIGNALS)
def test_every_signal_says_why_it_does_not_apply(make: type) -> None:
    found = watch(make(Scene(clip_of(16), None)), noise(16))
    assert found.score is None
    assert found.finding == "Not applicable: no face was found."
    assert len(found.blind_spot) > 40
    assert found.curves == ()


def test_a_single_picture_has_no_course_in_time(actor_shot: Shot) -> None:
    scene = Scene(clip_of(1), standing(actor_shot, 1))
    for make in (BlinkSignal, BackgroundSignal, HeadPoseSignal):
        found = watch(make(scene), noise(1))
        assert found.score is None
        assert "picture" in found.finding or "8 are needed" in found.finding


def test_scores_are_combined_by_the_largest() -> None:
    reading = SignalReading("a", "A", 0.2, "f", "b")
    high, none = dataclasses.replace(reading, score=0.7), dataclasses.replace(reading, score=None)
    assert combine([reading, none, high]) == 0.7
    assert combine([none]) is None
    assert combine([]) is None
    assert [strength(x) for x in (0.0, 0.3, 1.0)] == ["no sign found", "weak sign", "clear sign"]
    with pytest.raises(ContractError, match="scores 1.5"):
        dataclasses.replace(reading, score=1.5)
    with pytest.raises(ContractError, match="blind spot"):
        dataclasses.replace(reading, blind_spot="")


@given(st.floats(0, 1), st.floats(0, 1))
def test_surprise_falls_as_chance_grows(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert 1 >= surprise(low) >= surprise(high) >= 0
    assert 0 <= ramp(a, 0.2, 0.8) <= 1
