"""Color maps that match whole distributions: found on samples, applied through a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness.compiled import njit
from likeness.types import Floats

_MOST = 6000
"""Colors of a mask that stand for all of them."""
_LEVELS = 256
"""Quantiles along an axis."""
_STEPS = 20
"""Rotations of the iterative transfer (Pitie et al. 2007)."""
_SLICES = (10, 30)
"""Steps of the sliced transfer, and directions in each."""
_NODES = 17
"""Nodes of the table of colors along each channel."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Colors inside a mask, with how much each of them counts."""

    colors: Floats
    """(n,3)."""
    weights: Floats
    """(n,)."""

    @staticmethod
    def of(picture: Floats, weight: Floats) -> Samples:
        """Take colors of a (h,w,3) picture by a (h,w) weight, at fixed places."""
        flat = weight.ravel()
        inside = np.flatnonzero(flat > 0.02)
        step = max(1, len(inside) // _MOST)
        # An odd stride over rows meets every column.
        chosen = inside[step // 2 :: step]
        return Samples(picture.reshape(-1, 3)[chosen].astype(np.float64), flat[chosen])

    def quantiles(self, along: Floats, levels: Floats) -> Floats:
        """Return where (n,) values along an axis pass shares of the whole weight."""
        order = np.argsort(along, kind="stable")
        weights = self.weights[order].astype(np.float64)
        share = (np.cumsum(weights) - weights / 2) / weights.sum()
        return np.asarray(np.interp(levels, share, along[order]))


def iterative_map(own: Samples, theirs: Samples) -> Floats:
    """Find the map that matches distributions along the axes of many rotations in turn.

    Returns:
        (k,k,k,3) table of colors over RGB in [0,1].
    """
    rng = np.random.default_rng(7)
    levels = (np.arange(_LEVELS) + 0.5) / _LEVELS
    nodes, colors = _nodes(), own.colors
    for _ in range(_STEPS):
        turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        along_own, along_theirs, along_nodes = colors @ turn, theirs.colors @ turn, nodes @ turn
        for axis in range(3):
            here = Samples(colors, own.weights).quantiles(along_own[:, axis], levels)
            there = theirs.quantiles(along_theirs[:, axis], levels)
            along_own[:, axis] = _along(along_own[:, axis], here, there)
            along_nodes[:, axis] = _along(along_nodes[:, axis], here, there)
        colors, nodes = along_own @ turn.T, along_nodes @ turn.T
    return _table(nodes)


def sliced_map(own: Samples, theirs: Samples) -> Floats:
    """Find the map that moves colors by the mean of many one-dimensional transports.

    Returns:
        (k,k,k,3) table of colors over RGB in [0,1].
    """
    rng = np.random.default_rng(11)
    levels = (np.arange(_LEVELS) + 0.5) / _LEVELS
    nodes, colors = _nodes(), own.colors
    steps, batch = _SLICES
    for _ in range(steps):
        move_colors, move_nodes = np.zeros_like(colors), np.zeros_like(nodes)
        for _ in range(batch):
            axis = rng.standard_normal(3)
            axis /= np.linalg.norm(axis)
            along, over = colors @ axis, nodes @ axis
            here = Samples(colors, own.weights).quantiles(along, levels)
            there = theirs.quantiles(theirs.colors @ axis, levels)
            move_colors += (_along(along, here, there) - along)[:, None] * axis
            move_nodes += (_along(over, here, there) - over)[:, None] * axis
        # Three axes make a color whole: a mean over directions is a third of the way.
        colors, nodes = colors + 3 * move_colors / batch, nodes + 3 * move_nodes / batch
    return _table(nodes)


def matched_histogram(picture: Floats, own: Samples, theirs: Samples) -> Floats:
    """Match each channel's histogram for itself, (h,w,3)."""
    levels = (np.arange(_LEVELS) + 0.5) / _LEVELS
    answer = np.empty_like(picture)
    grid = np.linspace(0, 1, 1024)
    for channel in range(3):
        here = own.quantiles(own.colors[:, channel], levels)
        there = theirs.quantiles(theirs.colors[:, channel], levels)
        curve = _along(grid, here, there).astype(np.float32)
        answer[..., channel] = _looked_up(np.ascontiguousarray(picture[..., channel]), curve)
    return answer


def mapped(picture: Floats, table: Floats) -> Floats:
    """Send a (h,w,3) picture in [0,1] through a (k,k,k,3) table of colors."""
    return _through(np.ascontiguousarray(picture, np.float32), table)


def _nodes() -> Floats:
    line = np.linspace(0, 1, _NODES)
    return np.asarray(np.stack(np.meshgrid(line, line, line, indexing="ij"), -1).reshape(-1, 3))


def _table(nodes: Floats) -> Floats:
    return np.ascontiguousarray(nodes.reshape(_NODES, _NODES, _NODES, 3), np.float32)


def _along(values: Floats, here: Floats, there: Floats) -> Floats:
    """Send values by the curve from one distribution's quantiles to another's; shifted beyond."""
    inside = np.interp(values, here, there)
    low, high = values < here[0], values > here[-1]
    moved = np.where(low, values + there[0] - here[0], inside)
    return np.asarray(np.where(high, values + there[-1] - here[-1], moved))


@njit(cache=True, nogil=True)
def _looked_up(channel: Floats, curve: Floats) -> Floats:  # pragma: no cover - compiled
    out = np.empty_like(channel)
    last = len(curve) - 1
    for y in range(channel.shape[0]):
        for x in range(channel.shape[1]):
            at = min(max(channel[y, x], np.float32(0)), np.float32(1)) * last
            low = min(int(at), last - 1)
            share = at - low
            out[y, x] = curve[low] * (1 - share) + curve[low + 1] * share
    return out


@njit(cache=True, nogil=True)
def _through(picture: Floats, table: Floats) -> Floats:  # pragma: no cover - compiled
    out = np.empty_like(picture)
    last = table.shape[0] - 1
    at, low = np.empty(3, np.float32), np.empty(3, np.int64)
    for y in range(picture.shape[0]):
        for x in range(picture.shape[1]):
            for c in range(3):
                place = min(max(picture[y, x, c], np.float32(0)), np.float32(1)) * last
                low[c] = min(int(place), last - 1)
                at[c] = place - low[c]
            for c in range(3):
                out[y, x, c] = 0
            for corner in range(8):
                i, j, k = corner & 1, (corner >> 1) & 1, corner >> 2
                share = (
                    (at[0] if i else 1 - at[0])
                    * (at[1] if j else 1 - at[1])
                    * (at[2] if k else 1 - at[2])
                )
                for c in range(3):
                    out[y, x, c] += share * table[low[0] + i, low[1] + j, low[2] + k, c]
    return out
