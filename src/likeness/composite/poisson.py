"""Poisson blending (Perez, Gangnet and Blake 2003): gradients of one picture, borders of the other.

The answer is the drawn face plus the smoothest correction that meets the target at the border: a
membrane, Laplace(c) = 0 inside and c = under - over outside. Solved in float from coarse to fine,
so that it has no steps of 8 bits and does not jump where a bounding box moves by a pixel.
"""

from __future__ import annotations

import numpy as np

from likeness.compiled import njit
from likeness.composite.filters import shrunk, spread
from likeness.types import Bools, Floats

_SWEEPS = 24
_COARSE_SWEEPS = 240
_COARSEST = 24
_RELAX = 1.6
"""Over-relaxation of the sweeps: between 1, plain, and 2, unstable."""
INSIDE = 0.1
"""Alpha from which on a place belongs to the face."""


def blend_poisson(under: Floats, over: Floats, alpha: Floats) -> Floats:
    """Return (h,w,3) in [0,1]: `over` where alpha is above `INSIDE`, moved to meet `under`.

    Args:
        under: (h,w,3) RGB in [0,1]: the target.
        over: (h,w,3) RGB in [0,1]: the drawn face.
        alpha: (h,w) in [0,1].
    """
    inside = alpha > INSIDE
    # The border of the picture holds nothing to meet.
    inside[[0, -1]] = False
    inside[:, [0, -1]] = False
    if not inside.any():
        return under
    apart = np.ascontiguousarray(under - over, np.float32)
    membrane = _solved(apart, inside)
    answer = np.where(inside[..., None], over + membrane, under)
    return np.asarray(np.clip(answer, 0, 1), np.float32)


def _solved(apart: Floats, inside: Bools) -> Floats:
    """Solve for the membrane: (h,w,3), `apart` itself where `inside` is False."""
    h, w = inside.shape
    if min(h, w) <= _COARSEST:
        start = np.where(inside[..., None], 0, apart).astype(np.float32)
        outside = ~inside
        if outside.any():
            start[inside] = apart[outside].mean(0)
        return _relaxed(start, inside, _COARSE_SWEEPS)
    size = ((h + 1) // 2, (w + 1) // 2)
    known = (~inside).astype(np.float32)
    weight = shrunk(known, size)
    values = shrunk(apart * known[..., None], size)
    coarse_inside = weight < 0.5
    coarse = np.asarray(values / np.maximum(weight, 1e-3)[..., None], np.float32)
    guess = spread(_solved(coarse, coarse_inside), (h, w))
    start = np.where(inside[..., None], guess, apart).astype(np.float32)
    return _relaxed(start, inside, _SWEEPS)


@njit(cache=True, nogil=True)
def _relaxed(start: Floats, inside: Bools, sweeps: int) -> Floats:  # pragma: no cover - compiled
    """Sweep over the inside in place, red squares before black ones, so that no side is first."""
    h, w, channels = start.shape
    relax = np.float32(_RELAX)
    quarter = np.float32(0.25)
    for sweep in range(2 * sweeps):
        for y in range(h):
            for x in range((y + sweep) % 2, w, 2):
                if not inside[y, x]:
                    continue
                up, down = max(y - 1, 0), min(y + 1, h - 1)
                left, right = max(x - 1, 0), min(x + 1, w - 1)
                for c in range(channels):
                    mean = quarter * (
                        start[up, x, c] + start[down, x, c] + start[y, left, c] + start[y, right, c]
                    )
                    start[y, x, c] += relax * (mean - start[y, x, c])
    return start
