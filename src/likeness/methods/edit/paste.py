"""Pasting: from the generator's square back into the full frame, with the frame's own fine detail.

A generator of 64 pixels over a face of 200 gives a soft face. What the frame has between its own
density and the generator's (strands, pores, edges) is added again where the edit has left the face
about as it was, and left out where it has not: there it would be a ghost.
Differs from Stitch it in Time, which pastes what was drawn; detail 0 does the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from likeness.condition.crop import cut
from likeness.errors import ConfigError
from likeness.methods.edit.stages import Faces
from likeness.types import Crop, Ints, Layer

_MOST = 1024
"""Largest side of what is pasted, in pixels."""


@dataclass(frozen=True)
class PasteConfig:
    """How faces are laid into the frame."""

    detail: float = 1.0
    """Share of the frame's finer detail that is added; 0 pastes what was drawn."""
    tolerance: float = 0.08
    """Difference between edit and frame, in [0,1], at which a third of the detail is left."""

    def __post_init__(self) -> None:
        if not 0 <= self.detail <= 2 or self.tolerance <= 0:
            raise ConfigError(
                f"detail {self.detail}, tolerance {self.tolerance}; expected a share of 0 to 2 and "
                "a positive tolerance"
            )


@dataclass(frozen=True, eq=False)
class Paster:
    """N faces, ready to be laid over frames in any order, by any thread."""

    crop: Crop
    """N similarities of the generator's size."""
    faces: NDArray[np.float16]
    """(N,4,S,S)."""
    density: int
    """Pasted pixels per pixel of the generator."""
    config: PasteConfig

    @staticmethod
    def of(faces: Faces, config: PasteConfig) -> Paster:
        """Choose the density at which a clip's faces are pasted."""
        size = faces.crop.size[0]
        scale = np.sqrt(np.linalg.det(faces.crop.crop_from_frame[:, :, :2]))
        density = 1
        if config.detail > 0:
            most = max(1, _MOST // size)
            density = int(np.clip(np.ceil(1 / float(np.median(scale)) - 0.25), 1, most))
        return Paster(faces.crop, faces.faces, density, config)

    @staticmethod
    def empty(size: int) -> Paster:
        """Paste nothing."""
        crop = Crop((size, size), np.eye(2, 3, dtype=np.float32)[None])
        return Paster(crop, np.zeros((1, 4, size, size), np.float16), 1, PasteConfig())

    def layer(self, frames: Tensor, rows: Ints) -> Layer:
        """Lay faces over N frames (N,3,H,W); row -1 lays nothing."""
        used = np.maximum(rows, 0)
        side = self.crop.size[0] * self.density
        crop = Crop((side, side), self.crop.crop_from_frame[used] * np.float32(self.density))
        drawn = torch.from_numpy(np.array(self.faces[used])).float()
        kept = torch.from_numpy((rows >= 0).astype(np.float32))[:, None, None, None]
        if self.density == 1:
            return Layer(crop, drawn[:, :3], drawn[:, 3:] * kept)
        # One by one, so that a frame's answer does not hang on its window.
        pictures = [self._detailed(frames[n : n + 1], crop, drawn, n) for n in range(len(rows))]
        alpha = functional.interpolate(
            drawn[:, 3:], size=(side, side), mode="bilinear", align_corners=False
        )
        return Layer(crop, torch.cat(pictures), alpha * kept)

    def _detailed(self, frame: Tensor, crop: Crop, drawn: Tensor, n: int) -> Tensor:
        """(1,3,s,s): the drawn face, enlarged, with the frame's finer detail."""
        own = cut(frame, Crop(crop.size, crop.crop_from_frame[n : n + 1]))
        low = functional.avg_pool2d(own, self.density)
        face = drawn[n : n + 1, :3]
        fine = own - _enlarged(low, crop.size)
        apart = (face - low).abs().amax(1, keepdim=True) / self.config.tolerance
        # A pixel that changed leaves its neighbors' detail in doubt, too.
        apart = functional.max_pool2d(apart, 3, 1, 1)
        trust = functional.interpolate(
            torch.exp(-apart.square()), size=crop.size, mode="bilinear", align_corners=False
        )
        return (_enlarged(face, crop.size) + self.config.detail * trust * fine).clamp(0, 1)


def _enlarged(picture: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(picture, size=size, mode="bicubic", align_corners=False)
