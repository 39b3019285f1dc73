"""Compiled sampling of rows and pixels, for the fast portrait on a CPU.

Positions are in pixels; maps are enlarged bilinearly with pixel centers as everywhere else, edges
repeated.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from likeness.types import Floats, Ints


@njit(cache=True, nogil=True, fastmath=True)
def interleave(planes: Floats, pictures: Floats) -> None:  # pragma: no cover - compiled
    """(K,4,S,S) to (K,S,S,4)."""
    count, colors, height, width = planes.shape
    for k in range(count):
        for row in range(height):
            for column in range(width):
                for c in range(colors):
                    pictures[k, row, column, c] = planes[k, c, row, column]


@njit(cache=True, nogil=True, fastmath=True)
def taps_at(place: float, size: int) -> tuple[int, int, np.float32]:  # pragma: no cover - compiled
    """Two pixels around a position (corner origin) and the weight of the second; edges repeat."""
    centered = min(max(place - 0.5, 0.0), size - 1.0)
    first = int(centered)
    return first, min(first + 1, size - 1), np.float32(centered - first)


@njit(cache=True, nogil=True, fastmath=True)
def doubled(half: Floats, row: int, out: Floats) -> None:  # pragma: no cover - compiled
    """Write row `row` of a (h,w) map at twice its size, bilinearly, to (2w,)."""
    count, width = half.shape
    first = max((row - 1) >> 1, 0)
    second = min(((row - 1) >> 1) + 1, count - 1)
    down = np.float32(0.25 if row & 1 else 0.75)
    quarter, most = np.float32(0.25), np.float32(0.75)
    above, below = half[first], half[second]
    here = (1 - down) * above[0] + down * below[0]
    before = here
    for x in range(width):
        x1 = min(x + 1, width - 1)
        after = (1 - down) * above[x1] + down * below[x1]
        out[2 * x] = quarter * before + most * here
        out[2 * x + 1] = most * here + quarter * after
        before, here = here, after


@njit(cache=True, nogil=True, fastmath=True)
def color(
    picture: Floats, x: np.float32, y: np.float32
) -> tuple[np.float32, np.float32, np.float32, np.float32]:  # pragma: no cover - compiled
    """Sample (S,S,4) bilinearly, in pixels from the first pixel's center; edges repeat."""
    last = len(picture) - 1
    x = min(max(x, np.float32(0)), np.float32(last))
    y = min(max(y, np.float32(0)), np.float32(last))
    x0, y0 = int(x), int(y)
    right, down = x - np.float32(x0), y - np.float32(y0)
    x1, y1 = min(x0 + 1, last), min(y0 + 1, last)
    w11 = right * down
    w01, w10 = right - w11, down - w11
    w00 = np.float32(1) - right - w10
    p00, p01, p10, p11 = picture[y0, x0], picture[y0, x1], picture[y1, x0], picture[y1, x1]
    return (
        w00 * p00[0] + w01 * p01[0] + w10 * p10[0] + w11 * p11[0],
        w00 * p00[1] + w01 * p01[1] + w10 * p10[1] + w11 * p11[1],
        w00 * p00[2] + w01 * p01[2] + w10 * p10[2] + w11 * p11[2],
        w00 * p00[3] + w01 * p01[3] + w10 * p10[3] + w11 * p11[3],
    )


@njit(cache=True, nogil=True, fastmath=True)
def add_enlarged(
    small: Floats, row: int, line: Floats, taps: tuple[Ints, Ints, Floats], out: Floats
) -> None:  # pragma: no cover - compiled
    """Add row `row` of a (q,q) map, bilinearly enlarged, to (S,); `line` (q,) is scratch."""
    above, below, down = taps_at((row + 0.5) * (len(small) / len(out)), len(small))
    for x in range(len(line)):
        line[x] = small[above, x] + down * (small[below, x] - small[above, x])
    left, right, aside = taps
    for column in range(len(out)):
        first = line[left[column]]
        out[column] += first + aside[column] * (line[right[column]] - first)


@njit(cache=True, nogil=True, fastmath=True)
def shortest(dx: Floats, dy: Floats, length: Floats) -> None:  # pragma: no cover - compiled
    """Write the length of the shortest of K flows (K,S) at each of S pixels."""
    for column in range(len(length)):
        least = dx[0, column] ** 2 + dy[0, column] ** 2
        for k in range(1, len(dx)):
            least = min(least, dx[k, column] ** 2 + dy[k, column] ** 2)
        length[column] = np.sqrt(least)
