"""One frame as the directions of the surface engine see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from likeness.methods.edit.surface_face import PosedFace
from likeness.methods.edit.surface_folds import texels
from likeness.types import Floats

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_DARKEST = 0.02
"""Least luma whose logarithm is taken: below it there is noise."""


@dataclass(frozen=True, eq=False)
class FrameView:
    """The crop of one frame at the drawn density, and the face in it."""

    posed: PosedFace
    pixels: Floats
    """(h,w,3) RGB in [0,1]."""

    @cached_property
    def expression(self) -> Mapping[str, float]:
        """The fitted weights by name."""
        params = self.posed.face.shot.params
        values = params.expression[self.posed.row].tolist()
        return dict(zip(params.expression_names, values, strict=True))

    @cached_property
    def luma(self) -> Floats:
        """(h,w) logarithm of the luma."""
        return np.asarray(np.log(np.maximum(self.pixels @ LUMA, _DARKEST)), np.float32)

    @cached_property
    def width(self) -> float:
        """Width of the face in drawn pixels."""
        oval = self.posed.vertices[self.posed.face.model.regions["face_oval"], 0]
        return float(np.ptp(oval))

    def fetch(self, texture: Floats) -> Floats:
        """Draw a texture of the unrolled face, (h,w) or (h,w,3); 0 off the face."""
        import cv2

        x, y = self._texels
        return np.asarray(
            cv2.remap(texture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT), np.float32
        )

    @cached_property
    def _texels(self) -> tuple[Floats, Floats]:
        # OpenCV puts pixel centers on whole numbers.
        at = texels(self.posed.places) - np.float32(0.5)
        return np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1])
