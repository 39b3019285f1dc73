"""Cut chips out of frames as dlib cuts them: pixels decide what a recognizer says.

Where a chip has less than half the frame's resolution, the frame is halved first, as often as
needed, with the kernel (1 4 6 4 1)/16 in both directions; then the chip is sampled bilinearly, and
black where a neighbor is missing. After each step fractions of a level of 255 are dropped, as in a
picture of bytes; gradients pass as if they had been kept.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from likeness import geometry
from likeness.types import Crop, Floats, check

_KERNEL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
_BORDER = 2
"""Pixels around the chip's square that are kept on the last level."""
_ROUNDING = 1e-4
"""Levels below a whole one that are an error of float32 and not a fraction."""
_SHIFT = (1.25, 0.75)
"""What dlib takes off x and y at every level: a quarter pixel beside the kernel's own place, which
chips must share to be dlib's."""


def cut_chips(frames: Tensor, crop: Crop) -> Tensor:
    """Cut chips out of frames.

    Args:
        frames: (N,3,H,W) RGB in [0,1].
        crop: N similarities, from `aligned_crop` of a template of dlib's.

    Returns:
        (N,3,h,w) RGB in [0,1], differentiable in the frames.
    """
    check(len(frames) == len(crop), f"{len(frames)} frames for {len(crop)} crops")
    if not len(frames):
        return frames.new_zeros((0, frames.shape[1], *crop.size))
    matrices = geometry.invert(crop.crop_from_frame.astype(np.float64))
    pairs = zip(frames, matrices, strict=True)
    return torch.cat([_cut(frame[None], matrix, crop.size) for frame, matrix in pairs])


def _cut(frame: Tensor, frame_from_crop: Floats, size: tuple[int, int]) -> Tensor:
    h, w = size
    ys, xs = np.mgrid[0:h, 0:w]
    centers = np.stack([xs, ys], -1).reshape(-1, 2) + 0.5
    # From here on the center of the first pixel is (0, 0), as dlib counts.
    positions = geometry.apply(frame_from_crop, centers) - 0.5
    levels = _levels(positions.reshape(h, w, 2))
    x0, y0, x1, y1 = _around(positions, levels, (frame.shape[2], frame.shape[3]))
    if x0 > x1 or y0 > y1:
        return frame.new_zeros((1, frame.shape[1], h, w))
    part = frame[:, :, y0 : y1 + 1, x0 : x1 + 1]
    positions = positions - (x0, y0)
    for _ in range(levels):
        if min(part.shape[2:]) <= 8:  # dlib has no smaller level, and the chip is black
            return frame.new_zeros((1, frame.shape[1], h, w))
        part = _whole(_half(part))
        middle = positions.mean(0)
        # dlib moves the corners of an upright square and turns it afterward: the middle moves,
        # and what lies around it is halved.
        positions = (positions - middle) / 2 + middle / 2 - _SHIFT
    return _whole(_sampled(part, positions, size))


def _levels(positions: Floats) -> int:
    """Tell how often the frame is halved: while half the square has more pixels than the chip."""
    h, w = positions.shape[:2]
    wide = float(np.linalg.norm(positions[0, -1] - positions[0, 0]))
    high = float(np.linalg.norm(positions[-1, 0] - positions[0, 0]))
    levels = 0
    while (wide / 2 + 1) * (high / 2 + 1) > h * w:
        wide, high, levels = wide / 2, high / 2, levels + 1
    return levels


def _around(
    positions: Floats, levels: int, frame_size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Return the first and last column and row (x0, y0, x1, y1) of the frame that matter."""
    grow = _BORDER
    for _ in range(levels):
        grow = 2 * grow + _BORDER
    low = np.maximum(positions.min(0) - grow, 0)
    high = np.minimum(positions.max(0) + grow, (frame_size[1] - 1, frame_size[0] - 1))
    x0, y0, x1, y1 = (int(np.floor(v + 0.5)) for v in (*low, *high))
    return x0, y0, x1, y1


def _half(x: Tensor) -> Tensor:
    """Halve (1,C,h,w), unpadded: pixel i of the answer lies on pixel 2i + 2."""
    kernel = torch.tensor(_KERNEL, dtype=x.dtype, device=x.device)
    channels = x.shape[1]
    for shape, stride in (((1, 1, 1, 5), (1, 2)), ((1, 1, 5, 1), (2, 1))):
        weight = kernel.view(shape).expand(channels, -1, -1, -1)
        x = functional.conv2d(x, weight, stride=stride, groups=channels)
    return x


def _sampled(x: Tensor, positions: Floats, size: tuple[int, int]) -> Tensor:
    """Sample (1,C,H,W) bilinearly at (h*w,2) positions, 0 where one of four pixels is missing."""
    limits = np.array([x.shape[3], x.shape[2]], np.float64)
    corner = np.floor(positions)
    inside = ((corner >= 0) & (corner + 1 <= limits - 1)).all(-1)
    grid = (positions + 0.5) / limits * 2 - 1
    place = torch.from_numpy(grid.reshape(1, *size, 2).astype(np.float32)).to(x)
    sampled = functional.grid_sample(x, place, padding_mode="border", align_corners=False)
    return sampled * torch.from_numpy(inside.reshape(1, 1, *size)).to(x)


def _whole(x: Tensor) -> Tensor:
    """Drop fractions of a level from pixels in [0,1], with the gradient of x itself."""
    return x + (torch.floor(x * 255 + _ROUNDING) / 255 - x).detach()
