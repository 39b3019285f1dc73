"""The paper's portrait: a network that sees a run of guide images (Deep Video Portraits)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from likeness.condition.conditioner import GuideStack, PortraitConditioner, select
from likeness.errors import BundleError
from likeness.methods.portrait.model import PortraitModel, open_model
from likeness.methods.portrait.mouth import LowerFace
from likeness.plan.plan import Plan
from likeness.synthesize.spacetime import Spacetime, SpacetimeConfig
from likeness.types import Bundle, FaceParams, Layer, Method, Window


@dataclass(frozen=True, eq=False)
class SpacetimePortrait:
    """The method in the pipeline's slots."""

    model: PortraitModel
    config: SpacetimeConfig
    """Of the network: how many guide frames it sees, and which."""
    params: FaceParams
    """What the face shall do, one per frame of the output."""
    conditioner: PortraitConditioner = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "conditioner", self.model.shaped(self.params))

    def condition(self, window: Window, frames: torch.Tensor) -> GuideStack:
        """Paint guides of the frames and of those that lead to them."""
        length = self.config.window
        rows = np.arange(window.start - length + 1, window.stop).clip(0)
        return self.conditioner.from_window(select(self.params, rows), length, self.config.channels)

    def synthesize(self, told: GuideStack) -> Layer:
        """Draw the crop; it covers the square, softly where the square ends inside the frame."""
        return self.model.layer(self.model.draw(told.maps))


def open_spacetime(bundle: Bundle, plan: Plan, device: torch.device) -> Method[Any]:
    """Open the portrait of a bundle for a plan.

    Raises:
        BundleError: network and weights do not fit.
    """
    model = open_model(bundle, "spacetime", device)
    if not isinstance(model.generator, Spacetime):
        raise BundleError(f"{bundle.method!r} has no space-time network; train it again")
    method = SpacetimePortrait(model, model.generator.config, plan.wanted)
    return LowerFace(method, model.conditioner, plan) if plan.lower_face else method
