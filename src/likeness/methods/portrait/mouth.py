"""A portrait that paints the lower face alone and leaves every other pixel as it was decoded.

Deep Video Portraits, section 6.2.3 (visual dubbing): the mouth's part of the expression comes from
the dubbing actor, all else from the target. What the paper paints as a whole frame is laid here
only over the lower face; the other pixels, and other people, are those that were decoded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic

import numpy as np
import torch

from likeness.condition.conditioner import PortraitConditioner, select
from likeness.condition.lower_face import lower_face
from likeness.plan.plan import Plan
from likeness.types import Layer, Method, Told, Window


@dataclass(frozen=True, eq=False)
class Masked(Generic[Told]):
    """What a method told its generator, and where that may paint."""

    told: Told
    mask: torch.Tensor
    """(N,1,h,w) in [0,1]."""


@dataclass(frozen=True, eq=False)
class LowerFace(Generic[Told]):
    """Any portrait, held to the lower face."""

    portrait: Method[Told]
    conditioner: PortraitConditioner
    plan: Plan
    """Over the target's own frames."""

    def condition(self, window: Window, frames: torch.Tensor) -> Masked[Told]:
        """Tell the generator about the new faces, and where it may paint."""
        own, seen = self.plan.target_at(window)
        wanted = select(self.plan.wanted, np.arange(window.start, window.stop))
        mask = lower_face(self.conditioner, own, wanted)
        mask = mask * torch.from_numpy(seen.astype(np.float32))[:, None, None, None]
        return Masked(self.portrait.condition(window, frames), mask)

    def synthesize(self, told: Masked[Told]) -> Layer:
        """Draw the crop; only the lower face of it is laid over the frame."""
        layer = self.portrait.synthesize(told.told)
        return replace(layer, alpha=told.mask * layer.alpha)
