"""Laying the mark on frames: a keyed pattern in luma, as strong as the picture hides it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from likeness.errors import ContractError
from likeness.provenance.watermark import code, hide
from likeness.provenance.watermark.pattern import SYMBOLS, TILE, moved, on_torus, place_of, waves
from likeness.types import Floats

PUBLIC_KEY = b"likeness public watermark key, version 1"
"""Known to everybody, so that everybody can verify; see docs/watermark.md for what that means."""

_ANCHOR_SHARE = 0.4
"""Share of the mark's energy in the pattern that is searched for; the rest carries the payload."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """What is to be told by every frame of a clip: the same pattern in each of them."""

    payload: int
    """64 bits."""
    key: bytes = PUBLIC_KEY

    def __post_init__(self) -> None:
        if not 0 <= self.payload < 1 << 64:
            raise ContractError(f"payload is {self.payload}, expected 0 to 2^64 - 1")

    def embedder(self, size: tuple[int, int]) -> Embedder:
        """Return what marks frames of `size` (H, W)."""
        return Embedder(self, size)

    def embed(self, frames: torch.Tensor) -> torch.Tensor:
        """Return (N,3,H,W) frames with the mark; see `Embedder.embed`."""
        return self.embedder((frames.shape[2], frames.shape[3])).embed(frames)

    def pattern(self, unit: int = 1) -> Floats:
        """Return the pattern on the torus, (TILE * unit, TILE * unit), root mean square one."""
        word = code.encode(list(self.payload.to_bytes(code.DATA, "big")))
        spectrum = np.sqrt(_ANCHOR_SHARE) * waves(self.key, 0)
        share = np.sqrt((1 - _ANCHOR_SHARE) / SYMBOLS)
        for number, byte in enumerate(word, 1):
            spectrum = spectrum + share * moved(waves(self.key, number), *place_of(byte))
        tile = on_torus(spectrum, TILE * unit)
        scaled: Floats = (tile / np.sqrt((tile**2).mean())).astype(np.float32)
        return scaled


def unit_of(size: tuple[int, int]) -> int:
    """Return by what whole number the pattern is enlarged on frames of `size` (H, W)."""
    return max(1, int(min(size) / TILE + 0.5))


class Embedder:
    """Marks the frames of one clip, each by itself: windows and order make no difference."""

    def __init__(self, watermark: Watermark, size: tuple[int, int]) -> None:
        unit = unit_of(size)
        rows, columns = (np.arange(side) % (TILE * unit) for side in size)
        tile = watermark.pattern(unit)
        self._pattern = np.ascontiguousarray(tile[rows[:, None], columns[None]])

    def embed(self, frames: torch.Tensor) -> torch.Tensor:
        """Return frames with the mark.

        Args:
            frames: (N,3,H,W) float RGB in [0,1], of the size that was promised.

        Returns:
            (N,3,H,W) float32 in [0,1]; red, green and blue move alike, so that luma alone changes.

        Raises:
            ContractError: The shape is another.
        """
        expected = (3, *self._pattern.shape)
        if frames.ndim != 4 or tuple(frames.shape[1:]) != expected:
            raise ContractError(f"frames are {tuple(frames.shape)}, expected (n, *{expected})")
        plain = np.ascontiguousarray(frames.detach().to("cpu", torch.float32).numpy())
        marked = np.empty_like(plain)
        for frame, out in zip(plain, marked, strict=True):
            hide.add(frame, self._pattern, hide.strengths(frame), out)
        return torch.from_numpy(marked)
