"""What a method is, and the table of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from likeness.condition.conditioner import PortraitConditioner, select
from likeness.provenance.manifest import Manifest
from likeness.training.bank import CropBank
from likeness.types import Bools, Condition, FaceParams, Ints, Layer, Shot, Window


class Method(Protocol):
    """A choice for the two slots of the pipeline that differ: condition and synthesize."""

    def manifest(self, title: str) -> Manifest:
        """State what the output is made from."""
        ...

    def condition(self, window: Window, frames: torch.Tensor) -> Condition:
        """Tell the generator about the frames of a window of the output's timeline."""
        ...

    def synthesize(self, condition: Condition) -> Layer:
        """Let the generator answer."""
        ...


class Editor(Protocol):
    """What changes the target's own frames where a portrait would draw them anew."""

    def adapt(self, driver: FaceParams) -> FaceParams:
        """Express a driver's performance for the target's face, before it is transferred."""
        ...

    def condition(self, params: FaceParams, window: Window, frames: torch.Tensor) -> Condition:
        """Tell what to paint into the target's crops (N,3,h,w) of a window."""
        ...

    def draw(self, condition: Condition) -> torch.Tensor:
        """Return the changed crops, (N,3,h,w) RGB in [0,1]."""
        ...

    def alpha(self, condition: Condition) -> torch.Tensor:
        """Return (N,1,h,w) in [0,1]: 0 where the crops were left as they are."""
        ...


@dataclass(frozen=True, eq=False)
class Footage:
    """The frames of a target's clip that an editor may keep something of."""

    conditioner: PortraitConditioner
    """The target's mesh and crop."""
    params: FaceParams
    """Of M frames."""
    bank: CropBank
    """Crops of them."""
    rows: Ints
    """(M,) which frames of the shot they are."""


def own_frames(
    shot: Shot, params: FaceParams, window: Window, shown: Ints | None = None
) -> tuple[FaceParams, Bools]:
    """Return what the target itself does in a window of a timeline, and where it was seen.

    Args:
        shot: the target.
        params: the wanted performance, over the frames of the shot's track or of its whole clip.
        window: frames of `params`.
        shown: (M,) frame of the clip at each moment of the timeline; None is its own order.

    Returns:
        Params of N frames, and (N,) False where the face was guessed: there is none to be changed.
    """
    rows = np.arange(window.start, window.stop)
    if shown is not None:
        rows = shown[rows] - shot.track.start
    elif len(params) != len(shot.track):
        rows = rows - shot.track.start
    inside = rows.clip(0, len(shot.track) - 1)
    return select(shot.params, inside), (rows == inside) & shot.track.observed[inside]


@dataclass(frozen=True)
class Recipe:
    """A method as it stands in a bundle."""

    network: str | None
    """Key of `likeness.networks.NETWORKS`; None for an editor, which has no network."""
    about: str


METHODS: Mapping[str, Recipe] = {
    "reenact.fast": Recipe("portrait", "warped keyframes, blended and completed by a small U-Net"),
    "reenact.paper": Recipe("spacetime", "the space-time network of Deep Video Portraits"),
    "reenact.pix2pix": Recipe("spacetime", "the paper's network on single frames, unrefined"),
    "reenact.face2face": Recipe(None, "expression alone, rendered into the target's own frames"),
    "reenact.obama": Recipe(None, "mouths as medians of many, laid into the target's own frames"),
}
"""Every method by the name that bundles carry."""
