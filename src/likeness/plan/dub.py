"""What a dubbed mouth does over the target's clip, and the plan of the dub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from likeness.decode import find_stored
from likeness.errors import MediaError
from likeness.fit.seen_range import Seen
from likeness.fit.transfer import Transfer, TransferConfig, transfer
from likeness.plan.mouth_timing import keep_closures, lip_gap, resting_after
from likeness.plan.performance import Performance, absences, absent, performance_of
from likeness.plan.plan import Plan
from likeness.plan.target import Target
from likeness.provenance.manifest import Ingredient
from likeness.store import load_face_model
from likeness.types import Bools, Shot, Sound, Timeline


@dataclass(frozen=True, eq=False)
class Mouth:
    """What the target's mouth shall do over its clip, and where that comes from."""

    moved: Transfer
    guessed: Bools
    """(M,) frames in which the speaker's face was not seen."""
    ends: float
    """Seconds from the target's first frame at which the speech is over."""
    begins: Fraction
    """Moment of the new sound's own clock that goes with the target's first frame."""
    shot: Shot | None
    """The speaker, where a face was followed."""
    absences: tuple[str, ...] = ()
    """Where the speaker is away, in words."""


def check_frames(target: Target) -> None:
    """Insist on the clip that a dub paints into.

    Raises:
        MediaError: it is gone.
    """
    if find_stored(target.shot.clip) is None:
        raise MediaError(
            f"{target.shot.clip.path} is gone, and dubbing paints into its frames; put it back "
            "where it was"
        )


def by_face(target: Target, own: Performance, speaker: Shot, config: TransferConfig) -> Mouth:
    """Take the mouth's part of a speaker's expression, on the target's timeline."""
    theirs = performance_of(speaker, "driver")
    at = theirs.positions(own.seconds, "hold")
    gap = lip_gap(theirs.params, load_face_model(theirs.params.model))
    at = keep_closures(at, gap)
    seen = Seen(~theirs.guessed, target.observed)
    moved = transfer(theirs.params, target.params, config, own.params, at, seen)
    clip = speaker.clip
    return Mouth(
        moved,
        theirs.guessed[np.round(at).astype(np.int64)],
        clip.seconds,
        int(clip.pts[0]) * clip.time_base,
        speaker,
        absences(theirs),
    )


def plan_dub(
    target: Target,
    own: Performance,
    mouth: Mouth,
    sound: Sound | None,
    ingredients: tuple[Ingredient, ...],
    settings: Mapping[str, Any],
) -> Plan:
    """Lay a mouth, and its sound, over the target's own clip.

    Args:
        target: whose clip it is.
        own: what the target does in it.
        mouth: what its mouth shall do.
        sound: that is laid under it; None for silence.
        ingredients: what it is made from.
        settings: resolved, as JSON values, for the manifest.
    """
    params, resting = resting_after(
        mouth.moved.params, own.seconds, mouth.ends, target.params, target.observed
    )
    clip = target.shot.clip
    return Plan(
        action="dub",
        shot=target.shot,
        like=clip,
        timeline=_timeline(own, mouth, sound),
        guessed=mouth.guessed | own.guessed,
        ingredients=ingredients,
        settings=settings,
        stream=clip,
        shown=np.arange(len(clip)),
        params=params,
        underlay=own.params,
        absent=absent(own),
        lower_face=True,
        transfer=mouth.moved,
        overrun=resting,
        warnings=(*mouth.absences, *mouth.moved.warnings),
    )


def _timeline(own: Performance, mouth: Mouth, sound: Sound | None) -> Timeline:
    """The target's times, moved to where the new sound's clock starts, so that it can be copied."""
    was = own.timeline
    pts = was.pts - was.pts[0] + round(mouth.begins / was.time_base)
    until = (int(pts[-1]) + was.last_duration) * was.time_base
    return Timeline(pts, was.time_base, was.last_duration, sound, until)
