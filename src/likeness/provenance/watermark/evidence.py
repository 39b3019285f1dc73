"""What frames say of a mark, before any key is known: a weighted mean, in constant memory."""

from __future__ import annotations

import numpy as np
import torch
from scipy.fft import irfft2, rfft2
from scipy.ndimage import uniform_filter
from torch.nn import functional

from likeness.errors import ContractError
from likeness.provenance.watermark.hide import Floats32
from likeness.provenance.watermark.pattern import unit_of

_LUMA = (0.2126, 0.7152, 0.0722)
_NEAR = 9
"""Side in pixels of the neighbourhoods whose noise is measured: about a wave, so that edges and
lines count for little."""
_CALM = 0.15
"""Levels of filtered luma that are taken for noise everywhere: rounding leaves as much."""
_NEAR_IN_MEAN = 9
"""The same in the mean over frames."""
_SHARE = 0.15
"""Noise of the mean that is taken to be everywhere, as a share of its own average."""
_SHORTEST, _LONGEST = 4.5, 48.0
"""Wavelengths in pixels that are looked at: the mark's from half size to more than double."""
_MARGIN = 24
"""Pixels of mirrored border, so that opposite borders do not meet."""
_SMALLEST = 32
"""Least side in pixels of frames that are tested."""


class Evidence:
    """Takes frames in order, keeps sums, and gives the picture in which a mark stands out most.

    Each frame is filtered to even out its spectrum, and weighted by the inverse of the noise in
    each neighbourhood. The mean over frames is weighted once more: where the picture moved, it has
    averaged out, and what is left counts for more.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        """Prepare for frames of `size` (H, W)."""
        self.size = size
        self.frames = 0
        self._unit = unit_of(size)
        shape = size[0] // self._unit, size[1] // self._unit
        self._filter = _evening((shape[0] + 2 * _MARGIN, shape[1] + 2 * _MARGIN))
        self._sum = np.zeros(shape, np.float32)

    def add(self, frames: torch.Tensor) -> None:
        """Take in the next frames.

        Args:
            frames: (N,3,H,W) float RGB in [0,1].

        Raises:
            ContractError: The shape is another.
        """
        expected = (3, *self.size)
        if frames.ndim != 4 or tuple(frames.shape[1:]) != expected:
            raise ContractError(f"frames are {tuple(frames.shape)}, expected (n, *{expected})")
        weights = torch.tensor(_LUMA).view(1, 3, 1, 1) * 255
        for frame in frames.detach().to("cpu", torch.float32):
            luma = (frame[None] * weights).sum(1, keepdim=True)
            if self._unit > 1:
                luma = functional.avg_pool2d(luma, self._unit)
            self._take(luma[0, 0].numpy())
            self.frames += 1

    def _take(self, luma: Floats32) -> None:
        padded = np.pad(luma, _MARGIN, mode="symmetric")
        even = irfft2(rfft2(padded) * self._filter, s=padded.shape)
        even = even[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
        noise = np.sqrt(uniform_filter(even * even, _NEAR) + np.float32(_CALM**2))
        # The mark is laid on the stronger the more there is to hide it, about as the noise grows:
        # in units of the noise it is even, and so is its weight.
        self._sum += even / noise

    def picture(self) -> Floats32 | None:
        """Return (H, W) in pixels of the pattern, or None of no frames or of too small ones."""
        if not self.frames or min(self._sum.shape) < _SMALLEST:
            return None
        mean = self._sum / self.frames
        power = uniform_filter(mean * mean, _NEAR_IN_MEAN)
        weighted: Floats32 = mean / (power + _SHARE * power.mean() + np.float32(1e-12))
        return weighted


def _evening(shape: tuple[int, int]) -> Floats32:
    """Return (H, W//2+1) amplitudes that even out a picture's spectrum within the band.

    Pictures fall off with frequency f about as f^-1.5, the steeper the calmer they are.
    """
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    frequency = np.maximum(np.hypot(fy, fx), 1e-6)
    low = 1 / (1 + (frequency * _LONGEST) ** -8)
    high = 1 / (1 + (frequency * _SHORTEST) ** 8)
    amplitudes: Floats32 = (frequency**1.5 * low * high).astype(np.float32)
    return amplitudes
