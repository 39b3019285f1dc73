"""Decode, track, fit, condition, synthesize, composite, encode: analyze once, then stream."""

from __future__ import annotations

import os
import resource
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from likeness import config as settings
from likeness.composite import composite
from likeness.decode import Decoder, open_clip
from likeness.encode import EncodeConfig, Signed, encode
from likeness.errors import ConfigError, TrackError
from likeness.fit import FitConfig, fit
from likeness.methods.dub import Dub
from likeness.methods.protocol import Method
from likeness.methods.reenact import PortraitModel, Reenact
from likeness.performance import Performance
from likeness.provenance.manifest import Ingredient
from likeness.provenance.permission import Permission
from likeness.store import cache_shots, cached_shots, load_face_model, load_shot
from likeness.track import TrackConfig, track
from likeness.types import (
    Clip,
    FaceParams,
    Ints,
    Progress,
    Shot,
    Timeline,
    Window,
    silent,
)

_REVISION = 5
"""Raised when tracking or fitting changes what it answers, so that cached shots are made anew."""
_WINDOW = 4
"""Frames per step of the stream: enough to fill a network, little enough to hold."""


@dataclass(frozen=True)
class AnalyzeConfig:
    """Settings of tracking and fitting."""

    track: TrackConfig = field(default_factory=TrackConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    model: str = "likeness"
    """Name of the face model."""


@dataclass(frozen=True)
class RunReport:
    """What a command that writes video has to say."""

    output: str
    frames: int
    fallback_frames: tuple[int, ...]
    """Frames of the output whose face had to be guessed, because nobody was seen in the driver."""
    seconds: float
    peak_rss_mb: float
    manifest: str = "embedded"
    """Where the signed manifest is: embedded, or the name of the file that holds it."""
    clamped: dict[str, float] = field(default_factory=dict)
    """Share of frames in which a value was held back to what the target has shown."""
    clamped_share: tuple[float, ...] = ()
    """Per frame, the share of the driver's values that were held back."""
    overrun: int = 0
    """Frames after the end of the shorter performance, which went on back and forth or stood."""
    warnings: tuple[str, ...] = ()
    """What went beyond the target's clip, in words."""

    def json(self) -> dict[str, Any]:
        """Return JSON values."""
        return settings.to_json(self)  # type: ignore[no-any-return]


def analyze(
    source: Path | Clip,
    config: AnalyzeConfig | None = None,
    progress: Progress = silent,
    *,
    anew: bool = False,
) -> tuple[Shot, ...]:
    """Track and fit every person in a clip, or read what an earlier call found.

    Args:
        source: a clip, its path, or a NAME.shot folder.
        config: settings; a change of any of them analyzes anew.
        progress: called as ("track" | "fit", done, total).
        anew: look at the clip again, whatever was kept.

    Returns:
        One shot per person and scene, largest face first.

    Raises:
        MediaError: the clip cannot be read.
        TrackError: no face was found.
        FitError: the face model cannot be brought onto a track.
    """
    config = config or AnalyzeConfig()
    if isinstance(source, Path) and source.suffix == ".shot":
        return (load_shot(source),)
    clip = open_clip(source) if isinstance(source, Path) else source
    digest = settings.digest(config, _REVISION)
    found = None if anew else cached_shots(clip, digest)
    if found is not None:
        return found
    model = load_face_model(config.model)
    shots = tuple(
        Shot(clip, face, fit(clip, face, model, config.fit, progress))
        for face in track(clip, config.track, progress)
    )
    cache_shots(clip, digest, shots)
    return shots


def choose_shot(shots: Sequence[Shot], face: str) -> Shot:
    """Return the person that `--face` names.

    Args:
        shots: from `analyze`, largest face first.
        face: largest, or a number from 0 on.

    Raises:
        ConfigError: `face` is neither.
        TrackError: there are fewer people.
    """
    if face != "largest" and not face.isdecimal():
        raise ConfigError(f"face is {face!r}; expected largest, or a number from 0 on")
    number = 0 if face == "largest" else int(face)
    if number >= len(shots):
        raise TrackError(
            f"--face {number} was asked for, and {shots[0].clip.path.name} shows {len(shots)} "
            f"people or scenes; expected a number from 0 to {len(shots) - 1}, largest face first"
        )
    return shots[number]


def run(
    method: Method,
    frames: Iterator[tuple[Window, torch.Tensor]],
    output: Path,
    like: Clip,
    timeline: Timeline,
    encoding: EncodeConfig | None = None,
    progress: Progress = silent,
) -> Signed:
    """Stream pixels through a method and return where the signed manifest is.

    Args:
        method: what sits in the slots condition and synthesize.
        frames: the target's frames on the output's timeline.
        output: file to write.
        like: clip whose size and color the output has.
        timeline: when each frame is shown, and the sound under it.
        encoding: codec and quality.
        progress: called as ("synthesize", done, total).
    """
    manifest = method.manifest(output.name)
    with (
        threadpool_limits(1, "blas"),
        encode(output, like, manifest, timeline, encoding or EncodeConfig()) as video,
    ):
        for window, painted in _side_by_side(method, frames):
            video.append(painted)
            progress("synthesize", window.stop, len(timeline))
    return video.signed or Signed("embedded")


def _side_by_side(
    method: Method, frames: Iterator[tuple[Window, torch.Tensor]]
) -> Iterator[tuple[Window, torch.Tensor]]:
    """Paint windows on all cores, one core each, and yield them in order.

    One core a window, because cores that share a window wait for each other at every operation.
    """
    workers = min(8, os.cpu_count() or 1)

    def paint(window: Window, pixels: torch.Tensor) -> torch.Tensor:
        return composite(pixels, method.synthesize(method.condition(window, pixels)))

    waiting: deque[tuple[Window, Future[torch.Tensor]]] = deque()
    # This thread decodes, marks and encodes: helpers of its own would spin where painters work.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with ThreadPoolExecutor(workers, "paint", torch.set_num_threads, (1,)) as pool:
        try:
            for window, pixels in frames:
                waiting.append((window, pool.submit(paint, window, pixels)))
                if len(waiting) > workers:
                    first, painted = waiting.popleft()
                    yield first, painted.result()
            while waiting:
                first, painted = waiting.popleft()
                yield first, painted.result()
        finally:
            torch.set_num_threads(before)
            for _, painted in waiting:
                painted.cancel()


def target_frames(
    portrait: PortraitModel, timeline: Timeline, played: Ints | None = None
) -> Iterator[tuple[Window, torch.Tensor]]:
    """Yield what lies under and around the portrait, (n,3,H,W) per window.

    The target's own frames, by time stamp, where its clip is still there and long enough, else the
    plate: changing from one to the other in the middle would be a jump.

    Args:
        portrait: the target.
        timeline: of the output.
        played: (M,) frame of the target's clip under each frame of the output, where time stamps
            do not tell.
    """
    clip, count = portrait.shot.clip, len(timeline)
    windows = [Window(i, min(i + _WINDOW, count)) for i in range(0, count, _WINDOW)]
    times = (timeline.pts - timeline.pts[0]) * float(timeline.time_base)
    kept = (clip.pts - clip.pts[0]) * float(clip.time_base)
    lasting = float(clip.last_duration * clip.time_base)
    late = played is None and times[-1] >= kept[-1] + lasting
    if late or not clip.path.exists():
        yield from ((window, portrait.plate.expand(len(window), -1, -1, -1)) for window in windows)
        return
    # The frame that is on screen at that moment; half a millisecond forgives rounded time stamps.
    shown = np.searchsorted(kept, times + 5e-4, "right") - 1 if played is None else played
    with Decoder(clip) as decoder:
        for window in windows:
            wanted = shown[window.start : window.stop]
            if np.array_equal(wanted, np.arange(wanted[0], wanted[0] + len(wanted))):
                yield window, decoder.read(Window(int(wanted[0]), int(wanted[-1]) + 1))
            else:
                singles = [decoder.read(Window(int(i), int(i) + 1)) for i in wanted]
                yield window, torch.cat(singles)


def play(
    portrait: PortraitModel,
    params: FaceParams,
    timeline: Timeline,
    output: Path,
    permission: Permission,
    *,
    ingredients: Sequence[Ingredient] = (),
    stated: Any = None,
    own: Performance | None = None,
    mouth_alone: bool = False,
    encoding: EncodeConfig | None = None,
    progress: Progress = silent,
    played: Ints | None = None,
) -> Signed:
    """Write a video in which a portrait does what params say.

    Args:
        portrait: the target.
        params: one per frame of the timeline; their shape may differ from the portrait's, which
            changes its identity.
        timeline: of the output, with its sound.
        output: file to write.
        permission: who agreed.
        ingredients: what it is made from.
        stated: settings to state in the manifest, as JSON values.
        own: what the target does in the frames beneath, where these are its own clip; they lend
            their body then.
        mouth_alone: paint only the lower face of these frames and leave every other pixel as it
            was decoded.
        encoding: codec and quality.
        progress: called as ("synthesize", done, total).
        played: as in `target_frames`.
    """
    if not np.array_equal(params.shape, portrait.conditioner.mesh.shape):
        mesh = replace(portrait.conditioner.mesh, shape=params.shape)
        portrait = replace(portrait, conditioner=replace(portrait.conditioner, mesh=mesh))
    if not portrait.shot.clip.path.exists():
        own = None
    facts = (permission, tuple(ingredients), stated or {})
    method: Method
    if own is not None and mouth_alone:
        method = Dub(portrait, own.params, params, ~own.guessed, *facts, "reenact")
    else:
        # A face of another shape does not lie where the frame beneath shows it.
        lends = own is not None and np.array_equal(params.shape, own.params.shape)
        method = Reenact(portrait, params, *facts, own.params if own and lends else None)
    frames = target_frames(portrait, timeline, played)
    return run(method, frames, output, portrait.shot.clip, timeline, encoding, progress)


def peak_rss_mb() -> float:
    """Return the largest memory that this process has held, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts KiB, macOS bytes.
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
