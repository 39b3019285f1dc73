"""What is hair in the frame, and how it grays.

Where hair can be is learned from a few frames of the clip: what belongs to a person, lies around
the face and is not of the skin's color, laid onto the unrolled head. In each frame a pixel is hair
where that says so and its own color is that of the hair. Strands that are lighter than those around
them gray first, so that hair stays hair.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from likeness.decode import Decoder
from likeness.methods.edit.surface_face import EditedFace
from likeness.methods.edit.surface_view import (
    LUMA,
    FrameView,
    blurred,
    drawn,
    falling,
    fetched,
    level_and_tint,
)
from likeness.track.matte import at_edges, person_likelihoods
from likeness.types import Floats, Ints, Window

_SAMPLES = 8
"""Frames that are looked at."""
_HALF = np.array([230.0, 200.0], np.float32)
"""Millimetres from the middle of the unrolled head to the sides of its texture; one texel each."""
_SIZE = (int(2 * _HALF[1]), int(2 * _HALF[0]))
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
    def of(face: EditedFace) -> Hair | None:
        """Look for hair in a few frames of the clip; None where there is too little to tell."""
        seen = np.flatnonzero(face.shot.track.observed)
        rows = seen[np.unique(np.linspace(0, len(seen) - 1, _SAMPLES).astype(int))]
        views = _read(face, rows)
        pictures = [(view.pixels * 255 + 0.5).astype(np.uint8) for view in views]
        mattes = [
            at_edges(picture, likelihood)
            for picture, likelihood in zip(pictures, person_likelihoods(pictures), strict=True)
        ]
        outside = [_outside(view, matte) for view, matte in zip(views, mattes, strict=True)]
        colors = np.concatenate([_near_hair(v, o) for v, o in zip(views, outside, strict=True)])
        if len(colors) < 200:
            return None
        color = np.median(colors, 0).astype(np.float32)
        apart = colors - color
        level = apart @ LUMA
        tint = np.abs(apart - level[:, None]).max(1)
        spread = np.array([np.median(np.abs(level)), np.median(tint)]) * 1.5
        found = Hair(np.ones(_SIZE, np.float32), color, np.maximum(spread, 0.08).astype(np.float32))
        count, total = np.zeros(_SIZE), np.zeros(_SIZE)
        for view, around in zip(views, outside, strict=True):
            likely = around * found._alike(view)
            x, y = (np.floor(part).astype(int) for part in _texels(view))
            there = (x >= 0) & (y >= 0) & (x < _SIZE[1]) & (y < _SIZE[0])
            np.add.at(total, (y[there], x[there]), likely[there])
            np.add.at(count, (y[there], x[there]), 1)
        share = gaussian_filter(total, 3.0) / np.maximum(gaussian_filter(count, 3.0), 1e-3)
        prior = np.clip((share - 0.15) / 0.35, 0, 1)
        return Hair(prior.astype(np.float32), found.color, found.spread)

    def seen(self, view: FrameView) -> Floats:
        """(h,w) where the frame shows hair."""
        x, y = (np.asarray(part - np.float32(0.5), np.float32) for part in _texels(view))
        there = fetched(self.prior, x, y)
        return np.asarray(there * self._alike(view), np.float32)

    def _alike(self, view: FrameView) -> Floats:
        """(h,w) 1 where a pixel has hair's color, and not the skin's."""
        apart = view.colors - self.color
        level, tint = level_and_tint(apart)
        luma, chroma = float(self.spread[0]), float(self.spread[1])
        low, high = min(1.2 * luma, 0.45), min(2.8 * luma + 0.3, 0.95)
        like = falling(level, low, high) * falling(tint, chroma + 0.12, 3 * chroma + 0.3)
        # Before the face, hair is what is darker than the skin around it, shaded as that may be.
        darker = np.clip((-(view.apart @ LUMA) - 0.32) / 0.3, 0, 1)
        like *= 1 - view.posed.inside * (1 - darker)
        return np.asarray(like * (1 - _skinlike(view)), np.float32)


def grayed(view: FrameView, hair: Floats, strength: float) -> Floats:
    """Gray what is hair.

    Args:
        view: one frame.
        hair: (h,w) how much of each pixel is hair that grays.
        strength: of the edit, above 0.

    Returns:
        (h,w,3) logarithm of the factor.
    """
    around = blurred(view.luma, max(_STRANDS * view.width, 0.8))
    strand = np.clip(0.5 + 2.2 * (view.luma - around), 0.15, 1.0)
    share = hair * min(strength, 1.6)
    room = np.clip(np.log(_LIGHTEST) - view.luma, 0, 1.2)
    rise = share * strand * np.minimum(_LIFT, 0.6 * room)
    loss = (np.minimum(share, 1) * _PALE)[..., None] * (view.luma[..., None] - view.colors)
    return np.asarray(rise[..., None] + loss, np.float32)


def dark_hair(view: FrameView, area: Floats) -> Floats:
    """(h,w) how much of each pixel is hair before the skin, where brows or a beard grow."""
    darker = -(view.apart @ LUMA)
    return np.asarray(_BROWS * area * np.clip((darker - 0.12) / 0.45, 0, 1), np.float32)


def _read(face: EditedFace, rows: Ints) -> list[FrameView]:
    views = []
    with Decoder(face.shot.clip) as decoder:
        for row in rows.tolist():
            index = face.shot.track.start + row
            frame = decoder.read(Window(index, index + 1))[0]
            views.append(FrameView(face.pose(row), drawn(_cut(face, row, frame), face.size)))
    return views


def _cut(face: EditedFace, row: int, frame: torch.Tensor) -> torch.Tensor:
    x, y = (-face.crop.crop_from_frame[row][:, 2]).astype(int).tolist()
    height, width = face.crop.size
    return frame[:, y : y + height, x : x + width]


def _texels(view: FrameView) -> tuple[Floats, Floats]:
    at = view.posed.places + _HALF
    return np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1])


def _outside(view: FrameView, matte: Floats) -> Floats:
    """(h,w) what belongs to the person, is not of the skin's color and not below the chin."""
    face = view.posed.face
    low = float(face.places[face.model.regions["face_oval"], 1].max())
    above = falling(view.posed.places[..., 1], low - 35, low - 5)
    bare = 1 - _skinlike(view)
    # Below the brows nothing inside the outline is hair of the head; brows are seen to themselves.
    inside = (view.posed.inside > 0.5) & (view.posed.places[..., 1] > _BROW_LINE)
    return np.asarray(np.clip(2 * matte - 1, 0, 1) * above * bare * ~inside, np.float32)


def _skinlike(view: FrameView) -> Floats:
    """(h,w) 1 where colors are those of this frame's skin."""
    bare = view.bare > 0.9
    if not bare.any():
        return np.zeros(view.luma.shape, np.float32)
    apart = view.colors - np.median(view.colors[bare][::7], 0)
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
