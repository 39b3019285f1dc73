"""Blending a swapped face band by band, with the coarsest bands left to the target.

The recipe of Naruniec et al. (2020): where the drawn face reaches, fine bands are its own and the
broadest ones, light and shade across the face, stay the target's. Both pyramids are linear, so that
one of the difference, D = over - under, does the work of two:

    answer = under + sum_l gain_l G_l(a) L_l(D),  without the coarsest bands.

Where nothing differs, nothing changes, bit for bit.
"""

from __future__ import annotations

import cv2
import numpy as np

from likeness.composite.filters import averaged, doubled, halved, ramp, shrunk, spread
from likeness.composite.loops import add_band, difference, raised
from likeness.types import Floats

_LEAST = 6
"""Side in pixels of the smallest band."""
_BESIDE = 0.06
"""Width of the border beside a face in which broad bands may change the picture, in sides of the
crop."""
_GAIN = (0.5, 2.0)
"""Least and greatest change of local contrast."""
_CLOSE = 0.05
"""Energy of a band, in [0,1] squared times a million, that two bands have in common at least."""


def blend_bands(
    under: Floats, over: Floats, alpha: Floats, bands: int, kept: int, contrast: float = 0.0
) -> Floats:
    """Lay one picture over another, each band over a border as wide as its own waves.

    Args:
        under: (h,w,3) RGB in [0,1]: the target.
        over: (h,w,3) RGB in [0,1]: the drawn face.
        alpha: (h,w) in [0,1].
        bands: how many, the coarsest one included.
        kept: how many of the coarsest are the target's own, less than `bands`.
        contrast: share, in [0,1], to which each band takes over the target's local contrast.

    Returns:
        (h,w,3) in [0,1].
    """
    apart = difference(over, under, alpha)
    if contrast > 0:
        apart = apart + contrast * _contrast(under, over, alpha, bands)
    wholes, masks, coarse = [], [], []
    whole, mask = apart, alpha
    for _ in range(bands - 1):
        if min(mask.shape) < 2 * _LEAST:
            break
        smaller = halved(whole)
        wholes.append(whole)
        masks.append(mask)
        coarse.append(doubled(smaller, (mask.shape[0], mask.shape[1])))
        whole, mask = smaller, halved(mask)
    left_out = max(0, kept - (bands - 1 - len(wholes)))
    answer = np.zeros_like(whole) if left_out > 0 else whole * mask[..., None]
    for level in range(len(wholes) - 1, -1, -1):
        answer = doubled(answer, (masks[level].shape[0], masks[level].shape[1]))
        if len(wholes) - level >= left_out:
            add_band(answer, wholes[level], coarse[level], masks[level])
    return raised(under, answer)


def reach(alpha: Floats, bands: int) -> Floats:
    """Return (h,w) in [0,1]: one where a face lies, falling to zero where bands have run out.

    Broad bands change the picture beside the face, too, ever less; a border of `_BESIDE` takes the
    rest of it to nothing.
    """
    side = max(alpha.shape)
    # Each halving spreads two pixels of its level both ways, and coming back as many again.
    width = min(_BESIDE * side, 4 * 2 ** (bands - 1) + 1)
    small = (-(-alpha.shape[0] // 2), -(-alpha.shape[1] // 2))
    away = cv2.distanceTransform(
        (shrunk(alpha, small) <= 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5
    )
    return spread(ramp(1 - np.maximum(2 * away - 2, 0) / width), (alpha.shape[0], alpha.shape[1]))


def _contrast(under: Floats, over: Floats, alpha: Floats, bands: int) -> Floats:
    """What has to be added to `over` for each band to have the target's local contrast."""
    inner = (alpha > 0.5).astype(np.float32)
    total = np.zeros_like(under)
    below, above, mask = under, over, inner
    changes = []
    for _ in range(bands - 1):
        if min(below.shape[:2]) < 2 * _LEAST:
            break
        size = (below.shape[0], below.shape[1])
        smaller = halved(below), halved(above), halved(mask)
        theirs = below - doubled(smaller[0], size)
        own = above - doubled(smaller[1], size)
        side = max(3, min(size) // 12) | 1
        energy = [averaged((band**2).mean(-1) * mask, side) for band in (theirs, own)]
        known = np.maximum(averaged(mask, side), 1e-3)
        floor = _CLOSE * 1e-6
        gain = np.sqrt((energy[0] / known + floor) / (energy[1] / known + floor))
        changes.append(own * (np.clip(gain, *_GAIN) - 1)[..., None] * mask[..., None])
        below, above, mask = smaller
    for level, change in enumerate(reversed(changes)):
        size = (change.shape[0], change.shape[1])
        total = change if level == 0 else doubled(total, size) + change
    return np.asarray(total, np.float32)
