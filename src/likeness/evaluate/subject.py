"""A method that is judged by the frames of its own clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from likeness.condition.crop import cut
from likeness.methods.table import recipe_of
from likeness.painting import paint
from likeness.plan.plan import repetition
from likeness.plan.target import Target
from likeness.types import Bundle, Crop, Ints, Method, Shot, Window


@dataclass(frozen=True, eq=False)
class Subject:
    """A method that repeats what its target does in the target's own clip."""

    method: Method[Any]
    """Opened for a plan over the frames of the clip."""
    shot: Shot
    """The target."""
    train_frames: Ints
    """(K,) frames of the shot that training used: the first ones."""
    square: Crop
    """One frame: the square that is judged."""
    as_drawn: bool = False
    """Judge what the generator draws, not what is painted into the frame."""

    def crop(self, count: int) -> Crop:
        """Return the square for `count` frames."""
        return Crop(self.square.size, np.repeat(self.square.crop_from_frame[:1], count, 0))

    def repeat(self, rows: Window, frames: torch.Tensor) -> torch.Tensor:
        """Do again what the target does.

        Args:
            rows: n frames of the shot's track.
            frames: (n,3,H,W) RGB in [0,1] of them; a method that is to draw must not copy them.

        Returns:
            (n,3,h,w) RGB in [0,1]: the square that is judged.
        """
        start = self.shot.track.start
        window = Window(rows.start + start, rows.stop + start)
        if self.as_drawn:
            return self.method.synthesize(self.method.condition(window, frames)).rgb
        return cut(paint(frames, [self.method], window), self.crop(len(rows)))


def subject_of(bundle: Bundle, device: torch.device) -> Subject:
    """Let a portrait repeat its own clip: the body, too, is drawn and not taken from the frames.

    Raises:
        BundleError: the bundle is no portrait.
    """
    recipe, target = recipe_of(bundle, "reenact"), Target.of(bundle)
    method = recipe.open(bundle, repetition(target.shot), device)
    return Subject(method, target.shot, target.train_frames, target.square, as_drawn=True)
