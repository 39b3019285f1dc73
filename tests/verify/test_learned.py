"""The trained detector as a signal: what it says, and when it says nothing."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from likeness.metrics.regions import FACE_OVAL
from likeness.store import load_bundle
from likeness.types import Clip, FaceTrack, Shot, Window
from likeness.verify import learned
from likeness.verify.detector import BUNDLE, Detector
from likeness.verify.faces import FACE_FIELD, FACE_SIDE, FIELD, LEAST, MOST, sight, whole_face
from likeness.verify.learned import Calibration, LearnedSignal, detector
from likeness.verify.signal import Scene, SignalReading

KNOWN = Calibration(1.0, 0.0, 0.9, 0.2, 20.0, tuple(np.linspace(-3, 3, 201)), 100)
COUNT = 6


def still(shot: Shot, count: int = COUNT, scale: float = 1.0) -> Scene:
    """The actor's first face, in each of `count` frames of 25 a second."""
    face = np.repeat(shot.track.landmarks[:1] * scale, count, 0).astype(np.float32)
    box = np.concatenate([face[..., :2].min(1), face[..., :2].max(1)], 1)
    track = FaceTrack(0, box, face, np.ones(count, np.float32), np.ones(count, bool))
    clip = Clip(Path("clip.mp4"), "", (128, 128), np.arange(count), Fraction(1, 25), 1)
    return Scene(clip, track)


def watch(scene: Scene, frames: torch.Tensor) -> SignalReading:
    signal = LearnedSignal(scene)
    for start in range(0, len(frames), 4):
        part = frames[start : start + 4]
        signal.look(Window(start, start + len(part)), part)
    return signal.read()


class Saying:
    """Answers one number, and sees a change in the mouth or nowhere."""

    def __init__(self, number: float, mouth: torch.Tensor) -> None:
        self.number, self.mouth = number, mouth

    def __call__(
        self, crop: torch.Tensor, oval: torch.Tensor, whole: torch.Tensor
    ) -> tuple[float, torch.Tensor]:
        assert crop.shape[1:] == (4 * oval.shape[0], 4 * oval.shape[1])
        assert whole.shape == (4, FACE_SIDE, FACE_SIDE)
        place = functional.interpolate(
            self.mouth[None, None], (crop.shape[1] // 8, crop.shape[2] // 8)
        )
        return self.number, torch.sigmoid(12 * place[0, 0] - 9)


@pytest.fixture
def saying(monkeypatch: pytest.MonkeyPatch, actor_shot: Shot):
    """Let the network answer one number, and see a change in the mouth alone."""
    points = actor_shot.track.landmarks[0]
    mouth = torch.from_numpy(sight(points, (128, 128)).mouth(points))

    def say(number: float) -> None:
        monkeypatch.setattr(learned, "detector", lambda: (Saying(number, mouth), KNOWN))

    return say


@pytest.fixture(scope="module")
def frames(actor_shot: Shot) -> torch.Tensor:
    return torch.rand(COUNT, 3, 128, 128, generator=torch.Generator().manual_seed(0))


def test_an_alarm_says_how_rare_it_is_and_where(saying, actor_shot: Shot, frames) -> None:
    saying(2.5)
    reading = watch(still(actor_shot), frames)
    assert reading.numbers["probability"] == pytest.approx(1 / (1 + np.exp(-2.5)))
    assert reading.numbers["rarity"] == pytest.approx(0.08, abs=0.01)
    assert "most in the mouth" in reading.finding
    assert reading.score == 0
    saying(4.0)
    reading = watch(still(actor_shot), frames)
    # Nothing rarer than one of the hundred pictures can be told: a weak sign at most.
    assert reading.numbers["rarity"] == 0.01
    assert 0.3 < reading.score < 0.4
    assert reading.picture.shape[0] == 3
    tint = reading.picture[0] - reading.picture[1]
    place = sight(actor_shot.track.landmarks[0], (128, 128))
    down, right = (actor_shot.track.landmarks[0, 13, [1, 0]] - [place.top, place.left]).astype(int)
    assert float(tint[down - 3 : down + 3, right - 3 : right + 3].mean()) > 0.1
    assert abs(float(tint[:16].mean())) < 0.05
    assert reading.curves[0].series["probability"].shape == (COUNT,)


def test_between_both_bounds_it_cannot_tell(saying, actor_shot: Shot, frames) -> None:
    saying(0.3)
    reading = watch(still(actor_shot), frames)
    assert reading.score is None
    assert "cannot tell" in reading.finding
    saying(-2.0)
    calm = watch(still(actor_shot), frames)
    assert calm.score == 0
    assert "no sign" in calm.finding


def test_small_faces_and_none_at_all_are_not_judged(saying, actor_shot: Shot, frames) -> None:
    saying(4.0)
    reading = watch(still(actor_shot, scale=0.3), frames)
    assert reading.score is None
    assert "too small" in reading.finding
    scene = Scene(still(actor_shot).clip, None)
    assert watch(scene, frames).score is None
    single = watch(still(actor_shot, 1), frames[:1])
    assert (single.score, single.curves) == (None, ())
    assert "so few pictures" in single.finding


def test_sights_lie_in_the_frame_at_its_own_density(actor_shot: Shot) -> None:
    points = actor_shot.track.landmarks[0]
    place = sight(points, (128, 128))
    ramp = np.broadcast_to(np.arange(128.0), (3, 128, 128))
    cut = place.of(ramp)
    assert cut.shape == (3, place.height, place.width)
    assert cut[0, 0].tolist() == list(range(place.left, place.left + place.width))
    assert place.height % 8 == place.width % 8 == 0
    oval = place.oval(points)
    assert oval.shape == (place.height // 4, place.width // 4)
    assert 0.15 < oval.mean() < 0.7
    assert 0 < place.mouth(points).mean() < 0.5 * oval.mean()


@given(st.floats(5, 2000), st.floats(-200, 900), st.floats(-200, 900), st.integers(0, 9))
def test_sights_hold_for_any_face(face: float, x: float, y: float, turn: int) -> None:
    points = np.zeros((478, 2), np.float32)
    points[0], points[1] = (x, y), (x + face, y + face / 2)
    place = sight(points, (480, 640), turn)
    assert place.top >= 0
    assert place.top + place.height <= 480
    assert place.left >= 0
    assert place.left + place.width <= 640
    assert min(place.height, place.width) >= LEAST
    assert max(place.height, place.width) <= MOST


def test_of_a_large_face_other_parts_are_seen_in_turn() -> None:
    points = np.zeros((478, 2), np.float32)
    points[0], points[1] = (500, 500), (1500, 1500)
    seen = {(one.top, one.left) for one in (sight(points, (2000, 2000), k) for k in range(5))}
    assert len(seen) == 5
    small = points * 0.1
    assert len({sight(small, (2000, 2000), k) for k in range(5)}) == 1
    assert FIELD > 1


def test_windows_make_no_difference(
    monkeypatch: pytest.MonkeyPatch, actor_shot: Shot, frames
) -> None:
    network, known = detector()
    monkeypatch.setattr(learned, "detector", lambda: (network, replace(known, least=10.0)))
    scene = still(actor_shot)
    whole, parts = LearnedSignal(scene), LearnedSignal(scene)
    whole.look(Window(0, COUNT), frames)
    for i in range(COUNT):
        parts.look(Window(i, i + 1), frames[i : i + 1])
    one, other = (signal.read().numbers["probability"] for signal in (whole, parts))
    assert one == pytest.approx(other, abs=1e-5)


def test_what_is_shipped_is_small_and_whole() -> None:
    networks, known = detector()
    size = sum(file.stat().st_size for file in BUNDLE.rglob("*") if file.is_file())
    assert size < 6 * 2**20
    assert load_bundle(BUNDLE).people == ()
    assert 0 < known.calm <= known.alarm < 1
    assert list(known.real) == sorted(known.real)
    assert known.rarity(min(known.real) - 1) == 1
    assert known.scale > 0
    assert min(networks.shares) > 0
    assert not networks.fine.training
    assert not networks.face.training


def test_a_mirrored_face_gets_the_same() -> None:
    networks, _ = detector()
    alone = Detector(networks.fine, networks.face, (0.0, 1.0))
    generator = torch.Generator().manual_seed(1)
    crop, oval = torch.rand(3, 64, 64, generator=generator), torch.ones(16, 16)
    whole = torch.rand(4, FACE_SIDE, FACE_SIDE, generator=generator)
    assert alone(crop, oval, whole)[0] == pytest.approx(
        alone(crop, oval, whole.flip(2))[0], rel=1e-3
    )
    fine = Detector(networks.fine, networks.face, (1.0, 0.0))
    assert fine(crop, oval, whole)[0] == pytest.approx(
        float(networks.fine(crop[None], oval[None, None])[0]), rel=1e-4
    )


@given(st.floats(60, 300), st.floats(-40, 240), st.floats(-40, 240))
@settings(max_examples=25, deadline=None)
def test_whole_faces_are_as_large_whatever_their_size(face: float, x: float, y: float) -> None:
    points = np.zeros((478, 2), np.float32)
    points[:] = (x, y)
    points[0], points[1] = (x - face / 2, y - face / 2), (x + face / 2, y + face / 2)
    points[FACE_OVAL] = np.float32([x, y]) + 0.3 * face * np.stack(
        [np.cos(np.arange(len(FACE_OVAL))), np.sin(np.arange(len(FACE_OVAL)))], -1
    )
    ramp = np.repeat(np.arange(200.0, dtype=np.float32)[None, :, None], 200, 0).repeat(3, 2) / 200
    shown = whole_face(ramp, points)
    assert shown.shape == (FACE_SIDE, FACE_SIDE, 4)
    assert shown[..., 3].mean() == pytest.approx(np.pi * (0.3 / FACE_FIELD) ** 2, rel=0.15)
    assert shown.min() >= 0
    assert shown.max() <= 1 + 1e-5
    if face * FACE_FIELD < 100 and 70 < x < 130:
        across = shown[60, -1, 0] - shown[60, 0, 0]
        assert across == pytest.approx(FACE_FIELD * face / 200, rel=0.1)
