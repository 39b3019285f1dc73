"""The compiled loops of the fast portrait on a CPU: what the network is told, and what it answers.

All in one file: a compiled function is kept on disk until its own file changes, and would go on
calling what another file held before. Maps are enlarged bilinearly with pixel centers as everywhere
else, edges repeated.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from likeness.synthesize.portrait import FADE, OUTLINE, PLATE_LEAST, PLATE_MOST, REACH
from likeness.types import Floats, Ints

_NEGLIGIBLE = 5e-4
"""Candidates of less weight than this are not sampled: four of them are half a step of 8 bits."""


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
def _taps_at(place: float, size: int) -> tuple[int, int, np.float32]:  # pragma: no cover - compiled
    """Two pixels around a position (corner origin) and the weight of the second; edges repeat."""
    centered = min(max(place - 0.5, 0.0), size - 1.0)
    first = int(centered)
    return first, min(first + 1, size - 1), np.float32(centered - first)


@njit(cache=True, nogil=True, fastmath=True)
def _doubled(half: Floats, row: int, out: Floats) -> None:  # pragma: no cover - compiled
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
def _color(
    picture: Floats, x: np.float32, y: np.float32
) -> tuple[np.float32, np.float32, np.float32, np.float32]:  # pragma: no cover - compiled
    """Sample (S,S,4) as `portrait.sample_layers`, in pixels from the first pixel's center."""
    last = len(picture) - 1
    there = min(max(y + np.float32(1), np.float32(0)), np.float32(1))
    x = min(max(x, np.float32(0)), np.float32(last))
    y = min(max(y, np.float32(0)), np.float32(last))
    x0, y0 = int(x), int(y)
    right, down = x - np.float32(x0), y - np.float32(y0)
    x1, y1 = min(x0 + 1, last), min(y0 + 1, last)
    w11 = right * down
    w01, w10 = right - w11, down - w11
    w00 = np.float32(1) - right - w10
    w00, w01, w10, w11 = there * w00, there * w01, there * w10, there * w11
    p00, p01, p10, p11 = picture[y0, x0], picture[y0, x1], picture[y1, x0], picture[y1, x1]
    return (
        w00 * p00[0] + w01 * p01[0] + w10 * p10[0] + w11 * p11[0],
        w00 * p00[1] + w01 * p01[1] + w10 * p10[1] + w11 * p11[1],
        w00 * p00[2] + w01 * p01[2] + w10 * p10[2] + w11 * p11[2],
        w00 * p00[3] + w01 * p01[3] + w10 * p10[3] + w11 * p11[3],
    )


@njit(cache=True, nogil=True, fastmath=True)
def _add_enlarged(
    small: Floats, row: int, line: Floats, taps: tuple[Ints, Ints, Floats], out: Floats
) -> None:  # pragma: no cover - compiled
    """Add row `row` of a (q,q) map, bilinearly enlarged, to (S,); `line` (q,) is scratch."""
    above, below, down = _taps_at((row + 0.5) * (len(small) / len(out)), len(small))
    for x in range(len(line)):
        line[x] = small[above, x] + down * (small[below, x] - small[above, x])
    left, right, aside = taps
    for column in range(len(out)):
        first = line[left[column]]
        out[column] += first + aside[column] * (line[right[column]] - first)


@njit(cache=True, nogil=True, fastmath=True)
def _shortest(dx: Floats, dy: Floats, length: Floats) -> None:  # pragma: no cover - compiled
    """Write the length of the _shortest of K flows (K,S) at each of S pixels."""
    for column in range(len(length)):
        least = dx[0, column] ** 2 + dy[0, column] ** 2
        for k in range(1, len(dx)):
            least = min(least, dx[k, column] ** 2 + dy[k, column] ** 2)
        length[column] = np.sqrt(least)


@njit(cache=True, nogil=True, fastmath=True)
def shuffle(scores: Floats, wanted: Floats) -> None:  # pragma: no cover - compiled
    """(q,q,16C) to (4q,4q,C): what the pixels of a cell are told apart."""
    for row in range(wanted.shape[0]):
        for column in range(wanted.shape[1]):
            sub = (row & 3) * 4 + (column & 3)
            for c in range(wanted.shape[2]):
                wanted[row, column, c] = scores[row >> 2, column >> 2, 16 * c + sub]


@njit(cache=True, nogil=True, fastmath=True)
def _power(base: np.float32, exponent: float) -> np.float32:  # pragma: no cover - compiled
    """base ** exponent, quickly where the exponent is a small whole number."""
    answer = np.float32(1)
    if exponent != np.floor(exponent):
        return np.float32(base**exponent)
    for _ in range(int(exponent)):
        answer *= base
    return answer


@njit(cache=True, nogil=True, fastmath=True)
def tell(
    pictures: Floats,
    flow: Floats,
    valid: Floats,
    guides: Floats,
    same: tuple[Floats, Floats],
    told: Floats,
) -> None:  # pragma: no cover - compiled
    """Warp K keyframes (K,S,S,4) and lay out (q,q,C) what the network is told of each cell."""
    plate, fixed = same
    count, size = len(pictures), 2 * flow.shape[2]
    dx, dy = np.empty(size, np.float32), np.empty(size, np.float32)
    least, most = np.empty(size, np.float32), np.empty(size, np.float32)
    two, one = np.float32(2), np.float32(1)
    apart = told.shape[2] - (fixed.shape[2] - 48) - 16
    for row in range(size):
        least[:], most[:] = one, np.float32(0)
        for k in range(count):
            _doubled(flow[k, 0], row, dx)
            _doubled(flow[k, 1], row, dy)
            for column in range(size):
                x, y = np.float32(column) + dx[column], np.float32(row) + dy[column]
                red, green, blue, coverage = _color(pictures[k], x, y)
                wall, through = plate[row, column], one - coverage
                place = told[row >> 2, column >> 2]
                at = 48 * k + (row & 3) * 4 + (column & 3)
                place[at] = two * (red + through * wall[0]) - one
                place[at + 16] = two * (green + through * wall[1]) - one
                place[at + 32] = two * (blue + through * wall[2]) - one
                least[column] = min(least[column], coverage)
                most[column] = max(most[column], coverage)
        for column in range(size):
            at = apart + (row & 3) * 4 + (column & 3)
            told[row >> 2, column >> 2, at] = most[column] - least[column]
    channels = guides.shape[2]
    first = 48 * count
    behind = first + count
    drawn = behind + 48
    rest = apart + 16
    for y in range(len(told)):
        for x in range(len(told)):
            place = told[y, x]
            for k in range(count):
                above = valid[k, 2 * y, 2 * x] + valid[k, 2 * y, 2 * x + 1]
                below = valid[k, 2 * y + 1, 2 * x] + valid[k, 2 * y + 1, 2 * x + 1]
                place[first + k] = np.float32(0.25) * (above + below)
            for c in range(48):
                place[behind + c] = fixed[y, x, c]
            for sub in range(4):
                guide = guides[2 * y + (sub >> 1), 2 * x + (sub & 1)]
                for c in range(channels):
                    place[drawn + 4 * c + sub] = two * guide[c] - one
            for c in range(48, fixed.shape[2]):
                place[rest + c - 48] = fixed[y, x, c]


@njit(cache=True, nogil=True, fastmath=True)
def _weigh(
    scores: Floats,
    priors: Floats,
    apart: float,
    decision: float,
    soft: Floats,
    hard: Floats,
) -> None:  # pragma: no cover - compiled
    """Write softmax(c 4 s + log p) and softmax(decision * 4 s + log p) of a pixel's candidates.

    c grows from 1 to `decision` where coverages are `apart`. Priors are factors here:
    softmax(s + log p) is p exp(s), brought to the sum one.
    """
    most = scores[0]
    for k in range(1, len(priors)):
        most = max(most, scores[k])
    sum_soft, sum_hard = np.float32(0), np.float32(0)
    sharp = np.float32(1 + (decision - 1) * apart)
    for k in range(len(priors)):
        e = np.exp(np.float32(4) * (scores[k] - most))
        soft[k], hard[k] = priors[k] * e, priors[k] * _power(e, decision)
        if apart > 0:
            soft[k] = priors[k] * np.exp(np.float32(4) * sharp * (scores[k] - most))
        sum_soft += soft[k]
        sum_hard += hard[k]
    sum_soft, sum_hard = np.float32(1) / sum_soft, np.float32(1) / sum_hard
    for k in range(len(priors)):
        soft[k] *= sum_soft
        hard[k] *= sum_hard


@njit(cache=True, nogil=True, fastmath=True)
def mix(
    pictures: Floats,
    flow: Floats,
    moves: Floats,
    valid: Floats,
    wanted: Floats,
    fixed: tuple[Floats, Floats, Floats],
    decision: float,
    coarse: Floats,
    decided: Floats,
) -> None:  # pragma: no cover - compiled
    """Blend K corrected warps and the plate, softly and decidedly, into two (S,S,3) pictures."""
    plate, still, parting = fixed
    count, size = len(pictures), pictures.shape[1]
    dx, dy = np.empty((count, size), np.float32), np.empty((count, size), np.float32)
    visibility, line = np.empty((count, size), np.float32), np.empty(moves.shape[2], np.float32)
    left, right = np.empty(size, np.int64), np.empty(size, np.int64)
    aside, nearest = np.empty(size, np.float32), np.empty(size, np.float32)
    for column in range(size):
        place = (column + 0.5) * (len(line) / size)
        left[column], right[column], aside[column] = _taps_at(place, len(line))
    taps = (left, right, aside)
    priors = np.empty(count + 1, np.float32)
    soft, hard = np.empty(count + 1, np.float32), np.empty(count + 1, np.float32)
    for row in range(size):
        for k in range(count):
            _doubled(flow[k, 0], row, dx[k])
            _doubled(flow[k, 1], row, dy[k])
            _doubled(valid[k], row, visibility[k])
        _shortest(dx, dy, nearest)
        for k in range(count):
            _add_enlarged(moves[k, 0], row, line, taps, dx[k])
            _add_enlarged(moves[k, 1], row, line, taps, dy[k])
        for column in range(size):
            for k in range(count):
                priors[k] = visibility[k, column] + np.float32(1e-3)
            trust = max(np.float32(0), 1 - nearest[column] / (REACH * size))
            bare = (PLATE_MOST - PLATE_LEAST) * still[row, column] * trust
            priors[count] = np.exp(np.float32(PLATE_LEAST + bare))
            apart = parting[row >> 2, column >> 2, (row & 3) * 4 + (column & 3)]
            priors[count - 1] *= np.exp(np.float32(OUTLINE) * apart)
            _weigh(wanted[row, column], priors, apart, decision, soft, hard)
            wall = plate[row, column]
            through, showing = soft[count], hard[count]
            coarse_red, coarse_green = np.float32(0), np.float32(0)
            coarse_blue, red = np.float32(0), np.float32(0)
            green, blue = np.float32(0), np.float32(0)
            for k in range(count):
                a, b = soft[k], hard[k]
                if a < _NEGLIGIBLE and b < _NEGLIGIBLE:
                    continue
                x, y = np.float32(column) + dx[k, column], np.float32(row) + dy[k, column]
                one, two, three, coverage = _color(pictures[k], x, y)
                through += a * (1 - coverage)
                showing += b * (1 - coverage)
                coarse_red += a * one
                coarse_green += a * two
                coarse_blue += a * three
                red += b * one
                green += b * two
                blue += b * three
            coarse[row, column, 0] = coarse_red + through * wall[0]
            coarse[row, column, 1] = coarse_green + through * wall[1]
            coarse[row, column, 2] = coarse_blue + through * wall[2]
            decided[row, column, 0] = red + showing * wall[0]
            decided[row, column, 1] = green + showing * wall[1]
            decided[row, column, 2] = blue + showing * wall[2]


@njit(cache=True, nogil=True, fastmath=True)
def complete(
    decided: Floats, low: Floats, wanted: Floats, answer: Floats
) -> None:  # pragma: no cover - compiled
    """Add to the coarse band in `answer` the fine one times its gain, and the residual."""
    first = wanted.shape[2] - 4
    for row in range(len(answer)):
        for column in range(answer.shape[1]):
            last = wanted[row, column]
            gain = last[first + 3]
            gain = 1 + (gain if gain >= 0 else FADE * np.tanh(gain / np.float32(FADE)))
            for c in range(3):
                fine = decided[row, column, c] - low[row, column, c]
                answer[row, column, c] += gain * fine + last[first + c]
