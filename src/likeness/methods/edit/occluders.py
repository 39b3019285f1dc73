"""What passes in front of an edited face stays as it is, whatever engine draws.

Found as the finish of swaps finds it (`methods/swap/occlusion.py`), and brought into the crop in
which an engine draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from likeness.methods.swap.method import seconds_of
from likeness.methods.swap.occlusion import Occlusion, occlusion_of
from likeness.methods.swap.view import SwapTarget, moved
from likeness.plan.plan import Plan
from likeness.types import Crop, Window

SETTINGS = "occluders"
"""Key of a plan's settings that says whether they are kept; they are where it is missing."""


@dataclass(frozen=True, eq=False)
class Occluders:
    """Tells window by window what of a face is seen, in any crop."""

    occlusion: Occlusion

    @staticmethod
    def of(plan: Plan) -> Occluders | None:
        """Learn what the person of a plan looks like.

        Returns:
            None where nobody wants it, or the clip shows the face in less than three frames.

        Raises:
            MediaError: the clip cannot be read.
        """
        if not plan.settings.get(SETTINGS, True):
            return None
        found = occlusion_of(SwapTarget.of(plan.shot, seconds_of(plan.timeline)))
        return None if found is None else Occluders(found)

    def visible(self, window: Window, frames: torch.Tensor, crop: Crop) -> torch.Tensor:
        """Return (N,1,h,w) in [0,1]: zero where something covers the face, one elsewhere.

        Args:
            window: of the output.
            frames: (N,3,H,W) RGB in [0,1], as decoded.
            crop: N similarities: where it is wanted.
        """
        view = self.occlusion.target.view(window, frames)
        covered = 1 - self.occlusion.visible(view)
        if not covered.any():
            return frames.new_ones((len(frames), 1, *crop.size))
        return (1 - moved(covered, view.crop, crop)).clamp(0, 1)
