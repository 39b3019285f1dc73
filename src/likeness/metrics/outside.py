"""Did anything change that nobody asked to be changed?

Before encoding that is a question of bits, and `changed_outside` answers it. A file was encoded:
every pixel differs a little. There `changed_far` asks what differs by more than coding explains.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from likeness.metrics.regions import FACE_OVAL, fill_convex
from likeness.types import Bools, Floats, check

BLOCK = 8
"""Side in pixels of the blocks that are compared: coders leave their means nearly alone."""
_GROWN = 1.9
"""Size of what belongs to the face, in sizes of the face's oval: hairline, chin and soft edges."""
_FLOOR, _CEILING = 4 / 255, 8 / 255
"""A block is changed from a difference between these on."""
_TIMES = 6.0
"""... which is this many times the median difference of all blocks outside."""
_AROUND = 5
"""Blocks of 3x3 that have to be changed for the middle one to count: coders err here and there."""


def changed_outside(target: Tensor, result: Tensor, alpha: Tensor) -> Floats:
    """Return the share of untouched pixels that are not the target's own, bit for bit.

    Args:
        target, result: (n,3,h,w) frames before encoding.
        alpha: (n,1,h,w) of the layer in the frame; where it is 0 nothing may change.

    Returns:
        (n,) shares of the pixels with alpha 0; NaN where there are none.
    """
    check(target.shape == result.shape, f"shapes differ: {target.shape} and {result.shape}")
    outside = alpha[:, 0] == 0
    differs = (target != result).any(1) & outside
    counts = torch.stack([differs.sum((1, 2)), outside.sum((1, 2))]).double().numpy()
    share: Floats = np.where(counts[1] > 0, counts[0] / np.maximum(counts[1], 1), np.nan)
    return share.astype(np.float32)


def changed_far(
    target: Tensor, result: Tensor, landmarks: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Estimate from encoded frames which share of the picture far from the face was changed.

    Far is what lies beyond the hull of the target's and of the result's face, both enlarged 1.9
    times. Compared are means of 8x8 blocks, because a coder's noise hardly moves them, and a
    watermark does not. A block counts as changed where its mean is off by more than six times the
    median of all far blocks, at least 4 and at most 8 steps of 255, and most of the blocks around
    it are, too.

    Args:
        target, result: (n,3,h,w) RGB in [0,1].
        landmarks: (n,478,>=2) pixels of the target's faces and of the result's; NaN where unseen.

    Returns:
        (n,) shares of the far blocks; (n,) medians of their differences in RGB [0,1], which tell
        how much the coder (or a change of the whole picture) moved them all. NaN where less than
        2 % of the picture is far.
    """
    check(target.shape == result.shape, f"shapes differ: {target.shape} and {result.shape}")
    apart = functional.avg_pool2d(result - target, BLOCK).abs().amax(1).numpy()
    size = (int(target.shape[2]), int(target.shape[3]))
    near = _grown(landmarks[0], size) | _grown(landmarks[1], size)
    touched = functional.max_pool2d(torch.from_numpy(near)[:, None].float(), BLOCK)[:, 0] > 0
    shares, noise = (np.full(len(target), np.nan, np.float32) for _ in range(2))
    for i, (differences, covered) in enumerate(zip(apart, touched.numpy(), strict=True)):
        far = differences[~covered]
        if far.size < max(4, 0.02 * differences.size):
            continue
        noise[i] = np.median(far)
        off = (differences > np.clip(_TIMES * noise[i], _FLOOR, _CEILING)) & ~covered
        around = ndimage.uniform_filter(off.astype(np.float32), 3, mode="nearest") * 9
        shares[i] = (off & (around > _AROUND - 0.5))[~covered].mean()
    return shares, noise


def _grown(landmarks: Floats, size: tuple[int, int]) -> Bools:
    """(n,h,w) the hull of the face's oval, enlarged about its middle; nothing without a face."""
    masks = np.zeros((len(landmarks), *size), np.bool_)
    for mask, points in zip(
        masks, np.asarray(landmarks, np.float64)[:, FACE_OVAL, :2], strict=True
    ):
        if np.isfinite(points).all():
            middle = points.mean(0)
            mask |= fill_convex(middle + _GROWN * (points - middle), size)
    return masks
