"""Laying the mark on frames: a keyed pattern in luma, as strong as the picture hides it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from likeness.errors import ContractError
from likeness.provenance.watermark import code, hide
from likeness.provenance.watermark.hide import Floats32
from likeness.provenance.watermark.pattern import SYMBOLS, TILE, moved, on_torus, place_of, waves

PUBLIC_KEY = b"likeness public watermark key, version 1"
"""Known to everybody, so that everybody can verify; see docs/watermark.md for what that means."""

_SMALL = 400
"""Frames with a smaller area than this squared have little room."""
_QUIET = 0.8
"""The mark on larger frames, relative to that on small ones: they have room to spare."""


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

    def pattern(self, size: tuple[int, int]) -> Floats32:
        """Return the (H, W) pattern for frames of `size`, of mean square one on small ones."""
        unit, anchor = unit_of(size), _anchor_share(size)
        word = code.encode(self.payload.to_bytes(code.DATA, "big"))
        spectrum = np.sqrt(anchor) * waves(self.key, 0)
        share = np.sqrt((1 - anchor) / SYMBOLS)
        for number, byte in enumerate(word, 1):
            spectrum = spectrum + share * moved(waves(self.key, number), *place_of(byte))
        center = 0.5 / unit
        tile = on_torus(moved(spectrum, center, center), TILE * unit)
        tile *= _loudness(size) / np.sqrt((tile**2).mean())
        rows, columns = (np.arange(side) % (TILE * unit) for side in size)
        return np.ascontiguousarray(tile[rows[:, None], columns[None]], np.float32)


def unit_of(size: tuple[int, int]) -> int:
    """Return by what whole number the pattern is enlarged on frames of `size` (H, W)."""
    return max(1, int(min(size) / TILE + 0.5))


def _anchor_share(size: tuple[int, int]) -> float:
    """Return the share of the mark's energy in the pattern that is searched for.

    The rest carries the payload. In small frames, being found at all comes first.
    """
    return 0.7 if _is_small(size) else 0.5


def _loudness(size: tuple[int, int]) -> float:
    return 1.0 if _is_small(size) else _QUIET


def _is_small(size: tuple[int, int]) -> bool:
    return size[0] * size[1] < _SMALL**2


class Embedder:
    """Marks the frames of one clip, each by itself: windows and order make no difference."""

    def __init__(self, watermark: Watermark, size: tuple[int, int]) -> None:
        self._pattern = watermark.pattern(size)

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
