"""What a face is doing, told by its points: where they stand beyond where they usually do.

Two people's faces differ in where lips and lids usually are; how far they are from there is about
the same for both, unless one of them grimaces throughout. The network's code is asked for it while
it learns (`losses.pointing`), and faces that do what is rarely seen are drawn more often.
"""

from __future__ import annotations

import numpy as np

from likeness.types import Floats

COUNT = 140
"""Numbers told of each face: x and y of the 68 points and of two irises."""
_UNIT = 0.02
"""What 1 stands for, in sides of the crop."""
_BINS = 8


def marks_of(points: Floats, irises: Floats, side: float) -> Floats:
    """Tell how far a person's points are from where they are on average.

    Args:
        points: (M,68,2) in pixels of aligned crops of side `side`.
        irises: (M,2,2) centers of the irises, likewise; NaN where they are not known.
        side: of the crops in pixels.

    Returns:
        (M,140) in units of 0.02 sides; NaN where not known.
    """
    known = np.isfinite(irises).all((1, 2))
    told = np.full((len(points), 70, 2), np.nan, np.float32)
    told[:, :68] = points - points.mean(0)
    if known.any():
        told[known, 68:] = irises[known] - irises[known].mean(0)
    return (told / np.float32(_UNIT * side)).reshape(-1, COUNT)


def rarity(points: Floats) -> Floats:
    """Weigh faces by how rarely the person opens mouth and eyes as far, or stretches the mouth so.

    w = product over the three measures of the root of 1 / (share of faces in the same of 8 bins),
    bins of equal width between the first and the last hundredth.

    Args:
        points: (M,68,2) in pixels.

    Returns:
        (M,) above 0, mean 1.
    """
    weight = np.ones(len(points))
    for measure in _measures(points.astype(np.float64)):
        low, high = np.percentile(measure, [1, 99])
        place = (measure - low) / max(high - low, 1e-9) * _BINS
        place = place.astype(int).clip(0, _BINS - 1)
        weight /= np.sqrt(np.bincount(place, minlength=_BINS)[place] / len(points))
    return np.asarray(weight / weight.mean(), np.float32)


def _measures(points: Floats) -> tuple[Floats, Floats, Floats]:
    """(M,) each: the lips' gap, the lids' gaps and the mouth's width over the eyes' distance."""
    apart = np.maximum(_between(points, 36, 45), 1e-6)
    lids = _between(points, 37, 41) + _between(points, 43, 47)
    return _between(points, 62, 66) / apart, lids / apart, _between(points, 48, 54) / apart


def _between(points: Floats, one: int, other: int) -> Floats:
    distance: Floats = np.linalg.norm(points[:, one] - points[:, other], axis=-1)
    return distance
