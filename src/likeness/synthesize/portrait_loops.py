"""The compiled loops of the fast portrait on a CPU, before its network: keyframes are warped.

A row of the picture is worked on at a time, and in it one step after the other over all columns, so
that each step is one short loop over numbers that lie together, which the processor does eight or
sixteen at once. Maps are enlarged bilinearly with pixel centers as everywhere else, edges repeated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.compiled import njit
from likeness.synthesize.portrait_vectors import bits_of, float_of, sample_four
from likeness.types import Floats

Levels = NDArray[np.uint8]
Halves = NDArray[np.uint16]
"""bfloat16, which numpy does not know, by its bits."""
Rows = NDArray[np.int32]

_LOG2E = 1.4426950408889634
_LEAST = -60.0
"""Exponents of two below this are taken for it: 1e-38 of a weight is none."""
_COLUMNS = 4
"""Columns sampled at once."""
_COLORS = 48
"""Channels of a picture in a cell: three of each of its pixels."""


@njit(cache=True, nogil=True, fastmath=True)
def exp(x: np.float32) -> np.float32:  # pragma: no cover - compiled
    """e ** x up to 1e-7 of it."""
    power = max(x * np.float32(_LOG2E), np.float32(_LEAST))
    whole = np.floor(power)
    f = power - whole
    part = np.float32(0.00898934) + f * np.float32(0.00187758)
    part = np.float32(0.24015362) + f * (np.float32(0.05582632) + f * part)
    part = np.float32(0.99999993) + f * (np.float32(0.69315307) + f * part)
    scale: Any = float_of((np.int32(whole) + np.int32(127)) << np.int32(23))
    return np.float32(part * scale)


@njit(cache=True, nogil=True, fastmath=True)
def doubled(half: Floats, row: int, line: Floats, out: Floats) -> None:  # pragma: no cover
    """Write row `row` of a (h,w) map at twice its size, bilinearly, to (2w,); line (w+2,)."""
    height, width = half.shape
    first = max((row - 1) >> 1, 0)
    second = min(((row - 1) >> 1) + 1, height - 1)
    down = np.float32(0.25 if row & 1 else 0.75)
    above, below = half[first], half[second]
    for x in range(width):
        line[x + 1] = above[x] + down * (below[x] - above[x])
    line[0], line[width + 1] = line[1], line[width]
    quarter, most = np.float32(0.25), np.float32(0.75)
    for x in range(width):
        out[2 * x] = quarter * line[x] + most * line[x + 1]
        out[2 * x + 1] = most * line[x + 1] + quarter * line[x + 2]


@njit(cache=True, nogil=True, fastmath=True)
def add_enlarged(small: Floats, row: int, line: Floats, out: Floats) -> None:  # pragma: no cover
    """Add row `row` of a (q,q) map, bilinearly at four times its size, to (4q,); line (q+2,)."""
    size = len(small)
    place = min(max((row - 1.5) * 0.25, 0.0), size - 1.0)
    first = int(place)
    second, down = min(first + 1, size - 1), np.float32(place - first)
    above, below = small[first], small[second]
    for x in range(size):
        line[x + 1] = above[x] + down * (below[x] - above[x])
    line[0], line[size + 1] = line[1], line[size]
    near, far = np.float32(0.125), np.float32(0.375)
    for x in range(size):
        before, here, after = line[x], line[x + 1], line[x + 2]
        out[4 * x] += here + far * (before - here)
        out[4 * x + 1] += here + near * (before - here)
        out[4 * x + 2] += here + near * (after - here)
        out[4 * x + 3] += here + far * (after - here)


@njit(cache=True, nogil=True, fastmath=True)
def _places(
    row: int, dx: Floats, dy: Floats, at: Rows, weights: Floats
) -> None:  # pragma: no cover - compiled
    """Write for `sample_four` where the pixels of a row come from, as `portrait.sample_layers`."""
    size = len(dx)
    last, far = np.float32(size - 1), np.int32(size - 2)
    zero, one = np.float32(0), np.float32(1)
    right, down, there = weights[0], weights[1], weights[2]
    for column in range(size):
        x, y = np.float32(column) + dx[column], np.float32(row) + dy[column]
        there[column] = min(max(y + one, zero), one)
        x, y = min(max(x, zero), last), min(max(y, zero), last)
        # Clamped again as integers: what is not a number would become an index far outside.
        x0 = min(max(np.int32(x), np.int32(0)), far)
        y0 = min(max(np.int32(y), np.int32(0)), far)
        right[column], down[column] = x - np.float32(x0), y - np.float32(y0)
        at[column] = np.int32(4) * (y0 * np.int32(size) + x0)


@njit(cache=True, nogil=True, fastmath=True)
def warped(
    picture: Levels, row: int, way: Floats, at: Rows, weights: Floats, planes: Floats
) -> None:  # pragma: no cover - compiled
    """Sample row `row` of a keyframe (S,S,4) at its pixels plus `way` (2,S): planes (4,S)."""
    _places(row, way[0], way[1], at, weights)
    for column in range(0, len(at), _COLUMNS):
        sample_four(picture, _COLUMNS * len(at), at, weights, column, planes)


@njit(cache=True, nogil=True, fastmath=True)
def _over(planes: Floats, wall: Floats, color: Floats) -> None:  # pragma: no cover - compiled
    """Lay color times coverage over a plate, colors from -1 to 1, in one row."""
    step, one = np.float32(1 / 255), np.float32(1)
    two, coverage = np.float32(2 / 255), planes[3]
    for c in range(3):
        own, behind, out = planes[c], wall[c], color[c]
        for column in range(len(own)):
            through = one - step * coverage[column]
            out[column] = two * own[column] + (through * behind[column] - one)


@njit(cache=True, nogil=True, fastmath=True)
def _into_cells(
    rows: Floats, channel: int, cells: Floats, at: int
) -> None:  # pragma: no cover - compiled
    """Write a channel of four rows (4,C',4q) to places `at` to `at + 15` of (q,C) cells."""
    for x in range(len(cells)):
        cell = cells[x]
        for sub in range(4):
            row, to = rows[sub, channel], at + 4 * sub
            # Read before any is written: four at once, whatever the two may share.
            a, b, c, d = row[4 * x], row[4 * x + 1], row[4 * x + 2], row[4 * x + 3]
            cell[to], cell[to + 1], cell[to + 2], cell[to + 3] = a, b, c, d


@njit(cache=True, nogil=True, fastmath=True)
def _guide_cells(
    maps: Floats, row: int, count: int, first: int, cells: Floats
) -> None:  # pragma: no cover - compiled
    """Write how well K keyframes see a row of cells, and its guides, from `first` on."""
    quarter, two, one = np.float32(0.25), np.float32(2), np.float32(1)
    guides = len(maps) - 3 * count
    for k in range(count):
        above, below = maps[guides + 3 * k + 2, 2 * row], maps[guides + 3 * k + 2, 2 * row + 1]
        for x in range(len(cells)):
            total = above[2 * x] + above[2 * x + 1] + below[2 * x] + below[2 * x + 1]
            cells[x, first + k] = quarter * total
    at = first + count
    for c in range(guides):
        for half in range(2):
            line = maps[c, 2 * row + half]
            for x in range(len(cells)):
                cells[x, at + 4 * c + 2 * half] = two * line[2 * x] - one
                cells[x, at + 4 * c + 2 * half + 1] = two * line[2 * x + 1] - one


@njit(cache=True, nogil=True, fastmath=True)
def _spread(
    coverage: Floats, first: bool, least: Floats, most: Floats
) -> None:  # pragma: no cover - compiled
    """Follow the least and the most coverage (S,) of a row."""
    if first:
        for column in range(len(coverage)):
            least[column], most[column] = coverage[column], coverage[column]
        return
    for column in range(len(coverage)):
        least[column] = min(least[column], coverage[column])
        most[column] = max(most[column], coverage[column])


@njit(cache=True, nogil=True, fastmath=True)
def _tell_row(
    pictures: Levels,
    maps: Floats,
    walls: Floats,
    row: int,
    cells: Floats,
    apart: Floats,
) -> None:  # pragma: no cover - compiled
    """Fill one row of cells (q,C) of what the network is told, and (4,S) of coverages apart."""
    count, size = len(pictures), pictures.shape[1]
    way, at = np.empty((2, size), np.float32), np.empty(size, np.int32)
    weights, planes = np.empty((3, size), np.float32), np.empty((4, size), np.float32)
    colors, line = np.empty((4, 3, size), np.float32), np.empty(size // 2 + 2, np.float32)
    least = np.empty((4, size), np.float32)
    guides, last = len(maps) - 3 * count, _COLORS * count
    for k in range(count):
        flow = maps[guides + 3 * k :]
        for sub in range(4):
            full = 4 * row + sub
            doubled(flow[0], full, line, way[0])
            doubled(flow[1], full, line, way[1])
            warped(pictures[k], full, way, at, weights, planes)
            _over(planes, walls[full], colors[sub])
            _spread(planes[3], k == 0, least[sub], apart[sub])
        for c in range(3):
            _into_cells(colors, c, cells, _COLORS * k + 16 * c)
    for sub in range(4):
        wide, low = apart[sub], least[sub]
        for column in range(size):
            wide[column] = np.float32(1 / 255) * (wide[column] - low[column])
    _into_cells(apart.reshape(4, 1, size), 0, cells, last + count + 4 * guides)
    _guide_cells(maps, row, count, last, cells)


@njit(cache=True, nogil=True, fastmath=True)
def tell(
    pictures: Levels, maps: Floats, walls: Floats, told: Floats, apart: Floats
) -> None:  # pragma: no cover - compiled
    """Warp K keyframes (K,S,S,4) and lay out what the network is told of each cell.

    Args:
        pictures: color times coverage, and coverage.
        maps: (9+3K,S/2,S/2) guides, and per keyframe flow and validity.
        walls: (S,3,S) twice the plate, row by row.
        told: (q,q,C) is written: what differs from frame to frame, in the order of `Portrait.tell`.
        apart: (S,S) is written: how far the coverages of a pixel are apart.
    """
    for row in range(len(told)):
        _tell_row(pictures, maps, walls, row, told[row], apart[4 * row : 4 * row + 4])


@njit(cache=True, nogil=True, fastmath=True)
def tell_narrow(
    pictures: Levels, maps: Floats, walls: Floats, told: Halves, apart: Floats
) -> None:  # pragma: no cover - compiled
    """Tell the same in bfloat16, rounded to the nearest and to even."""
    cells = np.zeros(told.shape[1:], np.float32)
    flat, half, one = cells.reshape(-1), np.int32(0x7FFF), np.int32(1)
    for row in range(len(told)):
        _tell_row(pictures, maps, walls, row, cells, apart[4 * row : 4 * row + 4])
        out = told[row].reshape(-1)
        for place in range(len(flat)):
            bits: Any = bits_of(flat[place])
            out[place] = np.uint16((bits + half + ((bits >> np.int32(16)) & one)) >> np.int32(16))
