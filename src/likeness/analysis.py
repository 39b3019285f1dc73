"""A clip tracked and fitted by several workers, cut where shots begin: as one run would do it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from likeness.engine import Engine, Send, Work
from likeness.fit import FitConfig, fit
from likeness.store import load_face_model
from likeness.track import TrackConfig, track
from likeness.track.ranges import track_range
from likeness.types import Clip, FaceParams, FaceTrack, Progress, Shot, Window, silent

_PARTS = 4
"""Parts per worker: shots differ in length, and whoever is done takes the next."""
_LEAST = 50
"""Frames below which a part is not worth opening the models for."""


@dataclass(frozen=True)
class Analysis:
    """How a clip is looked at."""

    track: TrackConfig
    fit: FitConfig
    model: str
    """Name of the face model."""


def analyzed_by(
    engine: Engine, clip: Clip, how: Analysis, progress: Progress = silent
) -> tuple[Shot, ...]:
    """Track and fit every person in a clip with an engine's workers.

    Args:
        engine: whose workers look.
        clip: what they look at.
        how: settings.
        progress: called as ("track" | "fit", done, total).

    Returns:
        One shot per person and scene, largest face first.

    Raises:
        TrackError: no face was found.
        FitError: the face model cannot be brought onto a track.
        WorkerError: a worker was lost.
    """
    parts = _parts(len(clip), engine.workers)
    tasks = [_Tracking(clip, part, how.track) for part in parts]
    found = list(_all(engine, track_part, tasks, progress, ("track", len(clip))))
    if any(answer.turned for answer in found) or not any(answer.tracks for answer in found):
        # How the picture stands is known from one shot to the next: in one piece, then. That also
        # says why nobody was found.
        faces: Sequence[FaceTrack] = track(clip, how.track, progress)
    else:
        sized = [pair for answer in found for pair in zip(answer.sizes, answer.tracks, strict=True)]
        faces = [face for _, face in sorted(sized, key=lambda pair: (-pair[0], pair[1].start))]
    params = fitted_by(engine, clip, faces, how, progress)
    return tuple(Shot(clip, face, fitted) for face, fitted in zip(faces, params, strict=True))


def fitted_by(
    engine: Engine, clip: Clip, faces: Sequence[FaceTrack], how: Analysis, progress: Progress
) -> tuple[FaceParams, ...]:
    """Bring the face model onto tracks of a clip, each by one worker.

    Raises:
        FitError: as `fit`.
    """
    tasks = [_Fitting(clip, face, how) for face in faces]
    frames = sum(len(face) for face in faces)
    return tuple(_all(engine, fit_part, tasks, progress, ("fit", frames)))


@dataclass(frozen=True)
class _Tracking:
    clip: Clip
    part: Window
    config: TrackConfig


@dataclass(frozen=True)
class _Fitting:
    clip: Clip
    face: FaceTrack
    how: Analysis


def track_part(task: _Tracking, send: Send) -> None:
    """Track a part of a clip in a worker; tells numbers as it goes, and `Tracked` at the end."""
    send(
        track_range(task.clip, task.part, task.config, lambda stage, done, total: send(float(done)))
    )


def fit_part(task: _Fitting, send: Send) -> None:
    """Fit a track in a worker; tells `FaceParams`."""
    model = load_face_model(task.how.model)
    send(fit(task.clip, task.face, model, task.how.fit))
    send(float(len(task.face)))


def _all(
    engine: Engine, work: Work, tasks: Sequence[Any], progress: Progress, stage: tuple[str, int]
) -> Iterator[Any]:
    """Do tasks side by side and yield their answers in order."""
    done = [0.0] * len(tasks)

    def one(place: int) -> Any:
        answer = None
        for told in engine.run(work, tasks[place]):
            if isinstance(told, float):
                done[place] = told
                progress(stage[0], min(int(sum(done)), stage[1]), stage[1])
            else:
                answer = told
        return answer

    with ThreadPoolExecutor(engine.workers, stage[0]) as pool:
        runs = [pool.submit(one, place) for place in range(len(tasks))]
        try:
            for run in runs:
                yield run.result()
        except BaseException:
            for run in runs:
                run.cancel()
            with suppress(Exception):
                engine.close()
            raise


def _parts(frames: int, workers: int) -> list[Window]:
    count = max(1, min(_PARTS * workers, frames // _LEAST))
    edges = [frames * n // count for n in range(count + 1)]
    return [Window(a, b) for a, b in pairwise(edges)]
