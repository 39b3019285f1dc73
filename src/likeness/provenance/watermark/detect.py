"""The watermark's test of a clip, in constant memory."""

from __future__ import annotations

import torch

from likeness.provenance.watermark.evidence import Evidence
from likeness.provenance.watermark.mark import PUBLIC_KEY
from likeness.provenance.watermark.search import NOTHING, Spectra, WatermarkReading, search


class Detector:
    """Takes frames in order, and reads the mark from them at any time."""

    def __init__(self, size: tuple[int, int], key: bytes = PUBLIC_KEY) -> None:
        """Prepare for frames of `size` (H, W), marked with `key`."""
        self.key = key
        self._evidence = Evidence(size)

    def add(self, frames: torch.Tensor) -> None:
        """Take in the next frames.

        Args:
            frames: (N,3,H,W) float RGB in [0,1].

        Raises:
            ContractError: The shape is another.
        """
        self._evidence.add(frames)

    def read(self) -> WatermarkReading:
        """Test what was taken in so far."""
        picture = self._evidence.picture()
        if picture is None:
            return NOTHING
        return search(Spectra(picture), self.key, self._evidence.frames)
