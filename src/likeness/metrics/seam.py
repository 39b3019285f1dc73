"""Is there a seam around a swapped face? An edge where the change begins and the target has none.

Pictures are squares around the target's face (`swap.face_square`), so that pixels are shares of the
face's size.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from torch import Tensor

from likeness.types import Bools, Floats, check

_CHANGED = 0.02
"""Difference in RGB [0,1], averaged over a few pixels, from which on a place counts as changed."""
_SMOOTH = 0.008
"""Deviation of that average in sides of the square."""
_REACH = 0.01
"""Width across which a step is measured, in sides of the square: a fiftieth of the face."""
_SHIFTS = (-2.0, -1.0, 0.0, 1.0, 2.0)
"""Places at which the step is looked for, in reaches from the edge of the change: a coder's noise
moves that edge a little."""
_LEAST = 0.002
"""Share of the square that has to be changed before there is an edge."""


def seam(target: Tensor, result: Tensor) -> Floats:
    """Measure how much sharper the result's edge is than the target's own, where the change begins.

    The changed region is where both differ by more than 0.02 after smoothing, with its holes
    filled, as far as it touches the middle of the square. Along its outline the step of color
    across a fiftieth of the face is compared: mean of |step of the result| - |step of the target|,
    at the worst of five places beside the outline. So an outline that the target has itself (a jaw
    before a dark collar) is no seam.

    Args:
        target, result: (n,3,s,s) RGB in [0,1], squares around the target's face.

    Returns:
        (n,) steps in RGB [0,1], 0 or more; 0 where nothing was changed; NaN where everything was,
        so that no outline lies in the square.
    """
    check(target.shape == result.shape, f"shapes differ: {target.shape} and {result.shape}")
    found = [
        _of_one(before.astype(np.float64), after.astype(np.float64))
        for before, after in zip(target.cpu().numpy(), result.cpu().numpy(), strict=True)
    ]
    return np.array(found, np.float32)


def changed_region(target: Floats, result: Floats) -> Bools:
    """Return (s,s): what differs and touches the middle of the square, without holes.

    Args:
        target, result: (3,s,s) RGB in [0,1].
    """
    side = target.shape[-1]
    apart = ndimage.gaussian_filter(np.abs(result - target).mean(0), _SMOOTH * side)
    steps = max(1, round(_REACH * side))
    grown = ndimage.binary_dilation(apart > _CHANGED, iterations=steps)
    closed = ndimage.binary_erosion(grown, iterations=steps, border_value=1)
    whole = ndimage.binary_fill_holes(closed)
    names, count = ndimage.label(whole)
    middle = names[side // 4 : 3 * side // 4, side // 4 : 3 * side // 4]
    sizes = np.bincount(middle.ravel(), minlength=count + 1)
    sizes[0] = 0
    region: Bools = (names == sizes.argmax()) & (sizes.max() > 0)
    return region


def _of_one(target: Floats, result: Floats) -> float:
    side = target.shape[-1]
    region = changed_region(target, result)
    if region.mean() < _LEAST:
        return 0.0
    reach = _REACH * side
    inside = ndimage.distance_transform_edt(region) - 0.5
    outside = ndimage.distance_transform_edt(~region) - 0.5
    signed = ndimage.gaussian_filter(np.where(region, inside, -outside), 1.0)
    across = np.stack(np.gradient(signed))
    across /= np.maximum(np.linalg.norm(across, axis=0), 1e-6)
    edges = [_step(picture, across) * reach for picture in (result, target)]
    excess = edges[0] - edges[1]
    border = np.ones_like(region)
    border[2:-2, 2:-2] = False
    along = [(np.abs(signed - shift * reach) < 0.75) & ~border for shift in _SHIFTS]
    told = [float(excess[where].mean()) for where in along if where.sum() >= side // 4]
    return max(0.0, *told) if told else float("nan")


def _step(picture: Floats, across: Floats) -> Floats:
    """(s,s) change of color per pixel along a field of directions (2,s,s), root mean square."""
    smooth = ndimage.gaussian_filter(picture, (0, 1.0, 1.0))
    down, right = np.gradient(smooth, axis=(1, 2))
    steps: Floats = np.sqrt((down * across[0] + right * across[1]) ** 2).mean(0)
    return steps
