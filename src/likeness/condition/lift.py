"""Keyframes made ready in one pass: sharpened, cut into layers, a pixel's numbers together.

What `gallery.compensated` and `matte.layered` say for pictures in [0,1], for all keyframes of a
portrait as they rest on disk; in steps over whole pictures it is most of what opening one takes.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from likeness.compiled import njit
from likeness.condition.gallery import TAPS
from likeness.condition.matte import Layers
from likeness.types import Floats

_SIDE, _MIDDLE = float(TAPS[0]), float(TAPS[1])


def lifted(pictures: torch.Tensor, layers: Layers | None) -> torch.Tensor:
    """Sharpen keyframes and lift the person off the plate.

    Args:
        pictures: (G,3,h,w) uint8 crops.
        layers: mattes and plate; without, each keyframe is one layer that covers all.

    Returns:
        (G,4,h,w) uint8: color times coverage, and coverage; in memory (G,h,w,4).
    """
    count, _, h, w = pictures.shape
    out = np.empty((count, h, w), np.uint32)
    if layers is None:
        whole = np.full((1, h, w), 255, np.uint8)
        mattes = np.broadcast_to(whole, (count, h, w))
        plate = np.zeros((3, h, w), np.float32)
    else:
        mattes, plate = layers.mattes.numpy(), layers.plate.float().contiguous().numpy()
    for picture, matte, row in zip(pictures.contiguous().numpy(), mattes, out, strict=True):
        _lift(picture, np.ascontiguousarray(matte), plate, row)
    # The first number is the lowest byte on disk and in memory alike.
    levels = out.astype("<u4", copy=False).view(np.uint8).reshape(count, h, w, 4)
    return torch.from_numpy(levels).permute(0, 3, 1, 2)


@njit(cache=True, nogil=True, fastmath=True)
def _sharpened(
    plane: NDArray[np.uint8], row: int, line: Floats, out: Floats
) -> None:  # pragma: no cover - compiled
    """Write row `row` of (h,w), sharpened along both axes, in [0,1]; line (w+2,) is scratch."""
    above, here = plane[max(row - 1, 0)], plane[row]
    below, width = plane[min(row + 1, len(plane) - 1)], len(out)
    side, middle = np.float32(_SIDE / 255), np.float32(_MIDDLE / 255)
    for x in range(width):
        beside = np.float32(above[x]) + np.float32(below[x])
        line[x + 1] = middle * np.float32(here[x]) + side * beside
    line[0], line[width + 1] = line[1], line[width]
    side, middle = np.float32(_SIDE), np.float32(_MIDDLE)
    for x in range(width):
        value = middle * line[x + 1] + side * (line[x] + line[x + 2])
        out[x] = min(max(value, np.float32(0)), np.float32(1))


@njit(cache=True, nogil=True, fastmath=True)
def _lift(
    picture: NDArray[np.uint8],
    matte: NDArray[np.uint8],
    plate: Floats,
    out: NDArray[np.uint32],
) -> None:  # pragma: no cover - compiled
    """Write (h,w) pixels of four bytes from (3,h,w), (h,w) coverage and (3,h,w) in [0,1]."""
    height, width = matte.shape
    line, sharp = np.empty(width + 2, np.float32), np.empty(width, np.float32)
    half, most = np.float32(0.5), np.float32(255)
    for row in range(height):
        cover, bits = matte[row], out[row]
        for x in range(width):
            bits[x] = np.uint32(cover[x]) << np.uint32(24)
        for c in range(3):
            _sharpened(picture[c], row, line, sharp)
            wall, shift = plate[c, row], np.uint32(8 * c)
            for x in range(width):
                coverage = np.float32(cover[x]) / most
                color = max(sharp[x] - (np.float32(1) - coverage) * wall[x], np.float32(0))
                level = np.int32(min(color, coverage) * most + half)
                bits[x] |= np.uint32(level) << shift
