"""Decode, track, fit, condition, synthesize, composite, encode: analyze once, then stream."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from likeness import config as settings
from likeness.composite import composite
from likeness.condition.guide import select
from likeness.decode import Decoder, open_clip
from likeness.encode import EncodeConfig, Signed, encode
from likeness.fit import FitConfig, fit
from likeness.fit.transfer import Transfer, TransferConfig, transfer
from likeness.methods.protocol import Method
from likeness.methods.reenact import CPU, PortraitBundle, Reenact, open_portrait
from likeness.provenance.consent import Consent
from likeness.provenance.manifest import Ingredient, sha256_of
from likeness.provenance.permission import permit_synthesis
from likeness.store import cache_shots, cached_shots, load_bundle, load_face_model, load_shot
from likeness.track import TrackConfig, track
from likeness.types import (
    Clip,
    FaceParams,
    Progress,
    Shot,
    Timeline,
    Window,
    check,
    silent,
)

_REVISION = 3
"""Raised when tracking or fitting changes what it answers, so that cached shots are made anew."""
_WINDOW = 8
"""Frames per step of the stream: enough to fill a network, little enough to hold."""


@dataclass(frozen=True)
class AnalyseConfig:
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

    def json(self) -> dict[str, Any]:
        """Return JSON values."""
        return settings.to_json(self)  # type: ignore[no-any-return]


def analyse(
    source: Path | Clip, config: AnalyseConfig | None = None, progress: Progress = silent
) -> tuple[Shot, ...]:
    """Track and fit every person in a clip, or read what an earlier call found.

    Args:
        source: a clip, its path, or a NAME.shot folder.
        config: settings; a change of any of them analyzes anew.
        progress: called as ("track" | "fit", done, total).

    Returns:
        One shot per person and scene, largest face first.

    Raises:
        MediaError: the clip cannot be read.
        TrackError: no face was found.
        FitError: the face model cannot be brought onto a track.
    """
    config = config or AnalyseConfig()
    if isinstance(source, Path) and source.suffix == ".shot":
        return (load_shot(source),)
    clip = open_clip(source) if isinstance(source, Path) else source
    digest = settings.digest(config, _REVISION)
    found = cached_shots(clip, digest)
    if found is not None:
        return found
    model = load_face_model(config.model)
    shots = tuple(
        Shot(clip, face, fit(clip, face, model, config.fit, progress))
        for face in track(clip, config.track, progress)
    )
    cache_shots(clip, digest, shots)
    return shots


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
    with encode(output, like, manifest, timeline, encoding or EncodeConfig()) as video:
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
            for _, painted in waiting:
                painted.cancel()


def target_frames(portrait: PortraitBundle, count: int) -> Iterator[tuple[Window, torch.Tensor]]:
    """Yield what lies under and around the portrait, (n,3,H,W) per window.

    The target's own frames where its clip is still there and long enough, else the plate: changing
    from one to the other in the middle would be a jump.

    Args:
        portrait: the target.
        count: frames of the output.
    """
    clip = portrait.shot.clip
    windows = [Window(i, min(i + _WINDOW, count)) for i in range(0, count, _WINDOW)]
    if len(clip) < count or not clip.path.exists():
        yield from ((window, portrait.plate.expand(len(window), -1, -1, -1)) for window in windows)
        return
    with Decoder(clip) as decoder:
        yield from ((window, decoder.read(window)) for window in windows)


@dataclass(frozen=True)
class ReenactConfig:
    """Settings of `likeness reenact`."""

    transfer: TransferConfig = field(default_factory=TransferConfig)
    analyse: AnalyseConfig = field(default_factory=AnalyseConfig)
    encode: EncodeConfig = field(default_factory=EncodeConfig)


def reenact(
    bundle: Path,
    driver: Path | None,
    output: Path,
    config: ReenactConfig | None = None,
    progress: Progress = silent,
    *,
    consents: Sequence[Consent] = (),
    device: torch.device = CPU,
) -> RunReport:
    """Let a portrait do what a driver does.

    Args:
        bundle: NAME.bundle of `likeness train reenact`.
        driver: clip or NAME.shot that gives the motion; None plays the target's own performance.
        output: video to write, on the driver's timeline and with its sound.
        config: settings.
        progress: called as (stage, done, total).
        consents: records besides those in the bundle: a newer one of the target, the driver's.
        device: where the generator runs.

    Raises:
        ConsentError: the target's consent is missing, over or revoked, or does not cover this.
        BundleError, MediaError, TrackError, FitError: an input is not usable.
    """
    config = config or ReenactConfig()
    began = time.monotonic()
    portrait = open_portrait(load_bundle(bundle), device)
    # Before the driver is analyzed, which takes time; its own clip is looked at below.
    permission = permit_synthesis(portrait.people, "reenact", consents)
    if driver is None:
        shot, moved = portrait.shot, Transfer(portrait.shot.params, {})
    else:
        shot = analyse(driver, config.analyse, progress)[0]
        permission = permit_synthesis(portrait.people, "reenact", consents, shot.clip)
        moved = transfer(shot.params, portrait.target, config.transfer)
    target, clip = portrait.shot.clip, shot.clip
    ingredients = (
        Ingredient("bundle", bundle.name, sha256_of(bundle / "bundle.json")),
        Ingredient("target", target.path.name, target.digest),
        Ingredient("driver", clip.path.name, clip.digest),
    )
    params = _over_clip(moved.params, shot)
    method = Reenact(portrait, params, permission, ingredients, settings.to_json(config))
    frames, timeline = target_frames(portrait, len(clip)), Timeline.of(clip, clip)
    signed = run(method, frames, output, target, timeline, config.encode, progress)
    return RunReport(
        str(output),
        len(clip),
        _unseen(shot),
        time.monotonic() - began,
        peak_rss_mb(),
        signed.where,
        moved.clamped,
    )


def _unseen(shot: Shot) -> tuple[int, ...]:
    """Frames of a shot's clip in which its face was not seen."""
    unseen = np.ones(len(shot.clip), bool)
    unseen[shot.track.start : shot.track.start + len(shot.track)] = ~shot.track.observed
    return tuple(int(i) for i in np.flatnonzero(unseen))


def _over_clip(params: FaceParams, shot: Shot) -> FaceParams:
    """Stretch a shot's params over its whole clip: before and after it, the face holds still."""
    check(len(params) == len(shot.track), "params and track differ in length")
    frames = np.arange(len(shot.clip)) - shot.track.start
    return select(params, frames.clip(0, len(params) - 1))


def peak_rss_mb() -> float:
    """Return the largest memory that this process has held, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts KiB, macOS bytes.
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
