"""Animating one photo: find the face in it, follow the driver, stream frames, mark and write."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from likeness import config as settings
from likeness.decode import open_clip
from likeness.encode import EncodeConfig
from likeness.errors import ConfigError, MediaError
from likeness.methods.animate import Animate, AnimateConfig, Animation
from likeness.methods.animate_find import find_photo
from likeness.performance import Performance, performance_of, silenced
from likeness.pipeline import AnalyzeConfig, RunReport, analyze, choose_shot, peak_rss_mb, run
from likeness.provenance.consent import Consent
from likeness.provenance.manifest import Ingredient
from likeness.provenance.motion import driven_by
from likeness.provenance.permission import Permission, permit, permit_training
from likeness.types import Clip, ColorTags, Progress, Timeline, Window, silent

log = logging.getLogger(__name__)

_WINDOW = 4
"""Frames per step of the stream; their maps take 11 floats a pixel."""
_SRGB_AS_VIDEO = ColorTags(primaries=1, transfer=1, matrix=1, full_range=False)
"""How a photo becomes video: BT.709, which has sRGB's primaries and nearly its transfer."""


@dataclass(frozen=True)
class AnimationConfig:
    """Settings of `likeness animate`."""

    frame: int = 0
    """Which frame of PHOTO, where it is a clip."""
    face: str | None = None
    """Whose face in the photo: largest, or a number from 0 on; needed where there are several."""
    driver_face: str = "largest"
    """Whose motion in the driver: largest, or a number from 0 on."""
    audio: Literal["driver", "none"] = "driver"
    """Whose sound lies under the output; a photo has none."""
    animate: AnimateConfig = field(default_factory=AnimateConfig)
    analyze: AnalyzeConfig = field(default_factory=AnalyzeConfig)
    encode: EncodeConfig = field(default_factory=EncodeConfig)

    def __post_init__(self) -> None:
        for name, face in (("face", self.face), ("driver_face", self.driver_face)):
            if face is not None and face != "largest" and not face.isdecimal():
                raise ConfigError(f"{name} is {face!r}; expected largest, or a number from 0 on")


def animate(
    photo: Path,
    driver: Path,
    output: Path,
    config: AnimationConfig | None = None,
    progress: Progress = silent,
    *,
    consents: Sequence[Consent] = (),
) -> RunReport:
    """Let one photo do what a driver does, without training.

    Args:
        photo: a picture, or a clip of which one frame is taken.
        driver: clip or NAME.shot that gives the motion.
        output: video to write, on the driver's timeline and with its sound.
        config: settings.
        progress: called as (stage, done, total).
        consents: records of the person in the photo (role target) and of the driver.

    Raises:
        ConsentError: nobody agreed that the photo's person be animated.
        TrackError: no face in the photo or the driver, or several in the photo without a choice.
        MediaError, FitError: an input is not usable.
    """
    config = config or AnimationConfig()
    began = time.monotonic()
    pictured = open_clip(photo)
    permit_photo(pictured, consents)
    face = find_photo(pictured, config.frame, config.face, config.analyze.track, config.analyze.fit)
    progress("photo", 1, 1)
    shot = choose_shot(analyze(driver, config.analyze, progress), config.driver_face)
    moved_by = driven_by(driver, shot.clip)
    permission = permit("animate", consents, targets=(pictured,), drivers=(moved_by,))
    performance = performance_of(shot, "driver")
    timeline = _timeline(performance, config)
    animation = Animation(face, shot, config.animate)
    try:
        target = Ingredient("target", pictured.path.name, pictured.digest)
        method = Animate(
            animation,
            permission,
            (np.arange(len(shot.clip)) - shot.track.start).clip(0, len(shot.track) - 1),
            (target, performance.ingredient),
            settings.to_json(config),
        )
        like = stand_in(pictured, animation.size, timeline)
        frames = _walls(animation, len(timeline))
        signed = run(method, frames, output, like, timeline, config.encode, progress)
    finally:
        animation.close()
    return RunReport(
        str(output),
        len(timeline),
        tuple(int(i) for i in np.flatnonzero(performance.guessed)),
        time.monotonic() - began,
        peak_rss_mb(),
        signed.where,
        warnings=limits_reached(animation, config),
    )


def _timeline(performance: Performance, config: AnimationConfig) -> Timeline:
    sound = performance.timeline.sound
    kept = config.audio == "driver" and sound is not None and sound.path.exists()
    return performance.timeline if kept else silenced(performance.timeline)


def permit_photo(photo: Clip, consents: Sequence[Consent]) -> Permission:
    """Permit to animate the person in a photo, or refuse.

    Raises:
        ConsentError: nobody agreed, or what was agreed to does not cover this.
    """
    return permit_training(photo, "animate", consents)


def stand_in(photo: Clip, size: tuple[int, int], timeline: Timeline) -> Clip:
    """Return what the output shall look like as a clip: the photo's, at the output's size.

    Raises:
        MediaError: nothing is left of the photo.
    """
    if min(size) < 2:
        raise MediaError(f"{photo.path.name} is {photo.size[1]}x{photo.size[0]} pixels; too small")
    moving = len(photo) > 1
    return Clip(
        path=photo.path,
        digest=photo.digest,
        size=size,
        pts=timeline.pts,
        time_base=timeline.time_base,
        last_duration=timeline.last_duration,
        color=photo.color if moving else _SRGB_AS_VIDEO,
        pixel_aspect=photo.pixel_aspect if moving else Fraction(1),
    )


def limits_reached(animation: Animation, config: AnimationConfig) -> tuple[str, ...]:
    """Say in words what the photo could not follow."""
    share = float(animation.motion.held.mean())
    if share == 0:
        return ()
    limit = config.animate.motion.turn_limit
    warning = (
        f"the driver's head turns more than {limit:g} degrees from rest in {share:.0%} of frames; "
        "a photo does not show the far side of a head, so it was turned less"
    )
    log.warning("%s", warning)
    return (warning,)


def _walls(animation: Animation, count: int) -> Iterator[tuple[Window, torch.Tensor]]:
    """Yield what lies under the animation; its layer covers all of it."""
    background = torch.from_numpy(animation.layers.background).permute(2, 0, 1)
    for start in range(0, count, _WINDOW):
        window = Window(start, min(start + _WINDOW, count))
        yield window, background.expand(len(window), -1, -1, -1)
