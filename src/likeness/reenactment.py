"""`likeness reenact` as a function: a driver, or a hand, moves a portrait."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from likeness import config as settings
from likeness.condition.conditioner import select
from likeness.encode import EncodeConfig, Signed
from likeness.errors import ConfigError
from likeness.fit.edit import Curve, Edit, EditConfig, motions_of
from likeness.fit.transfer import TransferConfig
from likeness.importers.arkit import performance_of_capture, read_arkit
from likeness.methods.editing import arrange
from likeness.methods.reenact import CPU, PortraitModel, open_portrait
from likeness.performance import Performance, performance_of
from likeness.pipeline import AnalyzeConfig, RunReport, analyze, peak_rss_mb, play
from likeness.provenance.consent import Consent
from likeness.provenance.manifest import Ingredient, sha256_of
from likeness.provenance.motion import Motion, driven_by
from likeness.provenance.permission import permit_synthesis
from likeness.staging import DRIVERS_TIME, Audio, StageConfig, Staged, stage
from likeness.store import load_bundle
from likeness.types import Clip, Progress, silent

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

    Raises:
        ConsentError: the target's consent is missing, over or revoked, or does not cover this.
        BundleError, MediaError, TrackError, FitError, ConfigError: an input is not usable.
    """
    config = config or ReenactConfig()
    began = time.monotonic()
    portrait = open_portrait(load_bundle(bundle), device)
    # Before the driver is analyzed, which takes time; its own clip is looked at below.
    moved_by: tuple[Clip | Motion, ...] = motions_of(edits)
    permission = permit_synthesis(portrait.people, "reenact", consents, moved_by)
    own, motion = performance_of(portrait.shot, "target"), None
    if driver is not None:
        motion, clip = _driver(driver, portrait, config, progress)
        moved_by = (driven_by(driver, clip), *moved_by)
    permission = permit_synthesis(portrait.people, "reenact", consents, moved_by)
    how = _stage_config(config, portrait, own, motion)
    arranged = arrange(portrait, own, motion, how.transfer)
    how = replace(how, transfer=arranged.transfer)
    staged = stage(portrait.target, arranged.own, arranged.driver, how, edits, portrait.observed)
    moving = [part.ingredient for part in (motion, *motions_of(edits)) if part is not None]
    used = (Ingredient("bundle", bundle.name, sha256_of(bundle / "bundle.json")), own.ingredient)
    signed = play(
        arranged.portrait,
        staged.params,
        staged.timeline,
        output,
        permission,
        ingredients=(*used, *moving),
        stated={**settings.to_json(config), "edits": [str(edit) for edit in edits]},
        own=None if motion and how.transfer.mode in DRIVERS_TIME else arranged.own,
        mouth_alone=_mouth_alone(portrait, motion, config, edits),
        encoding=config.encode,
        progress=progress,
        played=arranged.shown,
    )
    return _report(output, staged, signed, time.monotonic() - began)


def _driver(
    path: Path, portrait: PortraitModel, config: ReenactConfig, progress: Progress
) -> tuple[Performance, Clip | None]:
    """Read who gives the motion, and the clip that shows them, if there is one."""
    if path.suffix.lower() == ".csv":
        # Where the head is, and in what light, is told by the frames that show it.
        seen = np.flatnonzero(portrait.observed)
        like = select(portrait.target, seen) if len(seen) else portrait.target
        return performance_of_capture(read_arkit(path), like, path), None
    shot = analyze(path, config.analyze, progress)[0]
    return performance_of(shot, "driver"), shot.clip


def _mouth_alone(
    portrait: PortraitModel,
    driver: Performance | None,
    config: ReenactConfig,
    edits: Sequence[Edit | Curve],
) -> bool:
    """Tell whether the lower face is all that changes, so that all else can stay as decoded.

    Edits may move the whole head; a plate has no face; an editor knows better where it paints.
    """
    alone = driver is not None and config.transfer.mode == "mouth" and not edits
    return alone and portrait.editor is None and portrait.shot.clip.path.exists()


def _stage_config(
    config: ReenactConfig, portrait: PortraitModel, own: Performance, driver: Performance | None
) -> StageConfig:
    """Turn moments that a person named into frames."""
    chosen = config.transfer
    try:
        if config.neutral_driver is not None and driver is not None:
            chosen = replace(chosen, neutral_driver=driver.frame_at(config.neutral_driver))
        if config.neutral_target is not None:
            first = portrait.shot.track.start + int(portrait.train_frames[0])
            frame = own.frame_at(config.neutral_target) - first
            chosen = replace(chosen, neutral_target=frame)
    except ValueError as error:
        raise ConfigError(
            f"a neutral frame cannot be read ({error}); expected a frame of the clip, such as 120, "
            "or seconds, such as 4.8s"
        ) from error
    return StageConfig(chosen, config.edit, config.audio)


def _report(output: Path, staged: Staged, signed: Signed, seconds: float) -> RunReport:
    for warning in staged.warnings:
        _LOG.warning("%s", warning)
    moved = staged.transfer
    return RunReport(
        str(output),
        len(staged.timeline),
        tuple(int(i) for i in np.flatnonzero(staged.guessed)),
        seconds,
        peak_rss_mb(),
        signed.where,
        moved.clamped if moved else {},
        tuple(round(float(share), 4) for share in moved.clamped_share) if moved else (),
        staged.overrun,
        staged.warnings,
    )
