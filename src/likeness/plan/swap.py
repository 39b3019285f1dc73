"""What a swap shows: the target's own clip, timing and sound; only the face is another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from likeness.composite.finish import FinishConfig
from likeness.decode.stored import exists
from likeness.errors import MediaError
from likeness.plan.performance import absences, performance_of, silenced
from likeness.plan.plan import Plan
from likeness.provenance.manifest import Ingredient
from likeness.types import Shot


def plan_swap(
    target: Shot, sources: tuple[Ingredient, ...], finish: FinishConfig, sound: bool = True
) -> Plan:
    """Plan a person who does what they do in their own clip, with another face.

    Args:
        target: whose face is replaced.
        sources: what lends the identity.
        finish: how the face is laid into the frames.
        sound: whether the clip's own sound lies under the output.

    Raises:
        MediaError: the target's clip is gone.
    """
    if not exists(target.clip):
        raise MediaError(
            f"{target.clip.path} is gone, and a swap changes its frames; put the clip back there"
        )
    own = performance_of(target, "target")
    return Plan(
        action="swap",
        shot=target,
        like=target.clip,
        timeline=own.timeline if sound else silenced(own.timeline),
        guessed=own.guessed,
        ingredients=(own.ingredient, *sources),
        stream=target.clip,
        shown=np.arange(len(target.clip)),
        finish=finish,
        warnings=_unseen(bool(own.guessed.any()), finish, absences(own)),
    )


def together(plans: Sequence[Plan], settings: Mapping[str, Any]) -> Plan:
    """Return one plan for several people of a clip who are changed in one pass.

    Args:
        plans: of one clip, one per person.
        settings: resolved, as JSON values.
    """
    return replace(
        plans[0],
        guessed=np.logical_or.reduce([plan.guessed for plan in plans]),
        ingredients=tuple(dict.fromkeys(part for plan in plans for part in plan.ingredients)),
        settings=settings,
        warnings=tuple(dict.fromkeys(told for plan in plans for told in plan.warnings)),
    )


def _unseen(any_missed: bool, finish: FinishConfig, gaps: tuple[str, ...]) -> tuple[str, ...]:
    """Say in words what happens to frames in which the target's face was not seen."""
    if not any_missed:
        return ()
    what = {
        "hold": "stays as it was decoded where that lasts longer than a blink of the tracker",
        "original": "stays as it was decoded there",
        "blur": "is blurred there",
        "blank": "is covered there",
    }[finish.on_miss]
    where = [gap.partition(":")[0] for gap in gaps] or ["the target's face is missed in places"]
    return tuple(f"{place}: the face {what}" for place in where)
