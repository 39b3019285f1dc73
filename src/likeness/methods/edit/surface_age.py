"""Older and younger: folds, skin and hair change, and the outline sags."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness.methods.edit.surface_face import EditedFace
from likeness.methods.edit.surface_folds import FoldTextures, activations
from likeness.methods.edit.surface_hair import Hair, dark_hair, grayed
from likeness.methods.edit.surface_move import LIFT, SAG, pulled
from likeness.methods.edit.surface_relief import MOST, relief
from likeness.methods.edit.surface_skin import BANDS, OLDER, YOUNGER, SkinTextures, banded
from likeness.methods.edit.surface_view import NOWHERE, FrameView, within
from likeness.types import Floats

_REACH = 2.5 * BANDS[-1]
"""How far around the skin its detail is read, in face widths: what lies further is not felt."""


@dataclass(frozen=True, eq=False)
class Age:
    """Toward older above zero, toward younger below."""

    folds: FoldTextures
    skin: SkinTextures
    hair: Hair | None
    sag: Floats
    """(F,3) millimetres at strength 1."""
    lift: Floats
    """(F,3) millimetres at strength -1."""

    @staticmethod
    def of(face: EditedFace, folds: FoldTextures, skin: SkinTextures, hair: Hair | None) -> Age:
        """Make it ready for one person."""
        return Age(folds, skin, hair, pulled(face.model, SAG), pulled(face.model, LIFT))

    def move(self, view: FrameView, strength: float) -> Floats | None:
        """Let the face sag, or lift it."""
        offsets = self.sag if strength > 0 else self.lift
        return np.asarray(abs(strength) * offsets, np.float32)

    def shade(self, view: FrameView, strength: float) -> Floats | None:
        """Draw folds and unevenness, and change the skin's own detail."""
        if view.box == NOWHERE:
            return None
        skin = view.fetch(self.skin.skin) * view.bare[view.box]
        gains = OLDER if strength > 0 else YOUNGER
        share = abs(strength)
        near = view.around(_REACH * view.width)
        change = banded(
            view.skin_luma[near], view.width, tuple(1 + share * (gain - 1) for gain in gains)
        )
        change = np.clip(change[within(view.box, near)], -MOST, MOST)
        if strength <= 0:
            return view.whole(np.repeat((change * skin)[..., None], 3, 2))
        folded = relief(view, self.folds.total(activations(view.expression)))
        shaded = change[..., None] + strength * (folded + view.fetch(self.skin.spots))
        found = self._gray(view, strength)
        found[view.box] += shaded * skin[..., None]
        return found

    def _gray(self, view: FrameView, strength: float) -> Floats:
        """(h,w,3) logarithm of what graying does to hair, brows and beard."""
        area = np.maximum(view.fetch(self.skin.brows), view.fetch(self.skin.beard))
        hair = view.whole(dark_hair(view, area * view.posed.skin[view.box]))
        if self.hair is not None:
            hair = np.maximum(hair, self.hair.seen(view))
        return grayed(view, hair, strength)
