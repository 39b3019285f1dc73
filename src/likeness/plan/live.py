"""An output whose frames are not known yet: the causal twin of `Plan`.

A plan says of every frame what the face shall do in it. Live there is no such list: what is known
beforehand is whose face is shown, on what, and how the person before the camera looks and moves at
rest (`Acquaintance`). The rest comes moment by moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

import torch

from likeness.composite.finish_settings import FinishConfig
from likeness.provenance.manifest import Ingredient
from likeness.types import Clip, FaceParams, Floats, Layer, Shot


@dataclass(frozen=True, eq=False)
class LivePlan:
    """What is settled before the first frame."""

    action: str
    """What is done, for the manifest: reenact, animate, swap."""
    like: Clip
    """Whose size, color and pixel aspect the output has."""
    canvas: torch.Tensor | None
    """(3,H,W) RGB in [0,1] that lies under the layers; None is the camera's own frame."""
    ingredients: tuple[Ingredient, ...]
    """What the output is made from."""
    whole: bool = False
    """Whether every pixel is painted by a model."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Resolved settings as JSON values, for the manifest."""


@dataclass(frozen=True, eq=False)
class Acquaintance:
    """What the first frames tell of the person before the camera."""

    shot: Shot
    """N frames in which the face was seen; its clip is the camera, which holds no file."""
    picture: torch.Tensor
    """(3,H,W) RGB in [0,1]: the last of these frames."""
    finish: FinishConfig = field(default_factory=FinishConfig)
    """How a face is laid over theirs, where one is."""


@dataclass(frozen=True, eq=False)
class Moment:
    """One frame of the camera, and what the person in it does."""

    seconds: float
    """When it was taken, from the first frame on."""
    frame: torch.Tensor
    """(1,3,H,W) RGB in [0,1]."""
    landmarks: Floats
    """(478,3) tracked, pixels."""
    params: FaceParams
    """One frame, smoothed by what came before."""
    seen: bool = True
    """False where no face was found, so that the last one holds still."""


Told = TypeVar("Told")


class LiveMethod(Protocol[Told]):
    """A choice for the two slots of the pipeline, moment by moment.

    It is told of moments in order, by one thread: it may keep what came before, and never hears of
    what comes. Several threads ask it to draw, each another moment.
    """

    def condition(self, moment: Moment) -> Told:
        """Tell the generator about a moment."""
        ...

    def synthesize(self, told: Told) -> Layer:
        """Let the generator answer, one frame."""
        ...


Meeting: TypeAlias = Callable[[Acquaintance], LiveMethod[Any]]
"""What a method is that was made ready before anybody came: it lacks only whom it follows."""
