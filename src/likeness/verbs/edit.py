"""`likeness edit` as a function: the person of a real clip older, younger, smiling."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch

from likeness import config as settings
from likeness.decode import open_clip
from likeness.encode import EncodeConfig, MarkedFile, inputs_of, prove_place
from likeness.errors import ConfigError
from likeness.methods.edit.estimate import estimate
from likeness.methods.edit.method import StitchConfig
from likeness.methods.edit.shipped import shipped_generator
from likeness.methods.edit.strength import Strength, over_time, told
from likeness.methods.edit.surface import SurfaceConfig, surface_bundle
from likeness.methods.edit.surface_directions import DIRECTIONS
from likeness.methods.portrait.model import CPU
from likeness.methods.table import recipe_of
from likeness.people import check_face, find_person
from likeness.pipeline import AnalyzeConfig, render
from likeness.plan.edit import plan_edit
from likeness.plan.report import RunReport
from likeness.provenance.consent import Consent
from likeness.provenance.permission import Permission, permit
from likeness.store import load_bundle
from likeness.types import Bundle, Clip, Progress, silent

log = logging.getLogger(__name__)
Engine = Literal["surface", "gan"]


@dataclass(frozen=True)
class EditingConfig:
    """Settings of `likeness edit`."""

    engine: Engine = "surface"
    """What draws: the fitted surface, or a face generator that is tuned to the clip."""
    face: str = "largest"
    """Who is edited: largest, a number as likeness track counts, or like=PHOTO."""
    ease: float = 0.3
    """Seconds over which an edit that holds for a while comes and goes."""
    occluders: bool = True
    """Whether hands, microphones and strands before the face stay as they are, as in swaps."""
    surface: SurfaceConfig = field(default_factory=SurfaceConfig)
    stitch: StitchConfig = field(default_factory=StitchConfig)
    """Of the generator's engine."""
    analyze: AnalyzeConfig = field(default_factory=AnalyzeConfig)
    encode: EncodeConfig = field(default_factory=EncodeConfig)

    def __post_init__(self) -> None:
        check_face(self.face)
        if self.ease < 0:
            raise ConfigError(f"ease is {self.ease}; expected at least 0 seconds")


def edit(
    clip: Path,
    output: Path,
    strengths: Sequence[Strength],
    config: EditingConfig | None = None,
    progress: Progress = silent,
    *,
    bundle: Path | None = None,
    consents: Sequence[Consent] = (),
    device: torch.device = CPU,
) -> RunReport:
    """Edit the person of a clip along named directions.

    Frames, their times and the sound are the clip's; pixels outside what is drawn are those that
    were decoded. Frames without a face stay as they are.

    Args:
        clip: whose person is edited.
        output: video to write.
        strengths: how strong each direction is over time, by `parse_strength`.
        config: settings.
        progress: called as (stage, done, total).
        bundle: NAME.bundle of a generator; None takes the small one that comes along.
        consents: records of the person in the clip (role target).
        device: where a generator runs.

    Raises:
        ConsentError: nobody agreed that the clip's person be edited.
        ConfigError: a direction is unknown, or the engine and the bundle don't fit.
        BundleError, MediaError, TrackError, FitError: an input is not usable.
    """
    config = config or EditingConfig()
    began, read = time.monotonic(), inputs_of([path for path in (clip, bundle) if path])
    prove_place(output, read)
    if not strengths:
        raise ConfigError("no direction was given; expected at least one, such as age=1")
    opened, loaded = open_clip(clip), _loaded(config.engine, bundle)
    permission = permit_edit(opened, consents, loaded)
    # Asked before the person is looked for, which takes a while.
    known = recipe_of(loaded, "edit").directions(loaded) if loaded else tuple(DIRECTIONS)
    seconds = (opened.pts - opened.pts[0]) * float(opened.time_base)
    courses = over_time(strengths, seconds, known, config.ease)
    shot = find_person(opened, config.face, config.analyze, progress)
    used = loaded or surface_bundle(shot, config.surface, permission.people)
    asked = settings.to_json(config) | {"strengths": told(strengths)}
    plan = plan_edit(shot, courses, asked)
    for warning in plan.warnings:
        log.warning("%s", warning)
    recipe = recipe_of(used, "edit")
    recipe.prepare(used, plan, device, progress)
    methods, sink = [recipe.open(used, plan, device)], MarkedFile(output, config.encode, read)
    report = render(plan, methods, permission, sink, progress)
    return replace(report, seconds=time.monotonic() - began)


def permit_edit(
    clip: Clip, consents: Sequence[Consent], bundle: Bundle | None = None
) -> Permission:
    """Permit to edit the person of a clip, or refuse.

    Raises:
        ConsentError: nobody agreed, or what was agreed to does not cover this.
    """
    return permit("edit", consents, people=bundle.people if bundle else (), targets=(clip,))


def _loaded(engine: Engine, bundle: Path | None) -> Bundle | None:
    """Read the bundle of an engine that has one; refuse it for one that has none."""
    if engine == "surface":
        if bundle is not None:
            raise ConfigError(f"the surface engine takes no bundle; add --engine gan for {bundle}")
        return None
    return shipped_generator() if bundle is None else load_bundle(bundle)


def seconds_needed(clip: Clip, config: EditingConfig, bundle: Path | None) -> float | None:
    """Tell how long a generator will take for a clip; None for the surface, which streams.

    Raises:
        BundleError, ConfigError: as `edit`.
    """
    loaded = _loaded(config.engine, bundle)
    if loaded is None:
        return None
    frames = min(len(clip), config.stitch.preview or len(clip))
    return round(estimate(loaded, frames, config.stitch.stages).seconds, 1)
