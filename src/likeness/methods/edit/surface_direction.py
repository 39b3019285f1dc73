"""What a direction of the surface engine is: it moves the face's surface, or shades it, or both."""

from __future__ import annotations

from typing import Protocol

from likeness.methods.edit.surface_view import FrameView
from likeness.types import Floats


class Direction(Protocol):
    """One direction, made ready for one clip; asked by several threads at once."""

    def move(self, view: FrameView, strength: float) -> Floats | None:
        """(F,3) millimetres of head space that the face's vertices move, or None."""
        ...

    def shade(self, view: FrameView, strength: float) -> Floats | None:
        """(h,w,3) logarithm of the factor on each pixel, or None; 0 leaves a pixel untouched."""
        ...
