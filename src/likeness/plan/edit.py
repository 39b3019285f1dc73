"""Plan a semantic edit: the clip's own frames on its own timeline, with one person changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from likeness.plan.performance import absent, performance_of
from likeness.plan.plan import Plan
from likeness.types import Floats, Shot


def plan_edit(shot: Shot, strengths: Mapping[str, Floats], settings: Mapping[str, Any]) -> Plan:
    """Plan M frames of an edited clip.

    Frames in which the face is away for longer than a tracker blinks stay as they were decoded;
    in shorter gaps the edit goes on. Both are listed as guessed.

    Args:
        shot: the person that is changed.
        strengths: (M,) per direction.
        settings: resolved, as JSON values, for the manifest.
    """
    own = performance_of(shot, "target")
    gone = absent(own)
    frames = np.arange(len(shot.clip)) - shot.track.start
    outside = (frames < 0) | (frames >= len(shot.track))
    return Plan(
        action="edit",
        shot=shot,
        like=shot.clip,
        timeline=own.timeline,
        guessed=own.guessed,
        ingredients=(own.ingredient,),
        stream=shot.clip,
        shown=np.arange(len(shot.clip)),
        absent=gone | outside,
        strengths=strengths,
        settings=settings,
        warnings=_absent(int((gone | outside).sum()), shot),
    )


def _absent(count: int, shot: Shot) -> tuple[str, ...]:
    if not count:
        return ()
    return (f"{count} frames of {shot.clip.path.name} show no face and stay as they are",)
