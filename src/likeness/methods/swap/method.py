"""A swap in the pipeline's slots: any swapper, and the finish that all of them share."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from likeness.composite.finish import FinishConfig, finish, hidden
from likeness.methods.swap.view import SwapFace, Swapper, SwapTarget, TargetView
from likeness.plan.plan import Plan
from likeness.types import Layer, Window


@dataclass(frozen=True, eq=False)
class Swapped:
    """The target's frames in, frames with the source's face out."""

    swapper: Swapper
    target: SwapTarget
    config: FinishConfig

    def condition(self, window: Window, frames: torch.Tensor) -> TargetView:
        """Cut out the target's face and tell what it does."""
        return self.target.view(window, frames)

    def synthesize(self, told: TargetView) -> Layer:
        """Draw the source's face and make it part of the picture."""
        face = self.swapper.draw(told)
        finished = finish(face.rgb, face.alpha, told.pixels, told.landmarks, self.config)
        return self._missed(told, SwapFace(*finished))

    def _missed(self, told: TargetView, face: SwapFace) -> Layer:
        """Do what `on_miss` says where the target's face was not seen."""
        chosen = slice(told.window.start, told.window.stop)
        observed = torch.from_numpy(self.target.observed[chosen])[:, None, None, None]
        present = torch.from_numpy(self.target.present[chosen])[:, None, None, None]
        if self.config.on_miss == "hold":
            return Layer(told.crop, face.rgb, face.alpha * present)
        if self.config.on_miss == "original":
            return Layer(told.crop, face.rgb, face.alpha * observed)
        rgb, alpha = hidden(told.pixels, told.landmarks, self.config.on_miss)
        return Layer(
            told.crop,
            torch.where(observed, face.rgb, rgb),
            torch.where(observed, face.alpha, alpha),
        )


def swapped(swapper: Swapper, plan: Plan) -> Swapped:
    """Fill the pipeline's slots with a swapper, for the person that a plan changes."""
    seconds = (plan.timeline.pts - plan.timeline.pts[0]) * float(plan.timeline.time_base)
    return Swapped(swapper, SwapTarget.of(plan.shot, seconds), plan.finish or FinishConfig())
