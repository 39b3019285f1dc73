"""What a method must offer to be judged by frames of its own clip that training never saw."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from likeness.composite import composite
from likeness.condition.crop import cut
from likeness.methods.protocol import Method
from likeness.methods.reenact import PortraitModel
from likeness.types import Crop, Ints, Shot, Window


class Subject(Protocol):
    """Somebody's likeness that can repeat the clip it was made from."""

    @property
    def shot(self) -> Shot:
        """The target."""
        ...

    @property
    def train_frames(self) -> Ints:
        """(M,) frames of the shot that were learned from, 0 to M - 1; the others are held out."""
        ...

    def crop(self, count: int) -> Crop:
        """Return the square that is judged, for `count` frames."""
        ...

    def repeat(self, rows: Window, frames: torch.Tensor) -> torch.Tensor:
        """Show what the target does in some frames of its shot.

        Args:
            rows: n frames of the shot.
            frames: (n,3,H,W) the real frames, for methods that paint into them; what is painted
                must not be read from them.

        Returns:
            (n,3,h,w) RGB in [0,1]: the square that is judged.
        """
        ...


@dataclass(frozen=True, eq=False)
class PortraitSubject:
    """A trained portrait: its crop is judged as the generator draws it."""

    portrait: PortraitModel
    body_keyframes: Ints | None = field(init=False)
    """Keyframes that lend the body: chosen by the params alone, as at run time."""

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "body_keyframes", self.portrait.choose_body_keyframes(self.portrait.shot.params)
        )

    @property
    def shot(self) -> Shot:
        """The target."""
        return self.portrait.shot

    @property
    def train_frames(self) -> Ints:
        """(M,) frames that training used."""
        return self.portrait.train_frames

    def crop(self, count: int) -> Crop:
        """Return the portrait's square."""
        return self.portrait.conditioner.crop(count)

    def repeat(self, rows: Window, frames: torch.Tensor) -> torch.Tensor:
        """Draw from the params of the frames; only an editor looks at their pixels."""
        crops = cut(frames, self.crop(len(rows))) if self.portrait.editor is not None else None
        told = self.portrait.condition(
            self.shot.params, rows, crops, body_keyframes=self.body_keyframes
        )
        return self.portrait.draw(told)


@dataclass(frozen=True, eq=False)
class MethodSubject:
    """Any method in the pipeline's slots, given the target's own performance: judged as painted."""

    method: Method
    shot: Shot
    train_frames: Ints
    square: Crop
    """One frame: the square that is judged."""

    def crop(self, count: int) -> Crop:
        """Return the square for `count` frames."""
        return Crop(self.square.size, np.repeat(self.square.crop_from_frame[:1], count, 0))

    def repeat(self, rows: Window, frames: torch.Tensor) -> torch.Tensor:
        """Paint into the frames and cut the square out of the result."""
        start = self.shot.track.start
        window = Window(rows.start + start, rows.stop + start)
        painted = composite(frames, self.method.synthesize(self.method.condition(window, frames)))
        return cut(painted, self.crop(len(rows)))
