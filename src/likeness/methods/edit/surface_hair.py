"""What is hair in the frame, and how it grays.

Where hair can be is learned from a few frames of the clip: what belongs to a person, lies around
the face and is not of the skin's color, laid onto the unrolled head. In each frame a pixel is hair
where that says so and its own color is that of the hair. Strands that are lighter than those around
them gray first, so that hair stays hair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness.composite.color import LUMA
from likeness.methods.edit.surface_head import Glimpses, around_head
from likeness.methods.edit.surface_view import (
    NOWHERE,
    WHOLE,
    Box,
    FrameView,
    blurred,
    boxed,
    falling,
    level_and_tint,
)
from likeness.types import Floats

_FEWEST = 200
"""Pixels that hair's color is read from, at least."""
_BROW_LINE = -54.0
"""Millimetres on the unrolled face: just above the brows."""
_NEAR = 1.35
"""Hair's color is read up to here, in units of the face's outline, above the eyes."""
_LIFT, _PALE = 0.55, 0.6
"""At strength 1: rise of the luma's logarithm, and share of color that is lost."""
_LIGHTEST = 0.62
"""Luma that graying does not go beyond."""
_BROWS = 0.6
"""Graying of brows and beard, relative to hair."""
_STRANDS = 0.012
"""Deviation, in face widths, of what is around a strand."""


@dataclass(frozen=True, eq=False)
class Hair:
    """One person's hair."""

    prior: Floats
    """(h,w) on the unrolled head: how likely hair is there, times how early it grays."""
    color: Floats
    """(3,) median logarithm of its color."""
    spread: Floats
    """(2,) deviation of luma's logarithm and of tint's."""

    @staticmethod
    def of(glimpses: Glimpses) -> Hair | None:
        """Look for hair in a few frames of the clip; None where there is too little to tell."""
        pairs = tuple(zip(glimpses.views, glimpses.mattes, strict=True))
        outside = [_outside(view, matte) for view, matte in pairs]
        near = [_near_hair(v, o) for v, o in zip(glimpses.views, outside, strict=True)]
        colors = np.concatenate(near)
        if len(colors) < _FEWEST:
            return None
        color = np.median(colors, 0).astype(np.float32)
        level, tint = level_and_tint(colors - color)
        spread = np.array([np.median(np.abs(level)), np.median(tint)]) * 1.5
        found = Hair(np.zeros((0, 0), np.float32), color, np.maximum(spread, 0.08))
        likely = [o * found._alike(v) for v, o in zip(glimpses.views, outside, strict=True)]
        prior = np.clip((glimpses.averaged(likely, 3.0) - 0.15) / 0.35, 0, 1)
        return Hair(prior.astype(np.float32), found.color, found.spread)

    def seen(self, view: FrameView) -> Floats:
        """(h,w) where the frame shows hair."""
        likely = around_head(self.prior, view)
        near = boxed(likely > 0)
        likely[near] *= self._alike(view, near)
        return likely

    def _alike(self, view: FrameView, near: Box = WHOLE) -> Floats:
        """(h,w) of a part of the picture: 1 where a pixel has hair's color, and not the skin's."""
        apart = view.colors[near] - self.color
        level, tint = level_and_tint(apart)
        luma, chroma = float(self.spread[0]), float(self.spread[1])
        low, high = min(1.2 * luma, 0.45), min(2.8 * luma + 0.3, 0.95)
        like = falling(level, low, high) * falling(tint, chroma + 0.12, 3 * chroma + 0.3)
        # Before the face, hair is what is darker than the skin around it, shaded as that may be.
        darker = np.clip((-(view.apart[near] @ LUMA) - 0.32) / 0.3, 0, 1)
        like *= 1 - view.posed.inside[near] * (1 - darker)
        return np.asarray(like * (1 - skinlike(view, near)), np.float32)


def grayed(view: FrameView, hair: Floats, strength: float) -> Floats:
    """Gray what is hair.

    Args:
        view: one frame.
        hair: (h,w) how much of each pixel is hair that grays.
        strength: of the edit, above 0.

    Returns:
        (h,w,3) logarithm of the factor.
    """
    sigma = max(_STRANDS * view.width, 0.8)
    change = np.zeros((*hair.shape, 3), np.float32)
    near = boxed(hair > 0, 4 * sigma)
    if near == NOWHERE:
        return change
    luma = view.luma[near]
    strand = np.clip(0.5 + 2.2 * (luma - blurred(luma, sigma)), 0.15, 1.0)
    share = hair[near] * min(strength, 1.6)
    room = np.clip(np.log(_LIGHTEST) - luma, 0, 1.2)
    rise = share * strand * np.minimum(_LIFT, 0.6 * room)
    loss = (np.minimum(share, 1) * _PALE)[..., None] * (luma[..., None] - view.colors[near])
    change[near] = rise[..., None] + loss
    return change


def dark_hair(view: FrameView, area: Floats) -> Floats:
    """(h,w) of the view's box: how much is hair before the skin, where brows or a beard grow."""
    darker = -(view.apart[view.box] @ LUMA)
    return np.asarray(_BROWS * area * np.clip((darker - 0.12) / 0.45, 0, 1), np.float32)


def _outside(view: FrameView, matte: Floats) -> Floats:
    """(h,w) what belongs to the person, is not of the skin's color and not below the chin."""
    face = view.posed.face
    low = float(face.places[face.model.regions["face_oval"], 1].max())
    above = falling(view.posed.places[..., 1], low - 35, low - 5)
    bare = 1 - skinlike(view)
    # Below the brows nothing inside the outline is hair of the head; brows are seen to themselves.
    inside = (view.posed.inside > 0.5) & (view.posed.places[..., 1] > _BROW_LINE)
    return np.asarray(np.clip(2 * matte - 1, 0, 1) * above * bare * ~inside, np.float32)


def skinlike(view: FrameView, near: Box = WHOLE) -> Floats:
    """(h,w) of a part of the picture: 1 where colors are those of this frame's skin."""
    bare = view.bare > 0.9
    if not bare.any():
        return np.zeros_like(view.luma[near])
    apart = view.colors[near] - np.median(view.colors[bare][::7], 0)
    level, tint = level_and_tint(apart)
    # Hair may be of the skin's tint, but hardly as light.
    like = falling(-level, 0.3, 0.5) * falling(level, 0.4, 0.7) * falling(tint, 0.16, 0.32)
    return np.asarray(like, np.float32)


def _near_hair(view: FrameView, outside: Floats) -> Floats:
    """(n,3) logarithms of colors that are hair without doubt."""
    face = view.posed.face
    oval = face.places[face.model.regions["face_oval"]]
    middle = (oval.max(0) + oval.min(0)) / 2
    at = (view.posed.places - middle) / ((oval.max(0) - oval.min(0)) / 2)
    radius = np.hypot(at[..., 0], at[..., 1])
    sure = (outside > 0.8) & (radius > 0.98) & (radius < _NEAR) & (at[..., 1] < -0.25)
    return np.asarray(view.colors[sure], np.float32)
