"""How faces are moved and warped before a one-to-one network sees them.

What goes in is warped at random; what shall come out is the same face unwarped, so that the network
has to know how the person looks instead of copying (faceswap 2017; DeepFaceLab, section 3.3). Both
are turned, scaled and shifted alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness import geometry
from likeness.errors import ConfigError
from likeness.types import Floats

Bytes = NDArray[np.uint8]

_CELLS = (2, 4, 8)
"""Cells per side of the warp's coarse grid; chance takes one of them."""
_REACH = 0.24
"""Largest movement of a corner of the grid, in units of a cell."""
_DEVIATIONS = 2.5
"""Where the normal distribution of these movements is cut off."""


@dataclass(frozen=True)
class SwapAugmentConfig:
    """Settings of what is done to a face before it is learned from."""

    turn: float = 10.0
    """Degrees at most."""
    zoom: float = 1.15
    """Factor at most, larger or smaller."""
    shift: float = 0.05
    """Sides of the picture at most."""
    mirrored: float = 0.0
    """Share of pictures that are mirrored. People are not symmetric; it helps where there are few
    pictures."""
    warp: float | None = None
    """Strength of the random warp, 0 to 2, DeepFaceLab's is 1; None for what the time allows: where
    it is short, a weaker warp is learned to be undone sooner."""
    hue: float = 0.0
    """How far color, saturation and brightness of the source's inputs stray, 0 to 0.3."""

    def __post_init__(self) -> None:
        if not 0 <= self.turn <= 180 or self.zoom < 1 or not 0 <= self.shift < 1:
            raise ConfigError(
                f"turn is {self.turn}, zoom {self.zoom} and shift {self.shift}, expected 0 to 180 "
                "degrees, a factor from 1 on and a share below 1"
            )
        if not (0 <= self.mirrored <= 1 and 0 <= (self.warp or 0) <= 2 and 0 <= self.hue <= 0.3):
            raise ConfigError(
                f"mirrored is {self.mirrored}, warp {self.warp} and hue {self.hue}, expected 0 to "
                "1, 0 to 2 and 0 to 0.3"
            )


@dataclass(frozen=True, eq=False)
class Move:
    """How one picture is cut from a larger crop."""

    crop_from_larger: Floats
    """(2,3), turned, scaled and shifted; mirrored where its determinant is negative."""
    warp: Floats
    """(side,side,2) way in pixels of the picture from each pixel's center to where it is taken
    from."""


def draw_move(
    random: np.random.Generator, config: SwapAugmentConfig, crop_from_larger: Floats, side: int
) -> Move:
    """Draw how a picture is moved and warped.

    Args:
        random: where chance comes from.
        config: settings.
        crop_from_larger: (2,3) the picture, unmoved, in the larger crop that it is cut from.
        side: of the picture in pixels.
    """
    angle = np.deg2rad(random.uniform(-config.turn, config.turn))
    zoom = random.uniform(1 / config.zoom, config.zoom)
    shift = random.uniform(-config.shift, config.shift, 2) * side
    flip = -1.0 if random.random() < config.mirrored else 1.0
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = turn @ np.diag([flip, 1.0])
    middle = np.full(2, side / 2)
    matrix = np.concatenate([turn, (middle + shift - turn @ middle)[:, None]], 1)
    moved = geometry.compose(matrix, crop_from_larger).astype(np.float32)
    strength = 1.0 if config.warp is None else config.warp
    return Move(moved, random_warp(random, side, strength))


def random_warp(random: np.random.Generator, side: int, strength: float = 1.0) -> Floats:
    """Draw a smooth warp: inner corners of a coarse grid move, what lies between follows.

    Args:
        random: where chance comes from.
        side: of the picture in pixels.
        strength: 1 moves corners by a quarter of a cell at most.

    Returns:
        (side,side,2) x, y ways in pixels; 0 on the border.
    """
    cells = _CELLS[int(random.integers(len(_CELLS)))]
    cell = side / cells
    told = random.normal(size=(cells + 1, cells + 1, 2))
    while (beyond := np.abs(told) > _DEVIATIONS).any():
        told[beyond] = random.normal(size=int(beyond.sum()))
    ways = np.zeros((cells + 1, cells + 1, 2))
    ways[1:-1, 1:-1] = told[1:-1, 1:-1] / _DEVIATIONS * cell * _REACH * strength
    return _between(ways, side).astype(np.float32)


def _between(ways: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """Interpolate (c+1,c+1,2) values at the corners of cells to the centers of pixels."""
    cells = len(ways) - 1
    place = (np.arange(side) + 0.5) * cells / side
    below = np.minimum(place.astype(int), cells - 1)
    share = (place - below)[:, None, None]
    rows = ways[below] * (1 - share) + ways[below + 1] * share
    share = (place - below)[None, :, None]
    blended: NDArray[np.float64] = rows[:, below] * (1 - share) + rows[:, below + 1] * share
    return blended


def taken(larger: Bytes, move: Move, warped: bool) -> Floats:
    """Cut a picture from a larger crop.

    Args:
        larger: (h,w,3) RGB.
        move: how.
        warped: whether along the warp, too.

    Returns:
        (side,side,3) RGB in [0,1]; places outside the larger crop show its border.
    """
    import cv2

    side = len(move.warp)
    centers = np.arange(side, dtype=np.float32) + np.float32(0.5)
    places = np.stack(np.meshgrid(centers, centers), -1)
    if warped:
        places = places + move.warp
    back = geometry.invert(move.crop_from_larger.astype(np.float64)).astype(np.float32)
    # OpenCV counts from the first pixel's center.
    there = geometry.apply(back, places.reshape(-1, 2)).reshape(side, side, 2) - np.float32(0.5)
    found = cv2.remap(larger, there, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(found, np.float32) / 255


def recolored(picture: Floats, random: np.random.Generator, strength: float) -> Floats:
    """Let color, saturation and brightness of (h,w,3) RGB in [0,1] stray."""
    import cv2

    hue, saturation, value = random.uniform(-1, 1, 3) * strength / 2
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + 360 * hue) % 360
    hsv[..., 1:] = np.clip(hsv[..., 1:] + np.array([saturation, value], np.float32), 0, 1)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.float32)
