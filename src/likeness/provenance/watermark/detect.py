"""Collecting frames for the watermark's test, in constant memory."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import uniform_filter
from torch.nn import functional

from likeness.errors import ContractError
from likeness.provenance.watermark.mark import PUBLIC_KEY, unit_of
from likeness.provenance.watermark.search import WatermarkReading, search
from likeness.types import Floats

_WINDOW = 33
"""Side in pixels of the neighbourhoods that are brought to the same noise."""
_CALM = 1.0
"""Levels of noise that are taken to be everywhere."""
_LUMA = (0.2126, 0.7152, 0.0722)


class Detector:
    """Takes frames in order, keeps their mean, and reads the mark from it at any time."""

    def __init__(self, size: tuple[int, int], key: bytes = PUBLIC_KEY) -> None:
        self.size = size
        self.key = key
        self.frames = 0
        self._unit = unit_of(size)
        self._sum = np.zeros((size[0] // self._unit, size[1] // self._unit), np.float32)

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
        weights = torch.tensor(_LUMA).view(1, 3, 1, 1)
        for frame in frames.detach().to("cpu", torch.float32):
            luma = (frame[None] * weights).sum(1, keepdim=True) * 255
            if self._unit > 1:
                luma = functional.avg_pool2d(luma, self._unit)
            self._sum += _evened(luma[0, 0].numpy())
            self.frames += 1

    def read(self) -> WatermarkReading:
        """Test what was taken in so far."""
        if not self.frames or min(self._sum.shape) < 8:
            return WatermarkReading(False, 1.0, None, 1.0, 0.0, 1.0, (0.0, 0.0), self.frames)
        return search(_weighted(self._sum / self.frames), self.key, self.frames)


def _evened(luma: Floats) -> Floats:
    """Take off what varies slowly and bring busy and calm areas to the same noise."""
    fine = luma - uniform_filter(luma, _WINDOW)
    evened: Floats = fine / (np.sqrt(uniform_filter(fine * fine, _WINDOW)) + _CALM)
    return evened


def _weighted(mean: Floats) -> Floats:
    """Weight each area by the inverse of its variance: what moved has averaged out and counts."""
    power = uniform_filter(mean * mean, _WINDOW)
    weighted: Floats = mean / (power + 0.1 * power.mean() + 1e-12)
    return weighted
