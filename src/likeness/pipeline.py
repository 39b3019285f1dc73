"""Decode, track, fit, condition, synthesize, composite, encode: analyze once, then stream."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from likeness import config as settings
from likeness.composite import composite
from likeness.decode import open_clip
from likeness.decode.reordered import stream_reordered
from likeness.encode import Sink
from likeness.fit import FitConfig, fit
from likeness.machine import peak_rss_mb
from likeness.parallel import in_order
from likeness.plan.plan import Plan
from likeness.plan.report import RunReport
from likeness.provenance.manifest import COMPOSITE, SYNTHETIC, Manifest
from likeness.provenance.permission import Permission
from likeness.store import cache_shots, cached_shots, load_face_model, load_shot
from likeness.track import TrackConfig, track
from likeness.types import Clip, Method, Progress, Shot, Window, silent

_REVISION = 6
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


def paint(
    frames: torch.Tensor,
    methods: Sequence[Method[Any]],
    window: Window,
    canvas: torch.Tensor | None = None,
) -> torch.Tensor:
    """Condition, synthesize, composite, for each person that is changed.

    Args:
        frames: (N,3,H,W) RGB in [0,1]: the decoded frames of the window.
        methods: one per person; later ones lie over earlier ones.
        window: N frames of the output.
        canvas: (3,H',W') that lies under the layers in place of the frames.

    Returns:
        (N,3,H',W'); where no layer paints, what lay there, bit for bit.
    """
    painted = frames if canvas is None else canvas.expand(len(window), -1, -1, -1)
    for method in methods:
        painted = composite(painted, method.synthesize(method.condition(window, frames)))
    return painted


def render(
    plan: Plan,
    methods: Sequence[Method[Any]],
    permission: Permission,
    sink: Sink,
    progress: Progress = silent,
) -> RunReport:
    """Stream the pixels of a plan through its methods: the one maker of an output's manifest.

    Args:
        plan: what is shown when.
        methods: opened for this plan, one per person that is changed.
        permission: who agreed.
        sink: where the frames go.
        progress: called as ("synthesize", done, total).

    Raises:
        MediaError: the output cannot be written, or the clip beneath cannot be read any more.
    """
    began = time.monotonic()
    manifest = manifest_of(plan, permission, sink.title)
    with threadpool_limits(1, "blas"), sink.open(manifest, plan.like, plan.timeline) as output:
        for window, painted in in_order(partial(_painted, plan, methods), frames_of(plan)):
            output.append(painted)
            progress("synthesize", window.stop, len(plan))
    where = output.signed.where if output.signed else "embedded"
    report = RunReport.of(plan, sink.location, where, time.monotonic() - began, peak_rss_mb())
    return replace(report, warnings=(*report.warnings, *output.notes))


def manifest_of(plan: Plan, permission: Permission, title: str) -> Manifest:
    """State what a plan makes, from what, and on whose consent."""
    return Manifest(
        title=title,
        action=plan.action,
        ingredients=plan.ingredients,
        settings=plan.settings,
        people=permission.shown,
        digital_source_type=SYNTHETIC if plan.whole else COMPOSITE,
    )


def _painted(
    plan: Plan, methods: Sequence[Method[Any]], window: Window, frames: torch.Tensor
) -> torch.Tensor:
    painted = paint(frames, methods, window, plan.canvas)
    if plan.absent is None:
        return painted
    gone = torch.from_numpy(plan.absent[window.start : window.stop])
    return torch.where(gone[:, None, None, None], frames, painted) if gone.any() else painted


def frames_of(plan: Plan) -> Iterator[tuple[Window, torch.Tensor]]:
    """Yield the frames that a plan shows, (n,3,H,W) per window; its canvas where it shows none."""
    if plan.stream is not None and plan.shown is not None:
        yield from stream_reordered(plan.stream, plan.shown, _WINDOW)
        return
    canvas = torch.as_tensor(plan.canvas)
    for start in range(0, len(plan), _WINDOW):
        window = Window(start, min(start + _WINDOW, len(plan)))
        yield window, canvas.expand(len(window), -1, -1, -1)
