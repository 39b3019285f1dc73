"""What a face does while it is not seen: the way from the last frame that shows it to the next.

A tracker fills gaps, but what it filled in was measured by nobody. Such frames weigh nothing in who
a person is, how they are lit and what they do in other frames; what they hold themselves follows
from the frames around them alone: straight lines, and rotations on the shortest way.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from likeness.controls import Values
from likeness.fit.resample import resample
from likeness.fit.seen_range import seen_rows
from likeness.types import Bools, FaceParams, Floats, Ints


def positions_among(observed: Bools) -> tuple[Ints, Values]:
    """Tell where each of N frames lies among those that were seen.

    Returns:
        (K,) the frames that were seen (all, where none was), and (N,) fractional positions in
        [0, K-1]: whole for the frames themselves, held before the first and after the last.
    """
    seen = seen_rows(len(observed), observed)
    at = np.interp(np.arange(len(observed)), seen, np.arange(len(seen), dtype=np.float64))
    return seen, at


def bridged(params: FaceParams, observed: Bools) -> FaceParams:
    """Return params whose frames that were not seen lie on the way between those that were.

    Args:
        params: N frames; what the unseen ones hold is not looked at.
        observed: (N,).
    """
    if observed.all():
        return params
    seen, at = positions_among(observed)
    names = ("expression", "rotation", "translation", "light", "gaze")
    return resample(replace(params, **{name: getattr(params, name)[seen] for name in names}), at)


def bridge_values(values: Floats, at: Values) -> Floats:
    """Return (K,...) values at (N,) fractional positions among them, float32."""
    first, second, share = _between(at, len(values))
    weight = share.astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
    mixed: Floats = values[first] + weight * (values[second] - values[first])
    return mixed


def bridge_turns(rotation: Floats, at: Values) -> Floats:
    """Return (K,3,3) rotations at (N,) fractional positions among them (slerp), float32."""
    first, second, share = _between(at, len(rotation))
    turned = rotation[first].copy()
    rows = np.flatnonzero(share > 0)
    if len(rows):
        here, there = rotation[first[rows]], rotation[second[rows]]
        way = Rotation.from_matrix(np.swapaxes(here, 1, 2) @ there).as_rotvec()
        steps = Rotation.from_rotvec(way * share[rows, None]).as_matrix()
        turned[rows] = here @ steps.astype(np.float32)
    return turned


def _between(at: Values, count: int) -> tuple[Ints, Ints, Values]:
    first = np.floor(at).astype(np.int64)
    return first, np.minimum(first + 1, count - 1), at - first
