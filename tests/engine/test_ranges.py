"""A clip cut in ranges and shared out gives what one run gives, to the bit."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from likeness import analysis
from likeness.actor import Motion, RenderConfig
from likeness.actor_clip import write_actor_clip
from likeness.decode import Decoder, open_clip
from likeness.engine import Work, WorkerError
from likeness.engine.local import LocalEngine
from likeness.errors import TrackError
from likeness.fit import FitConfig
from likeness.painting import Opening, painted_by, painted_here
from likeness.pipeline import analyze
from likeness.plan.plan import Plan, repetition
from likeness.track import TrackConfig
from likeness.track.ranges import track_range
from likeness.types import Crop, FaceTrack, Layer, Shot, Window
from tests.stage import actor


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory, make_clip: Any) -> Path:
    """Three scenes of two actors: 12, 10 and 9 frames of 128x128, with hard cuts."""
    folder = tmp_path_factory.mktemp("scenes")
    pictures = []
    for seed, count in ((3, 12), (5, 10), (3, 9)):
        path = folder / f"{seed}_{count}.mp4"
        motion = Motion.from_seed(count, count / 25, style="expressive")
        clip = write_actor_clip(actor(seed), motion, path, RenderConfig(size=(128, 128)))
        with Decoder(clip) as decoder:
            frames = decoder.read(Window(0, len(clip)))
        # Another light, so that the picture as a whole changes where the scene does.
        frames = frames if seed == 3 else (1 - (1 - frames) * 0.4)
        pictures.append((frames.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy())
    return Path(make_clip(folder / "scenes.mp4", np.concatenate(pictures)))


def same(one: FaceTrack, other: FaceTrack) -> bool:
    return one.start == other.start and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("boxes", "landmarks", "scores", "observed", "cut_after")
    )


@pytest.mark.parametrize("edges", [(0, 4, 15, 31), (0, 12, 13, 22, 23, 31)])
def test_parts_of_a_clip_are_tracked_as_in_the_whole(scenes: Path, edges: tuple[int, ...]) -> None:
    clip, whole = open_clip(scenes), [shot.track for shot in analyze(scenes)]
    assert {face.start for face in whole} == {0, 12, 22}
    parts = [track_range(clip, Window(a, b), TrackConfig()) for a, b in pairwise(edges)]
    found = [face for part in parts for face in part.tracks]
    assert len(found) == len(whole)
    for face in whole:
        assert any(same(face, other) for other in found)


class InPlace:
    """An engine that works here, one thing after another; it can lose a worker."""

    workers = 3

    def __init__(self, losses: int = 0) -> None:
        self.losses = losses
        self.turn = threading.Lock()

    def run(self, work: Work, task: Any) -> Iterator[Any]:
        told: list[Any] = []
        # Side by side in one process, fits would change each other's number of threads.
        with self.turn:
            work(task, told.append)
        if self.losses and told:
            self.losses -= 1
            yield told[0]
            raise WorkerError("gone")
        yield from told

    def close(self) -> None:
        """Nothing is open."""


def test_shots_are_the_same_and_in_the_same_order(
    scenes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analysis, "_LEAST", 5)
    how = analysis.Analysis(TrackConfig(), FitConfig(), "likeness")
    told: list[tuple[str, int, int]] = []
    shared = analysis.analyzed_by(
        InPlace(), open_clip(scenes), how, lambda *seen: told.append(seen)
    )
    alone = analyze(scenes)
    assert [shot.track.start for shot in shared] == [shot.track.start for shot in alone]
    for one, other in zip(shared, alone, strict=True):
        assert same(one.track, other.track)
        for name in ("shape", "albedo", "expression", "rotation", "translation", "light", "gaze"):
            assert np.array_equal(getattr(one.params, name), getattr(other.params, name)), name
    assert max(done for stage, done, _ in told if stage == "track") == 31


def test_a_clip_without_a_face_says_so_as_ever(plain_clip: Path) -> None:
    how = analysis.Analysis(TrackConfig(), FitConfig(), "likeness")
    with pytest.raises(TrackError, match="no face was found"):
        analysis.analyzed_by(InPlace(), open_clip(plain_clip), how)


class Tinted:
    """A method that lays a color which depends on the frame over a part of it."""

    def condition(self, window: Window, frames: torch.Tensor) -> tuple[Window, torch.Tensor]:
        return window, frames

    def synthesize(self, told: tuple[Window, torch.Tensor]) -> Layer:
        window, frames = told
        here = np.repeat(np.array([[[1, 0, -8], [0, 1, -8]]], np.float32), len(window), 0)
        rgb = frames[:, :, 8:40, 8:40] * 0.5 + torch.tensor(list(window)).view(-1, 1, 1, 1) / 200
        return Layer(Crop((32, 32), here), rgb, torch.full((len(window), 1, 32, 32), 0.5))


def opened(plan: Plan) -> Tinted:
    return Tinted()


@pytest.fixture(scope="module")
def plan(actor_shot: Shot) -> Plan:
    return repetition(actor_shot)


def gathered(painted: Iterator[tuple[Window, torch.Tensor]]) -> torch.Tensor:
    frames, expected = [], 0
    for window, pixels in painted:
        assert window.start == expected
        expected = window.stop
        frames.append(pixels.clone())
    return torch.cat(frames)


@pytest.mark.parametrize("losses", [0, 2])
def test_shares_are_painted_and_joined_to_the_bit(plan: Plan, losses: int) -> None:
    openings: list[Opening] = [partial(opened, plan)]
    alone = gathered(painted_here(plan, [Tinted()]))
    shared = gathered(painted_by(InPlace(losses), plan, openings))
    assert torch.equal(alone, shared)
    assert len(alone) == len(plan)


def test_processes_paint_the_same(plan: Plan) -> None:
    engine = LocalEngine(2)
    try:
        shared = gathered(painted_by(engine, plan, [partial(opened, plan)]))
    finally:
        engine.close()
    assert torch.equal(shared, gathered(painted_here(plan, [Tinted()])))


def breaking(plan: Plan) -> Tinted:
    raise TrackError("cannot be opened here")


def test_what_fails_elsewhere_is_raised_here(plan: Plan) -> None:
    with pytest.raises(TrackError, match="cannot be opened"):
        gathered(painted_by(InPlace(), plan, [partial(breaking, plan)]))
