"""How a coded picture is shown: cropped, mirrored, turned upright, and with square pixels.

Everything behind `decode` measures in pixels: how wide a mouth is against how high. So frames leave
this stage as a camera would have seen them. A container may say that its pixels are wider than high
(broadcast, DV, anamorphic lenses); such frames are stretched along the shorter side of a pixel,
never shrunk, and the clip then says that its pixels are square. Within one percent they count as
square and nothing is stretched, for rounding makes odd ratios such as 1279:1280 everywhere.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from likeness.decode.aperture import Rectangle
from likeness.decode.limits import PIXEL_ASPECTS, check_pixels

log = logging.getLogger(__name__)

_NEARLY_SQUARE = Fraction(1, 100)


def is_square(aspect: Fraction) -> bool:
    """Tell whether pixels of this aspect are taken as square."""
    return abs(aspect - 1) <= _NEARLY_SQUARE


@dataclass(frozen=True, slots=True)
class Shown:
    """What turns the decoder's pictures into frames, in this order: crop, mirror, turn, stretch."""

    coded: tuple[int, int]
    """(h, w) as the decoder gives it."""
    crop: Rectangle
    """The part of it that is meant to be seen."""
    degrees: int = 0
    """Clockwise turn that makes it upright: 0, 90, 180 or 270."""
    mirrored: bool = False
    """Left and right are exchanged before the turn."""
    aspect: Fraction = Fraction(1)
    """Width of an upright pixel over its height."""
    squared: bool = True
    """Whether frames are stretched until their pixels are square."""

    @property
    def lying(self) -> bool:
        """Whether rows become columns."""
        return self.degrees in (90, 270)

    @property
    def upright(self) -> tuple[int, int]:
        """(h, w) after cropping and turning, before stretching."""
        height, width = self.crop.height, self.crop.width
        return (width, height) if self.lying else (height, width)

    @property
    def is_stretched(self) -> bool:
        """Whether pixels are made square."""
        return self.size != self.upright

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the frames that are handed out."""
        height, width = self.upright
        if not self.squared or is_square(self.aspect):
            return height, width
        if self.aspect > 1:
            return height, round(width * self.aspect)
        return round(height / self.aspect), width

    @property
    def pixel_aspect(self) -> Fraction:
        """What is left for the clip to say: 1 where frames are stretched."""
        return Fraction(1) if self.is_stretched else self.aspect


def upright_aspect(found: Fraction | None, degrees: int, path: Path) -> Fraction:
    """Return the aspect of pixels after a turn; 1 for what the container leaves open or gets wrong.

    Args:
        found: Width over height of a coded pixel, as the container says.
        degrees: Clockwise turn.
        path: For the warning.
    """
    if not found or found <= 0:
        return Fraction(1)
    if not PIXEL_ASPECTS[0] <= found <= PIXEL_ASPECTS[1]:
        log.warning(
            "%s says that its pixels are %.4g times as wide as high; they are taken as square",
            path,
            float(found),
        )
        return Fraction(1)
    return 1 / found if degrees in (90, 270) else found


def check_shown(shown: Shown, path: Path) -> Shown:
    """Return `shown` if both the coded and the shown picture are of a size that can be worked on.

    Raises:
        MediaError: One of them is too large.
    """
    for height, width in (shown.coded, shown.size):
        check_pixels(width, height, path)
    return shown
