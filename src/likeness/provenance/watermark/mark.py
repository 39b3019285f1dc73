"""Laying the mark on frames: a keyed pattern in luma, as strong as the picture hides it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from likeness.errors import ContractError
from likeness.provenance.watermark import code, hide
from likeness.provenance.watermark.evidence import Evidence
from likeness.provenance.watermark.hide import Floats32
from likeness.provenance.watermark.pattern import (
    SYMBOLS,
    TILE,
    Complex,
    moved,
    on_torus,
    place_of,
    unit_of,
    waves,
)
from likeness.provenance.watermark.search import Spectra, best_place

PUBLIC_KEY = b"likeness public watermark key, version 1"
"""Known to everybody, so that everybody can verify; see docs/watermark.md for what that means."""

_SMALL = 400
"""Frames with a smaller area than this squared have little room."""
_PLAIN = 0.25
"""Mean step between neighbours, in 8-bit levels, below which a frame shows nothing."""
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

    def waves(self, size: tuple[int, int]) -> Complex:
        """Return (2R+1, R+1) waves of anchor and payload, together as loud as one pattern."""
        anchor = _anchor_share(size)
        word = code.encode(self.payload.to_bytes(code.DATA, "big"))
        spectrum: Complex = np.sqrt(anchor) * waves(self.key, 0)
        share = np.sqrt((1 - anchor) / SYMBOLS)
        for number, byte in enumerate(word, 1):
            spectrum = spectrum + share * moved(waves(self.key, number), *place_of(byte))
        return spectrum

    def pattern(self, size: tuple[int, int], place: tuple[float, float] = (0.0, 0.0)) -> Floats32:
        """Return the (H, W) pattern for frames of `size`, of mean square one on small ones.

        Args:
            size: (H, W) of the frames.
            place: (y, x) of the frames' corner on the torus, in pixels of the pattern.
        """
        unit = unit_of(size)
        center = 0.5 / unit
        spectrum = moved(self.waves(size), place[0] + center, place[1] + center)
        tile = on_torus(spectrum, TILE * unit)
        tile *= _loudness(size) / np.sqrt((tile**2).mean())
        rows, columns = (np.arange(side) % (TILE * unit) for side in size)
        return np.ascontiguousarray(tile[rows[:, None], columns[None]], np.float32)


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
    """Marks the frames of one clip, which come in order; windows make no difference.

    The pattern may lie anywhere on its torus. It is laid where the first frame that shows anything
    already agrees with it most, so that the picture, which is all the noise there is, speaks for
    the mark and not against it (informed coding: Miller, Doerr and Cox 2004). What stands still
    goes on agreeing.
    """

    def __init__(self, watermark: Watermark, size: tuple[int, int]) -> None:
        self.size = size
        self._watermark = watermark
        self._laid: tuple[Floats32, Floats32] | None = None
        self._settled = False

    def embed(self, frames: torch.Tensor) -> torch.Tensor:
        """Return frames with the mark.

        Args:
            frames: (N,3,H,W) float RGB in [0,1], of the size that was promised.

        Returns:
            (N,3,H,W) float32 in [0,1]; red, green and blue move alike, so that luma alone changes.

        Raises:
            ContractError: The shape is another.
        """
        expected = (3, *self.size)
        if frames.ndim != 4 or tuple(frames.shape[1:]) != expected:
            raise ContractError(f"frames are {tuple(frames.shape)}, expected (n, *{expected})")
        plain = np.ascontiguousarray(frames.detach().to("cpu", torch.float32).numpy())
        marked = np.empty_like(plain)
        for frame, out in zip(plain, marked, strict=True):
            pattern, power = self._laid_on(frame)
            hide.add(frame, pattern, hide.strengths(frame, power), out)
        return torch.from_numpy(marked)

    def _laid_on(self, frame: Floats32) -> tuple[Floats32, Floats32]:
        """Return the pattern for a frame, and its power per block."""
        if self._laid is None or (not self._settled and _shows_anything(frame)):
            self._settled = _shows_anything(frame)
            place = self._best_place(frame) if self._settled else (0.0, 0.0)
            pattern = self._watermark.pattern(self.size, place)
            self._laid = pattern, hide.block_power(pattern)
        return self._laid

    def _best_place(self, frame: Floats32) -> tuple[float, float]:
        """Return where the frame, as it is and at half size, agrees most with the pattern."""
        whole = torch.from_numpy(frame)[None]
        half = functional.avg_pool2d(whole, 2) if min(self.size) > 1 else whole
        white = np.zeros_like(self._watermark.waves(self.size))
        for picture, share in ((whole, 1.0), (half, 0.5)):
            size = picture.shape[2], picture.shape[3]
            evidence = Evidence(size)
            evidence.add(picture)
            seen = evidence.picture()
            if seen is not None:
                white += Spectra(seen).at(share * unit_of(self.size) / unit_of(size))
        return best_place(white, self._watermark.waves(self.size))[1]


def _shows_anything(frame: Floats32) -> bool:
    """Tell a picture from a black or plain frame, from which nothing follows for those after it."""
    return 255 * float(np.abs(np.diff(frame, axis=2, append=frame[..., -1:])).mean()) > _PLAIN
