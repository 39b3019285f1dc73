"""A photo lit from one side, evened, before its face is laid into another light.

A face is nearly symmetric, light from the side is not: what one half of a face has of brightness
and tint beyond the other half, at the scale of shadows, is light. Spherical harmonics cannot take
it off, because a cast shadow has an edge and lies where no normal asks for it. Here half of the
difference of logarithms is taken off each side, its edges led by the photo's own (guided filter;
He, Sun and Tang 2010). Faces in even light stay as they are, to the bit.

Shadows that are brightened show their grain: where one side of a face is noisier than the other for
its brightness, it is smoothed as far as the other side is smooth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from likeness import geometry
from likeness.condition.matte import fill_holes
from likeness.condition.mesh import SKIN
from likeness.methods.photo.animation import Photo
from likeness.methods.swap.skin import above_brows
from likeness.methods.swap.surface import FaceSurface, SeenFace, read
from likeness.store import load_face_model
from likeness.track.matte import guided_filter
from likeness.types import Floats, Ints

_DARK = 0.02
"""Colors below this are black."""
_LEAST = 1e-3
"""Colors below this cannot be scaled to others."""
_LARGE = 400.0
"""Width in pixels of the largest face that is looked at as it is; larger ones are scaled down."""
_AROUND = 0.5
"""How far around a face there may be change, in its width and height."""
_CERTAIN = 0.5
"""Some place of a face has to be known as well as this."""
_FINE = 0.008
"""Deviation of the blur below whose scale nothing is light, in face widths."""
_SHADOW = 0.05
"""Radius in which a shadow's edge is looked for, in face widths."""
_BROAD = 0.12
"""Deviation of the blur that tells how uneven the light is somewhere, in face widths."""
_UNEVEN = (0.20, 0.45)
"""Half differences of logarithms: up to the first light is even, from the second on all of the
difference is light."""
_MOST = 1.1
"""Largest logarithm by which a place is brightened or darkened."""
_CHEEK, _FRINGE, _STRANDS = 0.8, 0.12, 0.03
"""Hair over one side of a forehead: where the sides differ by more than `_FRINGE` beyond the
quantile `_CHEEK` of what is below the brows, and as far around, in face widths."""
_SEEN = (0.02, 0.20)
"""Cosines between skin and line of sight from which on a place begins to be seen, and is."""
_BESIDE = 0.08
"""Width over which the change fades outside the face, in face widths."""
_DEEP = (0.25, 0.8)
"""Logarithms of brightening from which on a place begins to take the other side's tint, and has."""
_NOISIER = (1.2, 1.8)
"""Ratios of the grain of both sides from which on a place begins to be smoothed, and is."""
_ABOVE_GRAIN = 6.0
"""Difference of neighbors, in usual ones of the grain, that is smoothed over."""


@dataclass(frozen=True, eq=False)
class _Sides:
    """A photo's face, and what its other half shows at the mirrored place."""

    face: Floats
    """(h,w) one on the face."""
    known: Floats
    """(h,w) in [0,1]: where skin is seen on both sides."""
    places: Floats
    """(h,w,2) the mirrored place of each pixel of the face."""
    forehead: Floats
    """(h,w) in [0,1]: above the brows, where there may be hair."""
    width: float
    """Of the face in pixels."""

    def fading(self) -> Floats:
        """(h,w): one on the face, falling to zero beside it."""
        away = cv2.distanceTransform((self.face == 0).astype(np.uint8), cv2.DIST_L2, 5)
        return np.asarray(np.clip(1 - away / (_BESIDE * self.width), 0, 1), np.float32)

    def other(self, picture: Floats) -> Floats:
        """Read (h,w,C) values at the mirrored places."""
        return read(np.ascontiguousarray(picture, np.float32), self.places)

    def continued(self, values: Floats) -> Floats:
        """Continue (h,w,3) values beyond what is known."""
        return fill_holes(values, self.known)

    def without_hair(self, apart: Floats) -> _Sides:
        """Know nothing of a forehead's sides that differ (h,w) more than those of cheeks do."""
        below = np.abs(apart[(self.known > 0.5) & (self.forehead < 0.5)])
        usual = float(np.quantile(below, _CHEEK)) if len(below) else 0.0
        hair = self.forehead * (np.abs(apart) > usual + _FRINGE)
        side = 2 * max(1, round(_STRANDS * self.width)) + 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        grown = cv2.dilate(hair.astype(np.float32), kernel)
        return replace(self, known=np.asarray(self.known * (1 - grown), np.float32))


def evened(photo: Photo) -> Photo:
    """Take off what one side of a photo's face has of light beyond the other.

    Returns:
        The photo itself where its light is even or one side of the face is turned away.
    """
    part = _part(photo)
    whole = np.ascontiguousarray(photo.picture[:, *part.box].permute(1, 2, 0).numpy(), np.float32)
    picture: Floats = whole
    if part.scale < 1:
        picture = np.asarray(cv2.resize(whole, part.size, interpolation=cv2.INTER_AREA), np.float32)
    sides = _sides(photo, part, (picture.shape[0], picture.shape[1]))
    if sides is None:
        return photo
    change = _light(picture, sides)
    if not change.any():
        return photo
    answer = np.asarray(np.clip(picture * np.exp(-change), 0, 1), np.float32)
    answer = _calmed(_tinted(answer, picture, change, sides), picture, sides)
    gain = np.maximum(answer, _LEAST) / np.maximum(picture, _LEAST)
    gain[sides.fading() == 0] = 1
    if part.scale < 1:
        gain = np.asarray(cv2.resize(gain, (whole.shape[1], whole.shape[0])), np.float32)
    told = photo.picture.clone()
    told[:, *part.box] = torch.from_numpy((whole * gain).clip(0, 1).transpose(2, 0, 1))
    return replace(photo, picture=told)


@dataclass(frozen=True)
class _Part:
    """The part of a photo around its face, not larger than light has to be looked at."""

    box: tuple[slice, slice]
    scale: float

    @property
    def size(self) -> tuple[int, int]:
        """(w, h) at which it is looked at."""
        rows, columns = self.box
        w, h = columns.stop - columns.start, rows.stop - rows.start
        return max(8, round(w * self.scale)), max(8, round(h * self.scale))

    def matrix(self) -> Floats:
        """(2,3) from pixels of the photo."""
        rows, columns = self.box
        x = self.size[0] / (columns.stop - columns.start)
        y = self.size[1] / (rows.stop - rows.start)
        return np.array([[x, 0, -x * columns.start], [0, y, -y * rows.start]], np.float32)


def _part(photo: Photo) -> _Part:
    points, extent = photo.track.landmarks[0, :, :2], np.array(photo.picture.shape[:0:-1])
    low, high = points.min(0), points.max(0)
    first = np.floor(low - _AROUND * (high - low)).clip(0, extent - 8).astype(int)
    last = np.ceil(high + _AROUND * (high - low)).clip(first + 8, extent).astype(int)
    box = slice(int(first[1]), int(last[1])), slice(int(first[0]), int(last[0]))
    return _Part(box, min(1.0, _LARGE / max(float(high[0] - low[0]), 1.0)))


def _sides(photo: Photo, part: _Part, size: tuple[int, int]) -> _Sides | None:
    surface, matrix = FaceSurface.of(load_face_model(photo.params.model)), part.matrix()
    points = geometry.apply(matrix, photo.track.landmarks[0, :, :2])
    frame = (photo.picture.shape[1], photo.picture.shape[2])
    seen = surface.seen(points, photo.params, frame, matrix)
    cover = surface.cover(seen, size)
    if cover is None:
        return None
    twin = surface.mirrored()
    told = np.concatenate([seen.places[twin], surface.spread(_trust(seen, twin)[:, None])], 1)
    carried = surface.carry(cover, told.astype(np.float32))
    face, known = np.zeros(size, np.float32), np.zeros(size, np.float32)
    places = np.zeros((*size, 2), np.float32)
    face[cover.box] = cover.kinds >= 0
    known[cover.box] = carried[..., 2] * (cover.kinds == SKIN)
    places[cover.box] = carried[..., :2]
    if known.max() < _CERTAIN:
        return None
    vertices = seen.places[: len(surface.model.mean)]
    width = max(float(np.ptp(vertices[surface.model.regions["face_oval"], 0])), 4.0)
    return _Sides(face, known, places, above_brows(vertices, surface.model, size), width)


def _trust(seen: SeenFace, twin: Ints) -> Floats:
    """(F,) in [0,1]: how well a vertex and its twin are seen."""
    low, high = _SEEN
    trust = np.clip((seen.facing - low) / (high - low), 0, 1)
    return np.asarray(trust * trust[twin[: len(trust)]], np.float32)


def _light(picture: Floats, sides: _Sides) -> Floats:
    """(h,w,3): logarithm of what light adds on one side; zero off the face and in even light."""
    fine = np.log(np.maximum(_soft(picture, _FINE * sides.width), _DARK))
    apart = 0.5 * (fine - sides.other(fine))
    bare = sides.without_hair(apart.mean(-1))
    if bare.known.max() < _CERTAIN:
        return np.zeros_like(picture)
    apart = bare.continued(apart)
    broad = _soft(apart, _BROAD * sides.width)
    low, high = _UNEVEN
    share = np.clip((np.abs(broad).max(-1) - low) / (high - low), 0, 1) * sides.face
    if not share.any():
        return np.zeros_like(picture)
    guide, radius = np.asarray(fine.mean(-1), np.float32), max(2, round(_SHADOW * sides.width))
    led = np.stack([guided_filter(guide, apart[..., c], radius) for c in range(3)], -1)
    share = _soft(share, 0.5 * _BROAD * sides.width) * sides.fading()
    return np.asarray(np.clip(led, -_MOST, _MOST) * share[..., None], np.float32)


def _tinted(answer: Floats, before: Floats, change: Floats, sides: _Sides) -> Floats:
    """Give (h,w,3) what was in deep shadow the other side's tint: its own is next to nothing."""
    soft = _soft(before, 2 * _FINE * sides.width)
    other = sides.continued(sides.other(soft))
    tint = other / np.maximum(other.mean(-1, keepdims=True), 1e-3)
    low, high = _DEEP
    share = np.clip((-change.mean(-1, keepdims=True) - low) / (high - low), 0, 1)
    return np.asarray(answer + share * (answer.mean(-1, keepdims=True) * tint - answer), np.float32)


def _calmed(picture: Floats, before: Floats, sides: _Sides) -> Floats:
    """Smooth (h,w,3) where a side's grain, for its brightness, is stronger than the other's."""
    logs = np.log(np.maximum(before.mean(-1), _DARK))
    rough = np.abs(logs - cv2.medianBlur(logs.astype(np.float32), 5))
    around = _soft(rough, 0.05 * sides.width)
    grain = sides.continued(np.repeat(around[..., None], 3, -1))
    ratio = grain[..., 0] / np.maximum(sides.other(grain)[..., 0], 1e-3)
    low, high = _NOISIER
    share = np.clip((ratio - low) / (high - low), 0, 1).astype(np.float32)
    share = _soft(share, 0.03 * sides.width) * sides.fading()
    if share.max() < 0.02:
        return picture
    where = share > 0.5 * share.max()
    usual = float(np.median(grain[where, 0]) * np.median(picture.mean(-1)[where]))
    calm = cv2.bilateralFilter(picture, -1, _ABOVE_GRAIN * usual, 0.02 * sides.width)
    return np.asarray(picture + share[..., None] * (calm - picture), np.float32)


def _soft(picture: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), max(0.5, sigma)), np.float32)
