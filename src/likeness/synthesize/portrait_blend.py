"""The compiled loops of the fast portrait on a CPU, behind its network: warps are blended.

Rows and short loops as in `portrait_loops`.
"""

from __future__ import annotations

import numpy as np

from likeness.compiled import njit
from likeness.synthesize.portrait import FADE, OUTLINE, PLATE_LEAST, PLATE_MOST, REACH
from likeness.synthesize.portrait_loops import (
    Halves,
    Levels,
    add_enlarged,
    doubled,
    exp,
    warped,
)
from likeness.synthesize.portrait_vectors import float_of
from likeness.types import Floats

_SHARP = 4.0
"""What scores count, as in `Portrait.draw`."""


@njit(cache=True, nogil=True, fastmath=True)
def widen(halves: Halves, wide: Floats) -> None:  # pragma: no cover - compiled
    """Widen bfloat16 (M,) to float32."""
    for place in range(len(wide)):
        wide[place] = float_of(np.int32(halves[place]) << np.int32(16))


@njit(cache=True, nogil=True, fastmath=True)
def _smoothed_across(
    cells: Floats, row: int, pad: Floats, planes: Floats
) -> None:  # pragma: no cover - compiled
    """Take a row of cells (q,16C) apart into four rows of (C,S,S), smoothed along them.

    The filter is that of `portrait.antialias`, [1 2 2 2 1]/8, edges repeated; pad (4,S+4).
    """
    size = planes.shape[2]
    eighth, quarter = np.float32(0.125), np.float32(0.25)
    for channel in range(len(planes)):
        for x in range(len(cells)):
            cell, to = cells[x], 4 * x + 2
            for sub in range(4):
                line, at = pad[sub], 16 * channel + 4 * sub
                a, b, c, d = cell[at], cell[at + 1], cell[at + 2], cell[at + 3]
                line[to], line[to + 1], line[to + 2], line[to + 3] = a, b, c, d
        for sub in range(4):
            line, out = pad[sub], planes[channel, 4 * row + sub]
            line[0], line[1] = line[2], line[2]
            line[size + 2], line[size + 3] = line[size + 1], line[size + 1]
            for x in range(size):
                near = line[x + 1] + line[x + 2] + line[x + 3]
                out[x] = eighth * (line[x] + line[x + 4]) + quarter * near


@njit(cache=True, nogil=True, fastmath=True)
def unfold(answers: Floats, planes: Floats) -> None:  # pragma: no cover - compiled
    """Lay (q,q,16C) out as (C,S,S), smoothed along rows."""
    pad = np.empty((4, planes.shape[2] + 4), np.float32)
    for row in range(len(answers)):
        _smoothed_across(answers[row], row, pad, planes)


@njit(cache=True, nogil=True, fastmath=True)
def unfold_narrow(answers: Halves, planes: Floats) -> None:  # pragma: no cover - compiled
    """Lay bfloat16 (q,q,16C) out as (C,S,S), smoothed along rows."""
    pad = np.empty((4, planes.shape[2] + 4), np.float32)
    cells = np.empty(answers.shape[1:], np.float32)
    for row in range(len(answers)):
        widen(answers[row].reshape(-1), cells.reshape(-1))
        _smoothed_across(cells, row, pad, planes)


@njit(cache=True, nogil=True, fastmath=True)
def _smoothed_down(plane: Floats, row: int, out: Floats) -> None:  # pragma: no cover - compiled
    """Write row `row` of (S,S), smoothed along columns by the same filter."""
    last = len(plane) - 1
    a, b = plane[max(row - 2, 0)], plane[max(row - 1, 0)]
    d, e = plane[min(row + 1, last)], plane[min(row + 2, last)]
    c, eighth, quarter = plane[row], np.float32(0.125), np.float32(0.25)
    for x in range(len(out)):
        out[x] = eighth * (a[x] + e[x]) + quarter * (b[x] + c[x] + d[x])


@njit(cache=True, nogil=True, fastmath=True)
def _shortest(ways: Floats, length: Floats) -> None:  # pragma: no cover - compiled
    """Write the length of the shortest of K flows (K,2,S) at each of S pixels."""
    for k in range(len(ways)):
        dx, dy = ways[k, 0], ways[k, 1]
        for x in range(len(length)):
            square = dx[x] * dx[x] + dy[x] * dy[x]
            length[x] = square if k == 0 else min(length[x], square)
    for x in range(len(length)):
        length[x] = np.sqrt(length[x])


@njit(cache=True, nogil=True, fastmath=True)
def _softmax(
    scores: Floats, priors: Floats, sharp: Floats, most: Floats, total: Floats, out: Floats
) -> None:  # pragma: no cover - compiled
    """Write softmax(sharp * s + log p) over K candidates (K,S); most (S,) is their largest s."""
    total[:] = np.float32(0)
    for k in range(len(scores)):
        score, prior, weight = scores[k], priors[k], out[k]
        for x in range(len(total)):
            weight[x] = prior[x] * exp(sharp[x] * (score[x] - most[x]))
        for x in range(len(total)):
            total[x] += weight[x]
    for x in range(len(total)):
        total[x] = np.float32(1) / total[x]
    for k in range(len(scores)):
        weight = out[k]
        for x in range(len(total)):
            weight[x] *= total[x]


@njit(cache=True, nogil=True, fastmath=True)
def _largest(scores: Floats, most: Floats) -> None:  # pragma: no cover - compiled
    """Write the largest of K scores (K,S)."""
    for k in range(len(scores)):
        score = scores[k]
        for x in range(len(most)):
            most[x] = score[x] if k == 0 else max(most[x], score[x])


@njit(cache=True, nogil=True, fastmath=True)
def _add(planes: Floats, weights: Floats, blend: Floats) -> None:  # pragma: no cover - compiled
    """Add a warp (4,S) in levels to a blend (4,S), whose last line is the weight of the plate."""
    step, coverage = np.float32(1 / 255), planes[3]
    for c in range(3):
        color, out = planes[c], blend[c]
        for x in range(len(weights)):
            out[x] += step * weights[x] * color[x]
    out = blend[3]
    for x in range(len(weights)):
        out[x] += weights[x] * (np.float32(1) - step * coverage[x])


@njit(cache=True, nogil=True, fastmath=True)
def _priors(
    maps: Floats, row: int, still: Floats, apart: Floats, ways: Floats, line: Floats, priors: Floats
) -> None:  # pragma: no cover - compiled
    """Write what each of K keyframes and the plate weigh before they are scored, (K+1,S)."""
    count, size = len(ways), ways.shape[2]
    guides = len(maps) - 3 * count
    for k in range(count):
        seen = priors[k]
        doubled(maps[guides + 3 * k + 2], row, line, seen)
        for x in range(size):
            seen[x] += np.float32(1e-3)
    bare, body = priors[count], priors[count - 1]
    _shortest(ways, bare)
    least, most = np.float32(PLATE_LEAST), np.float32(PLATE_MOST - PLATE_LEAST)
    reach = np.float32(1 / (REACH * size))
    for x in range(size):
        trust = max(np.float32(0), np.float32(1) - reach * bare[x])
        bare[x] = exp(least + most * still[x] * trust)
    for x in range(size):
        body[x] *= exp(np.float32(OUTLINE) * apart[x])


@njit(cache=True, nogil=True, fastmath=True)
def _sharpen(apart: Floats, more: np.float32, sharp: Floats) -> None:  # pragma: no cover
    """Write what the scores of a row count in the coarse band."""
    for x in range(len(sharp)):
        sharp[x] = np.float32(_SHARP) * (np.float32(1) + more * apart[x])


@njit(cache=True, nogil=True, fastmath=True)
def _lay(color: Floats, bare: Floats, wall: Floats, out: Floats) -> None:  # pragma: no cover
    """Write a row of one color over the plate, which weighs `bare`."""
    for x in range(len(out)):
        out[x] = color[x] + bare[x] * wall[x]


@njit(cache=True, nogil=True, fastmath=True)
def mix(
    pictures: Levels,
    maps: Floats,
    moves: Floats,
    planes: Floats,
    fixed: tuple[Floats, Floats, Floats],
    decision: float,
    coarse: Floats,
    decided: Floats,
) -> None:  # pragma: no cover - compiled
    """Blend K corrected warps and the plate, softly and decidedly.

    Args:
        pictures: (K,S,S,4) color times coverage, and coverage.
        maps: (9+3K,S/2,S/2) guides, and per keyframe flow and validity.
        moves: (K,2,q,q) corrections in pixels.
        planes: (K+5,S,S) of `unfold`, scores first.
        fixed: plate (S,3,S) row by row, stillness (S,S), and how far coverages are apart (S,S).
        decision: see `PortraitConfig`.
        coarse: (3,S,S) is written.
        decided: (3,S,S) is written.
    """
    plate, still, apart = fixed
    count, size = len(pictures), pictures.shape[1]
    ways, line = np.empty((count, 2, size), np.float32), np.empty(size // 2 + 2, np.float32)
    few, at = np.empty(size // 4 + 2, np.float32), np.empty(size, np.int32)
    weights, layer = np.empty((3, size), np.float32), np.empty((4, size), np.float32)
    scores, priors = (
        np.empty((count + 1, size), np.float32),
        np.empty((count + 1, size), np.float32),
    )
    soft, hard = np.empty((count + 1, size), np.float32), np.empty((count + 1, size), np.float32)
    most, total = np.empty(size, np.float32), np.empty(size, np.float32)
    sharp, keen = np.empty(size, np.float32), np.empty(size, np.float32)
    blends = np.empty((2, 4, size), np.float32)
    guides = len(maps) - 3 * count
    keen[:] = np.float32(_SHARP * decision)
    for row in range(size):
        for k in range(count):
            for axis in range(2):
                doubled(maps[guides + 3 * k + axis], row, line, ways[k, axis])
        _priors(maps, row, still[row], apart[row], ways, line, priors)
        for k in range(count + 1):
            _smoothed_down(planes[k], row, scores[k])
        _largest(scores, most)
        _sharpen(apart[row], np.float32(decision - 1), sharp)
        _softmax(scores, priors, sharp, most, total, soft)
        _softmax(scores, priors, keen, most, total, hard)
        blends[:, :3] = np.float32(0)
        blends[0, 3], blends[1, 3] = soft[count], hard[count]
        for k in range(count):
            for axis in range(2):
                add_enlarged(moves[k, axis], row, few, ways[k, axis])
            warped(pictures[k], row, ways[k], at, weights, layer)
            _add(layer, soft[k], blends[0])
            _add(layer, hard[k], blends[1])
        for c in range(3):
            _lay(blends[0, c], blends[0, 3], plate[row, c], coarse[c, row])
            _lay(blends[1, c], blends[1, 3], plate[row, c], decided[c, row])


@njit(cache=True, nogil=True, fastmath=True)
def _blurred(plane: Floats, row: int, pad: Floats, out: Floats) -> None:  # pragma: no cover
    """Write row `row` of the mean of 5x5 pixels of (S,S), edges repeated; pad (S+4,)."""
    last = len(plane) - 1
    a, b = plane[max(row - 2, 0)], plane[max(row - 1, 0)]
    d, e = plane[min(row + 1, last)], plane[min(row + 2, last)]
    c, share, size = plane[row], np.float32(1 / 25), len(out)
    for x in range(size):
        pad[x + 2] = share * (a[x] + b[x] + c[x] + d[x] + e[x])
    pad[0], pad[1] = pad[2], pad[2]
    pad[size + 2], pad[size + 3] = pad[size + 1], pad[size + 1]
    for x in range(size):
        out[x] = pad[x] + pad[x + 1] + pad[x + 2] + pad[x + 3] + pad[x + 4]


@njit(cache=True, nogil=True, fastmath=True)
def complete(
    coarse: Floats, decided: Floats, planes: Floats, answer: Floats
) -> None:  # pragma: no cover - compiled
    """Write (3,S,S): the coarse band, the fine one times its gain, and the residual."""
    size, first = answer.shape[1], len(planes) - 4
    pad, low = np.empty(size + 4, np.float32), np.empty(size, np.float32)
    gain, residual = np.empty(size, np.float32), np.empty(size, np.float32)
    one, twice = np.float32(1), np.float32(2 / FADE)
    for row in range(size):
        _smoothed_down(planes[first + 3], row, gain)
        for x in range(size):
            # FADE tanh(g / FADE) where contrast is taken away.
            e = exp(twice * min(gain[x], np.float32(0)))
            gain[x] = one + max(gain[x], np.float32(0)) - np.float32(FADE) * (one - e) / (one + e)
        for c in range(3):
            out, fine = answer[c, row], decided[c, row]
            _smoothed_down(planes[first + c], row, residual)
            _blurred(decided[c], row, pad, low)
            _blurred(coarse[c], row, pad, out)
            for x in range(size):
                out[x] += gain[x] * (fine[x] - low[x]) + residual[x]
