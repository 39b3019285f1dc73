"""The fast portrait on a CPU: what `Portrait.draw` does around its network, as two compiled loops.

In torch, sampling and blending four keyframes twice touches every pixel some forty times and takes
longer than the network. Here each pixel is visited once before the network and once after it.
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

from likeness.synthesize.portrait import FLOW_RATE, GUIDES, PLATE_LIMIT, Portrait
from likeness.types import Floats

_NEGLIGIBLE = 5e-4
"""Candidates of less weight than this are not sampled: four of them are half a step of 8 bits."""
_TOLD_BYTES = 48 * 2**20
"""Most memory for what the network is told at once: eight frames at 256, two at 512."""


class PortraitCPU:
    """Draws what a trained portrait draws, faster."""

    def __init__(self, portrait: Portrait) -> None:
        self.portrait = portrait
        size = portrait.config.size
        k = portrait.config.keyframes
        with torch.inference_mode():
            plate = functional.pixel_unshuffle(portrait.plate * 2 - 1, 2)
            fixed = torch.cat([plate, portrait.canvas], 1)[0].permute(1, 2, 0)
        self._fixed = fixed.contiguous().numpy()
        """(h,w,12+canvas) what every frame is told alike, plate then canvas."""
        self._plate = np.ascontiguousarray(portrait.plate[0].numpy())
        self._prior = (PLATE_LIMIT * (2 * portrait.still[0, 0] - 1)).exp().contiguous().numpy()
        self._channels = 13 * k + self._fixed.shape[2] + GUIDES
        self._half = size // 2

    def __call__(self, keyframes: Tensor, maps: Tensor, code: Tensor) -> Tensor:
        """Draw N frames; shapes as `Portrait.forward`."""
        # Large portraits in small parts: what the network is told takes most of the memory.
        part = max(1, _TOLD_BYTES // (4 * self._channels * self._half**2))
        if len(keyframes) <= part:
            return self._draw(keyframes, maps, code)
        pieces = zip(keyframes.split(part), maps.split(part), code.split(part), strict=True)
        return torch.cat([self._draw(*piece) for piece in pieces])

    def _draw(self, keyframes: Tensor, maps: Tensor, code: Tensor) -> Tensor:
        n, k = keyframes.shape[:2]
        half = self._half
        pictures = keyframes.contiguous().numpy()
        guides = maps[:, :GUIDES].permute(0, 2, 3, 1).contiguous().numpy()
        motion = maps[:, GUIDES:].unflatten(1, (k, 3))
        ways = motion[:, :, :2].contiguous().numpy()
        valid = motion[:, :, 2].contiguous().numpy()
        told = np.empty((n, half, half, self._channels), np.float32)
        answer = np.empty((n, 2 * half, 2 * half, 3), np.float32)
        for i in range(n):
            _tell(pictures[i], ways[i], valid[i], guides[i], self._fixed, told[i])
        with torch.inference_mode():
            seen = torch.from_numpy(told).permute(0, 3, 1, 2)
            wanted, correction = self.portrait.infer(seen, code)
            moved = self.portrait.config.limited(correction.float() * FLOW_RATE)
            moves = moved.unflatten(1, (k, 2)).contiguous().numpy()
            scores = wanted.float().permute(0, 2, 3, 1).contiguous().numpy()
        for i in range(n):
            answer[i] = self._blend(pictures[i], ways[i], moves[i], valid[i], scores[i])
        return torch.from_numpy(answer).permute(0, 3, 1, 2)

    def _blend(
        self, pictures: Floats, ways: Floats, moves: Floats, valid: Floats, scores: Floats
    ) -> Floats:
        """(S,S,3): both bands blended, sharpened by the gain, completed by the residual."""
        import cv2

        size = 2 * self._half
        coarse = np.empty((size, size, 3), np.float32)
        decided = np.empty((size, size, 3), np.float32)
        decision = self.portrait.config.decision
        fixed = (self._plate, self._prior)
        _mix(pictures, ways, moves, valid, scores, fixed, decision, coarse, decided)
        edge = cv2.BORDER_REPLICATE
        low = np.asarray(cv2.blur(decided, (5, 5), borderType=edge), np.float32)
        answer = np.asarray(cv2.blur(coarse, (5, 5), borderType=edge), np.float32)
        _complete(decided, low, scores, answer)
        return answer


@njit(cache=True, nogil=True, fastmath=True)
def _between(at: int, count: int) -> tuple[int, int, float]:  # pragma: no cover - compiled
    """Two samples of a half-size row and the weight of the second, at a full-size pixel."""
    first = (at - 1) >> 1
    share = 0.25 if at & 1 else 0.75
    return max(first, 0), min(first + 1, count - 1), share


@njit(cache=True, nogil=True, fastmath=True)
def _taps(place: float, size: int) -> tuple[int, int, float]:  # pragma: no cover - compiled
    """Two pixels around a position (corner origin) and the weight of the second; edges repeat."""
    centered = min(max(place - 0.5, 0.0), size - 1.0)
    first = int(centered)
    return first, min(first + 1, size - 1), centered - first


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
    pictures: Floats, ways: Floats, valid: Floats, guides: Floats, fixed: Floats, told: Floats
) -> None:  # pragma: no cover - compiled
    """Warp K keyframes (K,3,S,S) and lay out (h,w,C) what the network is told."""
    count, half = len(pictures), ways.shape[2]
    size = 2 * half
    for row in range(size):
        r0, r1, down = _between(row, half)
        y = row >> 1
        for column in range(size):
            c0, c1, right = _between(column, half)
            x = column >> 1
            sub = (row & 1) * 2 + (column & 1)
            w00, w01 = (1 - down) * (1 - right), (1 - down) * right
            w10, w11 = down * (1 - right), down * right
            for k in range(count):
                a, b = ways[k, 0], ways[k, 1]
                dx = w00 * a[r0, c0] + w01 * a[r0, c1] + w10 * a[r1, c0] + w11 * a[r1, c1]
                dy = w00 * b[r0, c0] + w01 * b[r0, c1] + w10 * b[r1, c0] + w11 * b[r1, c1]
                x0, x1, fx = _taps(column + 0.5 + dx, size)
                y0, y1, fy = _taps(row + 0.5 + dy, size)
                for c in range(3):
                    p = pictures[k, c]
                    top = p[y0, x0] + fx * (p[y0, x1] - p[y0, x0])
                    low = p[y1, x0] + fx * (p[y1, x1] - p[y1, x0])
                    told[y, x, 12 * k + 4 * c + sub] = 2 * (top + fy * (low - top)) - 1
    first = 12 * count
    plate = first + count
    rest = plate + 12 + guides.shape[2]
    for y in range(half):
        for x in range(half):
            for k in range(count):
                told[y, x, first + k] = valid[k, y, x]
            for c in range(12):
                told[y, x, plate + c] = fixed[y, x, c]
            for c in range(guides.shape[2]):
                told[y, x, plate + 12 + c] = 2 * guides[y, x, c] - 1
            for c in range(12, fixed.shape[2]):
                told[y, x, rest + c - 12] = fixed[y, x, c]


@njit(cache=True, nogil=True, fastmath=True)
def _mix(
    pictures: Floats,
    ways: Floats,
    moves: Floats,
    valid: Floats,
    scores: Floats,
    fixed: tuple[Floats, Floats],
    decision: float,
    coarse: Floats,
    decided: Floats,
) -> None:  # pragma: no cover - compiled
    """Blend K corrected warps and the plate, softly and decidedly, into two (S,S,3) pictures."""
    plate, prior = fixed
    count, half = len(pictures), ways.shape[2]
    size = 2 * half
    quarter = moves.shape[2]
    ratio = quarter / size
    soft, hard = np.empty(count + 1, np.float32), np.empty(count + 1, np.float32)
    for row in range(size):
        r0, r1, down = _between(row, half)
        t0, t1, lower = _taps((row + 0.5) * ratio, quarter)
        for column in range(size):
            c0, c1, right = _between(column, half)
            u0, u1, aside = _taps((column + 0.5) * ratio, quarter)
            answer = scores[row >> 1, column >> 1]
            sub = (row & 1) * 2 + (column & 1)
            w00, w01 = np.float32((1 - down) * (1 - right)), np.float32((1 - down) * right)
            w10, w11 = np.float32(down * (1 - right)), np.float32(down * right)
            most = np.float32(-1e30)
            for k in range(count + 1):
                most = max(most, answer[4 * k + sub])
            sum_soft, sum_hard = np.float32(0), np.float32(0)
            for k in range(count + 1):
                # Priors are factors here: softmax(s + log p) is p exp(s), brought to the sum one.
                p = prior[row, column]
                if k < count:
                    v = valid[k]
                    seen = w00 * v[r0, c0] + w01 * v[r0, c1] + w10 * v[r1, c0] + w11 * v[r1, c1]
                    p = seen + np.float32(1e-3)
                e = np.exp(np.float32(4) * (answer[4 * k + sub] - most))
                soft[k], hard[k] = p * e, p * _power(e, decision)
                sum_soft += soft[k]
                sum_hard += hard[k]
            for c in range(3):
                share = soft[count] / sum_soft
                coarse[row, column, c] = share * plate[c, row, column]
                decided[row, column, c] = hard[count] / sum_hard * plate[c, row, column]
            for k in range(count):
                a, b = soft[k] / sum_soft, hard[k] / sum_hard
                if a < _NEGLIGIBLE and b < _NEGLIGIBLE:
                    continue
                h, v = ways[k, 0], ways[k, 1]
                dx = w00 * h[r0, c0] + w01 * h[r0, c1] + w10 * h[r1, c0] + w11 * h[r1, c1]
                dy = w00 * v[r0, c0] + w01 * v[r0, c1] + w10 * v[r1, c0] + w11 * v[r1, c1]
                h, v = moves[k, 0], moves[k, 1]
                top = h[t0, u0] + aside * (h[t0, u1] - h[t0, u0])
                low = h[t1, u0] + aside * (h[t1, u1] - h[t1, u0])
                dx += top + lower * (low - top)
                top = v[t0, u0] + aside * (v[t0, u1] - v[t0, u0])
                low = v[t1, u0] + aside * (v[t1, u1] - v[t1, u0])
                dy += top + lower * (low - top)
                x0, x1, fx = _taps(column + 0.5 + dx, size)
                y0, y1, fy = _taps(row + 0.5 + dy, size)
                for c in range(3):
                    q = pictures[k, c]
                    top = q[y0, x0] + fx * (q[y0, x1] - q[y0, x0])
                    low = q[y1, x0] + fx * (q[y1, x1] - q[y1, x0])
                    color = top + fy * (low - top)
                    coarse[row, column, c] += a * color
                    decided[row, column, c] += b * color


@njit(cache=True, nogil=True, fastmath=True)
def _complete(
    decided: Floats, low: Floats, scores: Floats, answer: Floats
) -> None:  # pragma: no cover - compiled
    """Add to the coarse band in `answer` the fine one times its gain, and the residual."""
    first = scores.shape[2] - 16
    for row in range(len(answer)):
        for column in range(answer.shape[1]):
            wanted = scores[row >> 1, column >> 1]
            sub = (row & 1) * 2 + (column & 1)
            gain = 1 + wanted[first + 12 + sub]
            for c in range(3):
                fine = decided[row, column, c] - low[row, column, c]
                answer[row, column, c] += gain * fine + wanted[first + 4 * c + sub]
