"""The trained detector as a signal: what it says, and when it says nothing."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.nets.forensic import ForensicConfig, ForensicNet
from likeness.store import load_bundle
from likeness.types import Clip, FaceTrack, Shot, Window
from likeness.verify import learned
from likeness.verify.learned import BUNDLE, Calibration, LearnedSignal, detector
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


class Mouth(torch.nn.Module):
    """Sees a change in the mouth, whatever it is shown."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        where = torch.full((len(x), 1, 16, 16), -9.0)
        where[..., 10:13, 6:10] = 3.0
        return where


@pytest.fixture
def saying(monkeypatch: pytest.MonkeyPatch):
    """Let the network answer one number, and see a change in the mouth alone."""

    def say(number: float) -> None:
        network = ForensicNet(ForensicConfig()).eval().requires_grad_(False)
        network.whole.weight.zero_()
        network.whole.bias.fill_(number)
        network.place = Mouth()
        monkeypatch.setattr(learned, "detector", lambda: (network, KNOWN))

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
    assert reading.picture.shape == (3, 160, 160)
    assert reading.picture[0, 110, 80] > reading.picture[1, 110, 80]
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
    assert watch(still(actor_shot, 1), frames[:1]).curves == ()


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
    network, known = detector()
    size = sum(file.stat().st_size for file in BUNDLE.rglob("*") if file.is_file())
    assert size < 6 * 2**20
    assert load_bundle(BUNDLE).people == ()
    assert 0 < known.calm <= known.alarm < 1
    assert list(known.real) == sorted(known.real)
    assert known.rarity(min(known.real) - 1) == 1
    assert known.scale > 0
    assert not network.training
