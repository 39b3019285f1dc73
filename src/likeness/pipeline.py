"""Decode, track, fit, condition, synthesize, composite, encode: analyze once, then stream."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

from threadpoolctl import threadpool_limits

from likeness import config as settings
from likeness.analysis import Analysis, analyzed_by
from likeness.decode import open_clip
from likeness.decode.camera import Clock
from likeness.encode import Sink
from likeness.encode.live import LiveSink
from likeness.engine import Engine
from likeness.fit import FitConfig, fit
from likeness.live import LiveReport, Looker, Tell, run_live
from likeness.machine import peak_rss_mb
from likeness.painting import Opening, Painted, painted_by, painted_here
from likeness.plan.live import LiveMethod, LivePlan
from likeness.plan.plan import Plan
from likeness.plan.report import RunReport
from likeness.provenance.manifest import COMPOSITE, SYNTHETIC, Manifest
from likeness.provenance.permission import Permission
from likeness.store import cache_shots, cached_shots, load_face_model, load_shot
from likeness.track import TrackConfig, track
from likeness.types import Clip, Method, Progress, Shot, check, silent

_REVISION = 9
"""Raised when tracking or fitting changes what it answers, so that cached shots are made anew."""


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
    engine: Engine | None = None,
) -> tuple[Shot, ...]:
    """Track and fit every person in a clip, or read what an earlier call found.

    Args:
        source: a clip, its path, or a NAME.shot folder.
        config: settings; a change of any of them analyzes anew.
        progress: called as ("track" | "fit", done, total).
        anew: look at the clip again, whatever was kept.
        engine: whose workers share the clip, cut where shots begin; the answer is the same.

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
    if engine is not None:
        how = Analysis(config.track, config.fit, config.model)
        shots = analyzed_by(engine, clip, how, progress)
    else:
        model = load_face_model(config.model)
        shots = tuple(
            Shot(clip, face, fit(clip, face, model, config.fit, progress))
            for face in track(clip, config.track, progress)
        )
    cache_shots(clip, digest, shots)
    return shots


def render(
    plan: Plan,
    methods: Sequence[Method[Any] | Opening],
    permission: Permission,
    sink: Sink,
    progress: Progress = silent,
    *,
    engine: Engine | None = None,
) -> RunReport:
    """Stream the pixels of a plan through its methods: the one maker of an output's manifest.

    Args:
        plan: what is shown when.
        methods: opened for this plan, or what opens them, one per person that is changed.
        permission: who agreed.
        sink: where the frames go.
        progress: called as ("synthesize", done, total).
        engine: whose workers paint instead of this process; they open the methods themselves.

    Raises:
        MediaError: the output cannot be written, or the clip beneath cannot be read any more.
    """
    began = time.monotonic()
    manifest = manifest_of(plan, permission, sink.title)
    with threadpool_limits(1, "blas"), sink.open(manifest, plan.like, plan.timeline) as output:
        for window, painted in _painted(plan, methods, engine):
            output.append(painted)
            progress("synthesize", window.stop, len(plan))
    where = output.signed.where if output.signed else "embedded"
    report = RunReport.of(plan, sink.location, where, time.monotonic() - began, peak_rss_mb())
    return replace(report, warnings=(*report.warnings, *output.notes))


def manifest_of(plan: Plan | LivePlan, permission: Permission, title: str) -> Manifest:
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
    plan: Plan, methods: Sequence[Method[Any] | Opening], engine: Engine | None
) -> Iterator[Painted]:
    openings = [method for method in methods if callable(method)]
    if engine is None:
        ready = [method() if callable(method) else method for method in methods]
        return painted_here(plan, ready)
    check(len(openings) == len(methods), "workers open methods themselves, expected openings")
    return painted_by(engine, plan, openings)


def render_live(
    plan: LivePlan,
    method: LiveMethod[Any],
    permission: Permission,
    sink: LiveSink,
    looker: Looker,
    clock: Clock,
    tell: Tell | None = None,
    stop: Event | None = None,
) -> LiveReport:
    """Show what the person before a camera does, marked like any output, until it ends.

    Args:
        plan: what is settled beforehand.
        method: opened for whom the looker knows.
        permission: who agreed.
        sink: where the frames go.
        looker: looks at the camera's frames.
        clock: what the camera goes by.
        tell: called about once a second.
        stop: ends it once it is set.

    Raises:
        MediaError: the camera gives nothing, or the output cannot be written.
    """
    manifest = manifest_of(plan, permission, sink.title)
    with sink.open(manifest, plan.like, looker.rate) as output:
        return run_live(looker, method, plan, output, clock, tell, stop=stop)
