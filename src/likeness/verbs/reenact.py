"""`likeness reenact` as a function: a driver, or a hand, moves a portrait."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from likeness import config as settings
from likeness.encode import EncodeConfig, MarkedFile, inputs_of, prove_place
from likeness.engine import Engine
from likeness.errors import ConfigError
from likeness.fit.edit import Curve, Edit, EditConfig, motions_of
from likeness.fit.transfer import TransferConfig
from likeness.importers.arkit import performance_of_capture, read_arkit
from likeness.methods.ahead import opened_ahead
from likeness.methods.portrait.model import CPU
from likeness.methods.table import recipe_of
from likeness.people import check_face, find_person
from likeness.pipeline import AnalyzeConfig, render
from likeness.plan.performance import Performance, performance_of
from likeness.plan.reenactment import Audio, Request, plan_reenactment
from likeness.plan.report import RunReport
from likeness.plan.target import Target
from likeness.provenance.consent import Consent
from likeness.provenance.manifest import Ingredient, sha256_of
from likeness.provenance.permission import permit_synthesis
from likeness.store import load_bundle
from likeness.types import Progress, silent
from likeness.verbs.given import driver_of

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReenactConfig:
    """Settings of `likeness reenact`."""

    transfer: TransferConfig = field(default_factory=TransferConfig)
    analyze: AnalyzeConfig = field(default_factory=AnalyzeConfig)
    encode: EncodeConfig = field(default_factory=EncodeConfig)
    edit: EditConfig = field(default_factory=EditConfig)
    audio: Audio | None = None
    """Whose sound lies under the output; None takes it from whose timeline it runs on."""
    neutral_driver: str | None = None
    """Moment in which the driver's face does nothing: a frame ("120") or seconds ("4.8s")."""
    neutral_target: str | None = None
    """The same of the target."""
    face: str = "largest"
    """Whose motion in the driver: largest, a number from 0 on, or like=PHOTO."""

    def __post_init__(self) -> None:
        check_face(self.face)


def reenact(
    bundle: Path,
    driver: Path | None,
    output: Path,
    config: ReenactConfig | None = None,
    progress: Progress = silent,
    *,
    edits: Sequence[Edit | Curve] = (),
    consents: Sequence[Consent] = (),
    device: torch.device = CPU,
    engine: Engine | None = None,
) -> RunReport:
    """Let a portrait do what a driver does, wholly or in part, with edits by hand on top.

    Args:
        bundle: NAME.bundle of `likeness train reenact`.
        driver: clip, NAME.shot or ARKit capture (.csv) that gives the motion; None plays the
            target's own performance.
        output: video to write.
        config: settings.
        progress: called as (stage, done, total).
        edits: changes by hand.
        consents: records besides those in the bundle: a newer one of the target, the driver's.
        device: where the generator runs.
        engine: whose workers share the driver's analysis and the drawing.

    Raises:
        ConsentError: the target's consent is missing, over or revoked, or does not cover this.
        BundleError, MediaError, TrackError, FitError, ConfigError: an input is not usable.
    """
    config = config or ReenactConfig()
    began, read, loaded = time.monotonic(), inputs_of((bundle, driver)), load_bundle(bundle)
    prove_place(output, read)
    recipe, target = recipe_of(loaded, "reenact"), Target.of(loaded)
    # Before the driver is analyzed, which takes time.
    moved_by = (*(() if driver is None else (driver_of(driver),)), *motions_of(edits))
    permission = permit_synthesis(target.people, "reenact", consents, moved_by)
    own, motion = performance_of(target.shot, "target"), None
    tables = (part.ingredient for part in motions_of(edits))
    with threadpool_limits(1, "blas"):  # as in workers: several threads round otherwise
        opening = opened_ahead(recipe, loaded, device, engine)
        if driver is not None:
            motion = _driver(driver, target, config, progress, engine)
        asked = recipe.adapt(target, Request(own, motion, _transfer(config, target, own, motion)))
        plan = plan_reenactment(target, asked, edits, config=config.edit, audio=config.audio)
        plan = replace(
            plan,
            ingredients=(_ingredient(bundle), *plan.ingredients, *tables),
            settings={**settings.to_json(config), "edits": [str(edit) for edit in edits]},
        )
        for warning in plan.warnings:
            _LOG.warning("%s", warning)
        sink = MarkedFile(output, config.encode, read)
        report = render(plan, [opening(plan)], permission, sink, progress, engine=engine)
    return replace(report, seconds=time.monotonic() - began)


def _ingredient(bundle: Path) -> Ingredient:
    return Ingredient("bundle", bundle.name, sha256_of(bundle / "bundle.json"))


def _driver(
    path: Path, target: Target, config: ReenactConfig, progress: Progress, engine: Engine | None
) -> Performance:
    """Read who gives the motion."""
    if path.suffix.lower() == ".csv":
        return performance_of_capture(read_arkit(path), target.seen, path)
    shot = find_person(path, config.face, config.analyze, progress, engine=engine)
    return performance_of(shot, "driver")


def _transfer(
    config: ReenactConfig, target: Target, own: Performance, driver: Performance | None
) -> TransferConfig:
    """Turn moments that a person named into frames."""
    chosen = config.transfer
    try:
        if config.neutral_driver is not None and driver is not None:
            chosen = replace(chosen, neutral_driver=driver.frame_at(config.neutral_driver))
        if config.neutral_target is not None:
            first = target.shot.track.start + int(target.train_frames[0])
            chosen = replace(chosen, neutral_target=own.frame_at(config.neutral_target) - first)
    except ValueError as error:
        raise ConfigError(
            f"a neutral frame cannot be read ({error}); expected a frame of the clip, such as 120, "
            "or seconds, such as 4.8s"
        ) from error
    return chosen
