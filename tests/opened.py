"""Methods opened for a plan in which their target repeats its own clip, or does as told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from likeness.decode import Decoder
from likeness.methods.table import recipe_of
from likeness.plan.plan import Plan, repetition
from likeness.types import Bundle, FaceParams, Layer, Method, Window

CPU = torch.device("cpu")


def repeating(bundle: Bundle, params: FaceParams | None = None) -> Plan:
    """A plan over the target's own frames; with `params` for what it shall do there."""
    assert bundle.shot is not None
    plan = repetition(bundle.shot)
    return plan if params is None else replace(plan, params=params)


def opened(bundle: Bundle, params: FaceParams | None = None) -> Method[Any]:
    """The bundle's method for such a plan."""
    recipe = recipe_of(bundle, "reenact")
    return recipe.open(bundle, repeating(bundle, params), CPU)


def drawn(method: Method[Any], frames: torch.Tensor, window: Window) -> Layer:
    """What a method lays over the decoded frames of a window."""
    return method.synthesize(method.condition(window, frames))


def decoded(bundle: Bundle, window: Window) -> torch.Tensor:
    """Frames of the target's clip."""
    assert bundle.shot is not None
    with Decoder(bundle.shot.clip) as decoder:
        return decoder.read(window)
