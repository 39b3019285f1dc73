"""What a portrait shall do before any pixel is drawn: transfer, edits, timeline and sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from likeness.controls import Values
from likeness.errors import MediaError
from likeness.fit.edit import Curve, Edit, EditConfig, apply_edits
from likeness.fit.seen_range import Seen
from likeness.fit.transfer import Transfer, TransferConfig, transfer
from likeness.performance import Performance
from likeness.types import Bools, Clip, FaceParams, Ints, Sound, Timeline

Audio = Literal["driver", "target", "none"]

DRIVERS_TIME = ("full", "pose")
"""Modes whose output runs on the driver's timeline; all others run on the target's."""


@dataclass(frozen=True)
class StageConfig:
    """Transfer, edits and sound."""

    transfer: TransferConfig = field(default_factory=TransferConfig)
    edit: EditConfig = field(default_factory=EditConfig)
    audio: Audio | None = None
    """Whose sound lies under the output; None takes it from whose timeline it runs on."""


@dataclass(frozen=True, eq=False)
class Staged:
    """Params for every frame of an output's timeline."""

    params: FaceParams
    """M frames of the target's identity."""
    timeline: Timeline
    """Of the same M frames."""
    guessed: Bools
    """(M,) frames whose motion had to be guessed, because no face was seen there."""
    transfer: Transfer | None
    """What was taken from the driver; None without one."""
    overrun: int
    """Frames after the end of the shorter performance, played on as `extrapolation` says."""
    warnings: tuple[str, ...]


def stage(
    target: FaceParams,
    own: Performance,
    driver: Performance | None,
    config: StageConfig | None = None,
    edits: Sequence[Edit | Curve] = (),
    observed: Bools | None = None,
) -> Staged:
    """Decide what a portrait does in each frame of the output.

    Without a driver the target's own performance plays, so that edits alone make sense.

    Args:
        target: what the target does in the frames that training saw: its rest and seen range.
        own: what the target does in its clip.
        driver: who gives the motion.
        config: settings.
        edits: changes by hand, applied last; their times are the output's.
        observed: frames of `target` in which its face was seen; None is all.

    Raises:
        ConfigError: an edit or a neutral frame is not usable.
        ContractError: driver and target were fitted with different face models.
        MediaError: the clip whose sound is wanted is gone.
    """
    config = config or StageConfig()
    how, moved = config.transfer, None
    seen = Seen(None if driver is None else ~driver.guessed, observed)
    if driver is None:
        staged, params, guessed, overrun = own, own.params, own.guessed, 0
    elif how.mode in DRIVERS_TIME:
        staged = driver
        at = own.positions(driver.seconds, how.extrapolation)
        theirs = None if how.mode == "full" else own.over(driver.seconds, how.extrapolation)
        moved = transfer(driver.params, target, how, theirs, seen=seen)
        params, guessed, overrun = moved.params, driver.guessed, 0
        if how.mode != "full":
            guessed = guessed | own.guessed[_nearest(at)]
            overrun = _late(driver.seconds, own)
    else:
        staged = own
        at = driver.positions(own.seconds, how.extrapolation)
        moved = transfer(driver.params, target, how, own.params, at, seen)
        params = moved.params
        guessed = own.guessed | driver.guessed[_nearest(at)]
        overrun = _late(own.seconds, driver)
    told = Seen(~guessed, observed)
    edited = apply_edits(params, staged.seconds, edits, target, config.edit, told)
    sound = _sound(config.audio, own, driver, staged)
    return Staged(
        edited.params,
        replace(staged.timeline, sound=sound),
        guessed,
        moved,
        overrun,
        (*(moved.warnings if moved else ()), *edited.warnings),
    )


def _nearest(at: Values) -> Ints:
    return np.round(at).astype(np.int64)


def _late(seconds: Values, shorter: Performance) -> int:
    """Count moments after a performance's end; its last frame is shown for a while, too."""
    last = float(shorter.timeline.last_duration * shorter.timeline.time_base)
    return int((seconds >= shorter.seconds[-1] + last - 1e-6).sum())


def _sound(
    audio: Audio | None, own: Performance, driver: Performance | None, staged: Performance
) -> Clip | Sound | None:
    chosen = {"target": own, "driver": driver, "none": None, None: staged}[audio]
    sound = chosen.timeline.sound if chosen else None
    if sound is None or not sound.audio:
        return None
    if not sound.path.exists():
        raise MediaError(
            f"{sound.path} is gone, and its sound belongs under the output; put the clip back "
            "there, or give --audio none"
        )
    return sound
