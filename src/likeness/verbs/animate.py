"""`likeness animate` as a function: one photo does what a driver does."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from likeness import config as settings
from likeness.decode import open_clip
from likeness.encode import EncodeConfig, MarkedFile, inputs_of, prove_place
from likeness.engine import Engine
from likeness.methods.photo.animation import AnimateConfig
from likeness.methods.photo.find import find_photo
from likeness.methods.photo.method import photo_bundle
from likeness.methods.photo.plan import plan_animation
from likeness.methods.table import recipe_of
from likeness.people import check_face, face_like, find_person
from likeness.pipeline import AnalyzeConfig, render
from likeness.plan.report import RunReport
from likeness.provenance.consent import Consent
from likeness.provenance.permission import Material, Permission, permit, permit_training
from likeness.types import Clip, Progress, silent
from likeness.verbs.given import driver_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AnimationConfig:
    """Settings of `likeness animate`."""

    frame: int = 0
    """Which frame of PHOTO, where it is a clip."""
    face: str | None = None
    """Whose face in the photo: largest, a number from 0 on, or like=PHOTO; needed where there are
    several."""
    driver_face: str = "largest"
    """Whose motion in the driver: largest, a number from 0 on, or like=PHOTO."""
    audio: Literal["driver", "none"] = "driver"
    """Whose sound lies under the output; a photo has none."""
    animate: AnimateConfig = field(default_factory=AnimateConfig)
    analyze: AnalyzeConfig = field(default_factory=AnalyzeConfig)
    encode: EncodeConfig = field(default_factory=EncodeConfig)

    def __post_init__(self) -> None:
        check_face(self.driver_face, "driver_face")
        if self.face is not None:
            check_face(self.face)


def animate(
    photo: Path,
    driver: Path,
    output: Path,
    config: AnimationConfig | None = None,
    progress: Progress = silent,
    *,
    consents: Sequence[Consent] = (),
    engine: Engine | None = None,
) -> RunReport:
    """Let one photo do what a driver does, without training.

    Args:
        photo: a picture, or a clip of which one frame is taken.
        driver: clip or NAME.shot that gives the motion.
        output: video to write, on the driver's timeline and with its sound.
        config: settings.
        progress: called as (stage, done, total).
        consents: records of the person in the photo (role target) and of the driver.
        engine: whose workers share the driver's analysis and the drawing.

    Raises:
        ConsentError: nobody agreed that the photo's person be animated.
        TrackError: no face in the photo or the driver, or several in the photo without a choice.
        MediaError, FitError: an input is not usable.
    """
    config = config or AnimationConfig()
    began, read = time.monotonic(), inputs_of((photo, driver))
    prove_place(output, read)
    clip = open_clip(photo)
    permission = permit_animation(clip, driver_of(driver), consents)
    like = face_like(config.face)
    looking = config.analyze
    face = find_photo(clip, config.frame, config.face, looking.track, looking.fit, like)
    progress("photo", 1, 1)
    shot = find_person(driver, config.driver_face, config.analyze, progress, engine=engine)
    plan = plan_animation(face, clip, shot, config.animate, config.audio == "driver")
    plan = replace(plan, settings=settings.to_json(config))
    for warning in plan.warnings:
        log.warning("%s", warning)
    bundle = photo_bundle(face, clip, config.animate, permission.people)
    opening = partial(recipe_of(bundle, "animate").open, bundle, plan, torch.device("cpu"))
    sink = MarkedFile(output, config.encode, read)
    report = render(plan, [opening], permission, sink, progress, engine=engine)
    return replace(report, seconds=time.monotonic() - began)


def permit_animation(photo: Clip, driver: Material, consents: Sequence[Consent]) -> Permission:
    """Permit to animate the person in a photo by somebody's motion, or refuse.

    Raises:
        ConsentError: nobody agreed, or what was agreed to does not cover this.
    """
    return permit("animate", consents, targets=(photo,), drivers=(driver,))


def permit_photo(photo: Clip, consents: Sequence[Consent]) -> Permission:
    """Permit to animate the person in a photo, or refuse.

    Raises:
        ConsentError: nobody agreed, or what was agreed to does not cover this.
    """
    return permit_training(photo, "animate", consents)
