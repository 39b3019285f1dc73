"""Older and younger: folds, skin and hair change, and the outline sags."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness.methods.edit.surface_face import EditedFace
from likeness.methods.edit.surface_folds import FoldTextures, activations, fold_textures
from likeness.methods.edit.surface_skin import (
    OLDER,
    YOUNGER,
    SkinTextures,
    banded,
    skin_textures,
)
from likeness.methods.edit.surface_view import FrameView
from likeness.types import Floats

_MOST = 0.5
"""Largest change of the logarithm that a band of detail may make."""
_SKY = 0.3
"""What folds see of the light above, relative: nine coefficients average it away."""
_HOLLOWS = ((1.8, 0.30), (5.0, 0.22))
"""Reach in millimetres, and darkening per millimetre of depth below what lies around within it:
light from the sides does not reach the ground."""
_RIDGE = 0.25
"""Brightening of what stands out, relative to the darkening of what lies deep."""


@dataclass(frozen=True, eq=False)
class Age:
    """Toward older above zero, toward younger below."""

    folds: FoldTextures
    skin: SkinTextures

    @staticmethod
    def of(face: EditedFace, seed: int) -> Age:
        """Author what age adds on one person's surface."""
        places = face.places[: len(face.model.mean)]
        return Age(fold_textures(face.model, places, seed), skin_textures(face.model, places, seed))

    def move(self, view: FrameView, strength: float) -> Floats | None:
        """Leave the outline alone."""
        return None

    def shade(self, view: FrameView, strength: float) -> Floats | None:
        """Draw folds and unevenness, and change the skin's own detail."""
        skin = view.fetch(self.skin.skin) * view.posed.skin
        gains = OLDER if strength > 0 else YOUNGER
        share = abs(strength)
        change = banded(view.luma, view.width, tuple(1 + share * (gain - 1) for gain in gains))
        change = np.clip(change, -_MOST, _MOST)
        if strength <= 0:
            return np.repeat((change * skin)[..., None], 3, 2)
        folded = self._folded(view)
        shaded = (change + strength * folded)[..., None] + strength * view.fetch(self.skin.spots)
        return np.asarray(shaded * skin[..., None], np.float32)

    def _folded(self, view: FrameView) -> Floats:
        """(h,w) logarithm of what folds do to the light on the skin."""
        import cv2

        posed = view.posed
        height = view.fetch(self.folds.total(activations(view.expression)))
        across = cv2.Scharr(height, cv2.CV_32F, 1, 0) * (posed.scale / 32)
        along = cv2.Scharr(height, cv2.CV_32F, 0, 1) * (posed.scale / 32)
        light = posed.slope_light
        slopes = -(across * light[..., 0] + along * (light[..., 1] - _SKY)) * posed.facing
        inside = np.zeros_like(height)
        for reach, share in _HOLLOWS:
            hollow = cv2.GaussianBlur(height, (0, 0), reach * posed.scale) - height
            inside += share * (_RIDGE * np.maximum(-hollow, 0) - np.maximum(hollow, 0))
        return np.asarray(np.clip(slopes, -_MOST, _MOST) + inside, np.float32)
