"""What a method is, and the table of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

from likeness.provenance.manifest import Manifest
from likeness.types import Condition, Layer, Window


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


@dataclass(frozen=True)
class Recipe:
    """A method as it stands in a bundle."""

    network: str
    """Key of `likeness.networks.NETWORKS`."""
    about: str


METHODS: Mapping[str, Recipe] = {
    "reenact.fast": Recipe("portrait", "warped keyframes, blended and completed by a small U-Net"),
    "reenact.paper": Recipe("spacetime", "the space-time network of Deep Video Portraits"),
    "reenact.pix2pix": Recipe("spacetime", "the paper's network on single frames, unrefined"),
}
"""Every method by the name that bundles carry."""
