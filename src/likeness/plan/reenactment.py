"""What a portrait does in each frame of an output: transfer, edits, timeline and sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from likeness.controls import Values
from likeness.decode import find_stored
from likeness.decode.stored import exists
from likeness.errors import MediaError
from likeness.fit.edit import Curve, Edit, EditConfig, apply_edits
from likeness.fit.seen_range import Seen
from likeness.fit.transfer import Transfer, TransferConfig, transfer
from likeness.plan.performance import Performance, absences, absent
from likeness.plan.plan import Plan, frames_beneath
from likeness.plan.target import Target
from likeness.provenance.manifest import Ingredient
from likeness.types import Bools, Clip, FaceParams, Ints, Sound, Timeline

Audio = Literal["driver", "target", "none"]

DRIVERS_TIME = ("full", "pose")
"""Modes whose output runs on the driver's timeline; all others run on the target's."""


@dataclass(frozen=True, eq=False)
class Request:
    """What is asked of a method, in terms that it can follow."""

    own: Performance
    """What the target does, on the timeline on which it is shown."""
    driver: Performance | None
    """Who gives the motion; None plays the target's own performance."""
    transfer: TransferConfig
    shown: Ints | None = None
    """(M,) frame of the target's clip under each frame of `own`, where it is retimed."""


def plan_reenactment(
    target: Target,
    asked: Request,
    edits: Sequence[Edit | Curve] = (),
    *,
    config: EditConfig | None = None,
    audio: Audio | None = None,
) -> Plan:
    """Decide what a portrait does in each frame of the output, and what lies under it.

    Args:
        target: the portrait's person.
        asked: the performances and what is transferred.
        edits: changes by hand, applied last; their times are the output's.
        config: settings of the edits.
        audio: whose sound lies under the output; None takes it from whose timeline it runs on.

    Raises:
        ConfigError: an edit or a neutral frame is not usable.
        ContractError: driver and target were fitted with different face models.
        MediaError: the clip whose sound is wanted is gone.
    """
    moved = _moved(target, asked)
    seen = Seen(~moved.guessed, target.observed)
    edited = apply_edits(moved.params, moved.base.seconds, edits, target.params, config, seen)
    timeline = replace(moved.base.timeline, sound=_sound(audio, asked, moved.base))
    drivers = asked.driver is not None and asked.transfer.mode in DRIVERS_TIME
    own = None if drivers else asked.own
    shown = _shown(target, asked, own, timeline)
    lends = own is not None and shown is not None
    # A face of another shape does not lie where the frame beneath shows it.
    alike = np.array_equal(edited.params.shape, target.shot.params.shape)
    mouth = asked.driver is not None and asked.transfer.mode == "mouth" and not edits
    return Plan(
        action="reenact",
        shot=target.shot,
        like=target.shot.clip,
        timeline=timeline,
        guessed=moved.guessed,
        ingredients=_ingredients(asked),
        stream=None if shown is None else target.shot.clip,
        shown=shown,
        canvas=target.plate if shown is None else None,
        params=edited.params,
        underlay=own.params if own is not None and lends and alike else None,
        absent=absent(own) if own is not None and lends else None,
        lower_face=lends and mouth,
        whole=target.whole,
        transfer=moved.transfer,
        overrun=moved.overrun,
        warnings=(
            *(absences(asked.driver) if asked.driver else ()),
            *(moved.transfer.warnings if moved.transfer else ()),
            *edited.warnings,
        ),
    )


@dataclass(frozen=True, eq=False)
class _Moved:
    """Params for every frame of a timeline, before edits."""

    params: FaceParams
    base: Performance
    """Whose timeline the output runs on."""
    guessed: Bools
    overrun: int
    transfer: Transfer | None


def _moved(target: Target, asked: Request) -> _Moved:
    own, driver, how = asked.own, asked.driver, asked.transfer
    if driver is None:
        return _Moved(own.params, own, own.guessed, 0, None)
    seen = Seen(~driver.guessed, target.observed)
    if how.mode in DRIVERS_TIME:
        theirs = None if how.mode == "full" else own.over(driver.seconds, how.extrapolation)
        moved = transfer(driver.params, target.params, how, theirs, seen=seen)
        if how.mode == "full":
            return _Moved(moved.params, driver, driver.guessed, 0, moved)
        at = own.positions(driver.seconds, how.extrapolation)
        guessed = driver.guessed | own.guessed[_nearest(at)]
        return _Moved(moved.params, driver, guessed, _late(driver.seconds, own), moved)
    at = driver.positions(own.seconds, how.extrapolation)
    moved = transfer(driver.params, target.params, how, own.params, at, seen)
    guessed = own.guessed | driver.guessed[_nearest(at)]
    return _Moved(moved.params, own, guessed, _late(own.seconds, driver), moved)


def _shown(
    target: Target, asked: Request, own: Performance | None, timeline: Timeline
) -> Ints | None:
    """(M,) frame of the target's clip under each frame of the output; None for the plate."""
    if own is None or find_stored(target.shot.clip) is None:
        return frames_beneath(target.shot, timeline)
    return np.arange(len(timeline)) if asked.shown is None else asked.shown


def _ingredients(asked: Request) -> tuple[Ingredient, ...]:
    driver = (asked.driver.ingredient,) if asked.driver else ()
    return (asked.own.ingredient, *driver)


def _nearest(at: Values) -> Ints:
    return np.round(at).astype(np.int64)


def _late(seconds: Values, shorter: Performance) -> int:
    """Count moments after a performance's end; its last frame is shown for a while, too."""
    return int((seconds >= shorter.seconds[-1] + shorter.lasting - 1e-6).sum())


def _sound(audio: Audio | None, asked: Request, base: Performance) -> Clip | Sound | None:
    chosen = {"target": asked.own, "driver": asked.driver, "none": None, None: base}[audio]
    sound = chosen.timeline.sound if chosen else None
    if sound is None or not sound.audio:
        return None
    if not exists(sound):
        raise MediaError(
            f"{sound.path} is gone, and its sound belongs under the output; put the clip back "
            "there, or give --audio none"
        )
    return sound
