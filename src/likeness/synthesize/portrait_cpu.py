"""The fast portrait on a CPU: what `Portrait.draw` does around its network, as two compiled loops.

In torch, sampling and blending five keyframes twice touches every pixel some forty times and takes
longer than the network. Here each pixel is visited once before the network and once after it, row
by row, so that what a row needs stays near.
`Portrait.forward` is the reference; answers differ by what half precision and skipped candidates of
hardly any weight make out, less than one step of eight bits. The loops hold no lock and use one
thread: windows are drawn side by side.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.nn import functional

from likeness.synthesize.portrait import (
    FADE,
    FLOW_RATE,
    GUIDES,
    OUTLINE,
    PLATE_LEAST,
    PLATE_MOST,
    REACH,
    Portrait,
)
from likeness.synthesize.portrait_sampling import (
    add_enlarged,
    color,
    doubled,
    interleave,
    shortest,
    taps_at,
)
from likeness.synthesize.portrait_unet import CELL
from likeness.types import Floats

_NEGLIGIBLE = 5e-4
"""Candidates of less weight than this are not sampled: four of them are half a step of 8 bits."""
_UNDOTTED = np.array([1, 2, 2, 2, 1], np.float32) / 8
"""The filter of `portrait.antialias` along one axis."""
_TOLD_BYTES = 48 * 2**20
"""Most memory for what the network is told at once: eight frames at 256, two at 512."""


class PortraitCPU:
    """Draws what a trained portrait draws, faster."""

    def __init__(self, portrait: Portrait) -> None:
        self.portrait = portrait
        with torch.inference_mode():
            plate = functional.pixel_unshuffle(portrait.plate * 2 - 1, CELL)
            fixed = torch.cat([plate, portrait.canvas], 1)[0].permute(1, 2, 0)
        self._fixed = fixed.contiguous().numpy()
        """(q,q,48+canvas) what every frame is told alike, plate then canvas."""
        self._plate = np.ascontiguousarray(portrait.plate[0].permute(1, 2, 0).numpy())
        self._still = portrait.still[0, 0].contiguous().numpy()
        self._size = portrait.config.size
        self._cells = self._size // CELL

    def __call__(self, keyframes: Tensor, maps: Tensor, code: Tensor) -> Tensor:
        """Draw N frames; shapes as `Portrait.forward`."""
        # Large portraits in small parts: what the network is told takes most of the memory.
        part = max(1, _TOLD_BYTES // (4 * self.portrait.config.told * self._cells**2))
        if len(keyframes) <= part:
            return self._draw(keyframes, maps, code)
        pieces = zip(keyframes.split(part), maps.split(part), code.split(part), strict=True)
        return torch.cat([self._draw(*piece) for piece in pieces])

    def tell(self, keyframes: Tensor, maps: Tensor) -> Tensor:
        """Lay out what the network is told, (N,told,q,q); shapes as `Portrait.forward`."""
        told, _ = self._tell(keyframes, maps)
        return torch.from_numpy(told).permute(0, 3, 1, 2)

    def _tell(self, keyframes: Tensor, maps: Tensor) -> tuple[Floats, Floats]:
        """(N,q,q,told) what the network is told, and (N,K,S,S,4) the keyframes it was told of."""
        n, k = keyframes.shape[:2]
        size, cells = self._size, self._cells
        planes = keyframes.contiguous().numpy()
        # Four numbers a pixel lie together: they are read and weighed at once.
        pictures = np.empty((n, k, size, size, 4), np.float32)
        guides = maps[:, :GUIDES].permute(0, 2, 3, 1).contiguous().numpy()
        flow, valid = _motion(maps, k)
        told = np.empty((n, cells, cells, self.portrait.config.told), np.float32)
        same = (self._plate, self._fixed)
        for i in range(n):
            interleave(planes[i], pictures[i])
            _tell(pictures[i], flow[i], valid[i], guides[i], same, told[i])
        return told, pictures

    def _draw(self, keyframes: Tensor, maps: Tensor, code: Tensor) -> Tensor:
        n, k = keyframes.shape[:2]
        told, pictures = self._tell(keyframes, maps)
        flow, valid = _motion(maps, k)
        answer = np.empty((n, self._size, self._size, 3), np.float32)
        with torch.inference_mode():
            shown = torch.from_numpy(told).permute(0, 3, 1, 2)
            wanted, correction = self.portrait.infer(shown, code)
            moved = self.portrait.config.limited(correction.float() * FLOW_RATE)
            moves = moved.unflatten(1, (k, 2)).contiguous().numpy()
            scores = wanted.float().permute(0, 2, 3, 1).contiguous().numpy()
        for i in range(n):
            parting = told[i, :, :, self.portrait.config.parting]
            warps = (flow[i], moves[i], valid[i])
            answer[i] = self._blend(pictures[i], warps, scores[i], parting)
        return torch.from_numpy(answer).permute(0, 3, 1, 2)

    def _blend(
        self,
        pictures: Floats,
        warps: tuple[Floats, Floats, Floats],
        scores: Floats,
        parting: Floats,
    ) -> Floats:
        """(S,S,3): both bands blended, sharpened by the gain, completed by the residual."""
        import cv2

        size = self._size
        coarse = np.empty((size, size, 3), np.float32)
        decided = np.empty((size, size, 3), np.float32)
        wanted = np.empty((size, size, scores.shape[2] // CELL**2), np.float32)
        _shuffle(scores, wanted)
        edge = cv2.BORDER_REPLICATE
        cv2.sepFilter2D(wanted, -1, _UNDOTTED, _UNDOTTED, wanted, borderType=edge)
        decision = self.portrait.config.decision
        fixed = (self._plate, self._still, parting)
        _mix(pictures, *warps, wanted, fixed, decision, coarse, decided)
        low = np.asarray(cv2.blur(decided, (5, 5), borderType=edge), np.float32)
        answer = np.asarray(cv2.blur(coarse, (5, 5), borderType=edge), np.float32)
        _complete(decided, low, wanted, answer)
        return answer


def _motion(maps: Tensor, keyframes: int) -> tuple[Floats, Floats]:
    """(N,K,2,h,w) flow and (N,K,h,w) validity."""
    motion = maps[:, GUIDES:].unflatten(1, (keyframes, 3))
    return motion[:, :, :2].contiguous().numpy(), motion[:, :, 2].contiguous().numpy()


@njit(cache=True, nogil=True, fastmath=True)
def _shuffle(scores: Floats, wanted: Floats) -> None:  # pragma: no cover - compiled
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
def _tell(
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
            doubled(flow[k, 0], row, dx)
            doubled(flow[k, 1], row, dy)
            for column in range(size):
                x, y = np.float32(column) + dx[column], np.float32(row) + dy[column]
                red, green, blue, coverage = color(pictures[k], x, y)
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
def _mix(
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
        left[column], right[column], aside[column] = taps_at(place, len(line))
    taps = (left, right, aside)
    priors = np.empty(count + 1, np.float32)
    soft, hard = np.empty(count + 1, np.float32), np.empty(count + 1, np.float32)
    for row in range(size):
        for k in range(count):
            doubled(flow[k, 0], row, dx[k])
            doubled(flow[k, 1], row, dy[k])
            doubled(valid[k], row, visibility[k])
        shortest(dx, dy, nearest)
        for k in range(count):
            add_enlarged(moves[k, 0], row, line, taps, dx[k])
            add_enlarged(moves[k, 1], row, line, taps, dy[k])
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
                one, two, three, coverage = color(pictures[k], x, y)
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
def _complete(
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
