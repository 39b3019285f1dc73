"""How steady a video is: change that the motion doesn't explain, and a background that swims.

The motion is the real clip's, estimated by OpenCV's dense inverse search flow (Kroeger et al.,
2016), which comes with MediaPipe. Pictures are (n,3,h,w) RGB in [0,1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from likeness.metrics.image import luma
from likeness.types import Bools, Floats, check

_LONGEST_SIDE = 512
_STILL = 0.02
_NOISE_FLOOR = 1 / 255 / np.sqrt(12)


def flow(of: Tensor, to: Tensor) -> Floats:
    """Estimate where each pixel of one picture lies in another.

    Args:
        of, to: (3,h,w) in [0,1], at least 16x16.

    Returns:
        (h,w,2) displacement x y in pixels: pixel p of the first is at p + flow(p) in the second.
    """
    a, b = ((luma(p[None])[0] * 255).round().clamp(0, 255).byte().numpy() for p in (of, to))
    # Loaded on first use: OpenCV takes a while. An estimator holds state and serves one thread.
    import cv2

    estimator: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found: Floats = estimator.calc(np.ascontiguousarray(a), np.ascontiguousarray(b), None)
    return found


def warp(pictures: Tensor, displacement: Floats) -> Tensor:
    """Fetch every pixel from where the flow says it was.

    Args:
        pictures: (n,C,h,w).
        displacement: (h,w,2) x y pixels, from `flow(now, before)`.

    Returns:
        (n,C,h,w) bilinear samples; borders replicated.
    """
    h, w = pictures.shape[-2:]
    y, x = np.mgrid[:h, :w] + 0.5
    grid = np.stack([x + displacement[..., 0], y + displacement[..., 1]], -1)
    unit = torch.from_numpy((grid / (w, h) * 2 - 1).astype(np.float32))
    return functional.grid_sample(
        pictures,
        unit.expand(len(pictures), h, w, 2),
        padding_mode="border",
        align_corners=False,
    )


def visible(back: Floats, forth: Floats) -> Bools:
    """Mark pixels whose flow there and back again returns home.

    Forward-backward check of Sundaram et al. (ECCV 2010, equation 5): hidden where
    |b(p) + f(p + b(p))|^2 >= 0.01 (|b|^2 + |f|^2) + 0.5.

    Args:
        back: (h,w,2) flow from now to before.
        forth: (h,w,2) flow from before to now.

    Returns:
        (h,w) True where the pixel was seen in both pictures.
    """
    planes = torch.from_numpy(np.ascontiguousarray(forth.transpose(2, 0, 1)))[None]
    returned = warp(planes, back)[0].numpy().transpose(1, 2, 0)
    miss = ((back + returned) ** 2).sum(-1)
    bound = 0.01 * ((back**2).sum(-1) + (returned**2).sum(-1)) + 0.5
    h, w = miss.shape
    y, x = np.mgrid[:h, :w] + 0.5
    x, y = x + back[..., 0], y + back[..., 1]
    seen: Bools = (miss < bound) & (x >= 0) & (x <= w) & (y >= 0) & (y <= h)
    return seen


class WarpedDifference:
    """Temporal error after Lai et al. (ECCV 2018, equation 9), less what the real clip has itself.

    Each frame is compared with the one before it, warped by the real clip's flow, over the pixels
    seen in both: E = root mean square. The answer is E(result) - E(real), in units of RGB [0,1]:
    0 is as steady as real, above flickers, below is smoother than real (blur also does that).
    Frames must come in order; memory is that of one frame.
    """

    def __init__(self) -> None:
        self._before: Tensor | None = None
        self._squares: list[tuple[float, float]] = []

    def add(self, result: Tensor, real: Tensor) -> None:
        """Take the next n frames, (n,3,h,w) each.

        Raises:
            ContractError: the two differ in shape, or from the frames before.
        """
        check(result.shape == real.shape, f"shapes differ: {result.shape} and {real.shape}")
        for pair in torch.stack([_reduced(result), _reduced(real)], 1):
            if self._before is not None:
                check(pair.shape == self._before.shape, "frames change their size on the way")
                self._squares.append(unexplained(self._before, pair))
            self._before = pair

    def series(self) -> Floats:
        """Return (n-1,) root mean square of result minus real, per pair of frames."""
        roots = np.sqrt(np.array(self._squares, np.float64).reshape(-1, 2))
        answer: Floats = (roots[:, 0] - roots[:, 1]).astype(np.float32)
        return answer

    def value(self) -> float | None:
        """Return E(result) - E(real); None for fewer than two frames."""
        return difference_of_roots(self.squares())

    def squares(self) -> Floats:
        """Return (n-1,2) mean squared unexplained change per pair of frames: result, real."""
        return np.array(self._squares, np.float32).reshape(-1, 2)


def difference_of_roots(squares: Floats) -> float | None:
    """Return E(result) - E(real) from (n,2) mean squares; None where none are known."""
    known = squares[np.isfinite(squares).all(-1)].astype(np.float64)
    if not len(known):
        return None
    result, real = np.sqrt(known.mean(0))
    return float(result - real)


@dataclass(frozen=True, slots=True)
class Steadiness:
    """Standard deviation over time of the static background, in units of RGB [0,1]."""

    result: float
    real: float
    share: float
    """Share of the picture that counted as static background."""

    @property
    def ratio(self) -> float:
        """Result over real; 1 is as still as the source, above swims or flickers."""
        return self.result / max(self.real, float(_NOISE_FLOOR))


class BackgroundSteadiness:
    """Mean and variance of every pixel over time, for the result and for the real clip.

    Background is what no head mask ever covered; static is what hardly changes in the real clip.
    Sums are taken about the first frame, so that they keep their digits.
    """

    def __init__(self) -> None:
        self._first: Tensor | None = None
        self._sum: Tensor = torch.zeros(())
        self._square: Tensor = torch.zeros(())
        self._outside: Bools = np.ones((), np.bool_)
        self._count = 0

    def add(self, result: Tensor, real: Tensor, head: Bools) -> None:
        """Take the next n frames (n,3,h,w) and where the head is, (n,h,w)."""
        both = torch.stack([result, real], 1).double()
        if self._first is None:
            self._first = both[0].clone()
            self._outside = np.ones(real.shape[-2:], np.bool_)
        shifted = both - self._first
        self._sum = self._sum + shifted.sum(0)
        self._square = self._square + shifted.square().sum(0)
        self._outside = self._outside & ~head.any(0)
        self._count += len(real)

    def value(self) -> Steadiness | None:
        """Return the background's deviation; None without two frames or static background."""
        if self._count < 2:
            return None
        mean = self._sum / self._count
        variance = (self._square / self._count - mean.square()).clamp_min(0).mean(1).numpy()
        static = self._outside & (np.sqrt(variance[1]) < _STILL)
        if not static.any():
            return None
        result, real = np.sqrt(variance[:, static].mean(1))
        return Steadiness(float(result), float(real), float(static.mean()))


def unexplained(before: Tensor, now: Tensor) -> tuple[float, float]:
    """Return how much of a change the motion of the real clip doesn't explain.

    Args:
        before, now: (2,3,h,w) RGB in [0,1]: result and real, one frame and the next.

    Returns:
        Mean squared difference to the warped frame before, of result and of real, over pixels seen
        in both frames; NaN where there are none.
    """
    back, forth = flow(now[1], before[1]), flow(before[1], now[1])
    seen = visible(back, forth)
    if not seen.any():
        return float("nan"), float("nan")
    squares = (now - warp(before, back)).square().mean(1).numpy()[:, seen].mean(-1)
    return float(squares[0]), float(squares[1])


def _reduced(pictures: Tensor) -> Tensor:
    """Shrink (n,3,h,w) by a whole factor until the longest side is at most 512."""
    factor = -(-max(pictures.shape[-2:]) // _LONGEST_SIDE)
    return pictures if factor == 1 else functional.avg_pool2d(pictures, factor)
