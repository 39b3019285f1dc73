"""What a camera adds to a face: grain, motion blur and sharpness, matched to the target's frame."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from likeness.composite.filters import softened
from likeness.composite.loops import with_noise
from likeness.composite.mask import OVAL, face_width, soft_hull
from likeness.types import Floats, Ints

_TILE = 1024
_BANDS = 2
"""Octaves of grain: single pixels, and pairs as coding leaves them."""
_CHEEKS = (
    (50, 101, 118, 117, 123, 147, 187, 205),
    (280, 330, 347, 346, 352, 376, 411, 425),
    (151, 108, 69, 104, 68, 54, 103, 67, 109, 10, 338, 297, 332, 284, 298, 333, 299, 337),
)
"""Cheeks and forehead: skin with little drawing on it."""
_MOST = 0.06
"""Deviation of luma above which nothing is grain any more."""
_TO_SIGMA = 1.4826
_MEASURED = 8192
"""Pixels of skin that tell a deviation well enough."""
_LONGEST = 17
"""Pictures that a motion is put together from at most."""
_LEAST_MOTION = 1.0
"""Pixels of motion in an exposure that nobody sees."""


def grained(
    rgb: Floats, like: Floats, face: Floats, where: Floats, seed: int, share: float
) -> Floats:
    """Add the grain that a target's skin has and a drawn face lacks.

    In each of two octaves the deviation of luma on cheeks and forehead is measured, robustly, in
    both pictures; noise makes up for the difference of their squares.

    Args:
        rgb: (h,w,3) in [0,1]: the drawn face.
        like: (h,w,3) in [0,1]: the target's crop.
        face: (478,>=2) landmarks in crop pixels.
        where: (h,w) in [0,1]: where both are seen.
        seed: number of the frame, so that grain is alive and repeats exactly.
        share: of what is missing, 1 is all of it.
    """
    size = (rgb.shape[0], rgb.shape[1])
    box = _box(face, size)
    if box is None:
        return rgb
    part = np.s_[box[1] : box[3], box[0] : box[2]]
    inner = (box[3] - box[1], box[2] - box[0])
    points = face[:, :2] - np.array(box[:2])
    outlines = [points[list(outline)] for outline in _CHEEKS]
    skin = (soft_hull(outlines, face_width(face), inner, 0.01, -0.01) > 0.5) & (where[part] > 0.9)
    if int(skin.sum()) < 64:
        return rgb
    chosen = np.flatnonzero(skin)
    chosen = chosen[:: max(2, len(chosen) // _MEASURED)]
    own, theirs = _levels(rgb[part], chosen), _levels(like[part], chosen)
    fine, wide, response = _noise()
    levels = share * _amplitudes(np.maximum(0, theirs**2 - own**2), response)
    if levels.max() < 2e-4:
        return rgb
    rng = np.random.default_rng((seed, 23))
    y, x = (int(rng.integers(0, max(1, _TILE - side))) for side in size)
    cut = [_cut(tile, y, x, size) for tile in (fine, wide)]
    return with_noise(rgb, cut[0], cut[1], levels.astype(np.float32))


def _amplitudes(missing: Floats, response: Floats) -> Floats:
    """Deviations of fine and wide noise that together have the energies `missing`, (2,).

    Wide noise is never louder than fine one: what is, is drawing, not grain.
    """
    energy = np.linalg.solve(response, missing)
    if energy[0] < 0 or energy[1] < 0:
        energy = np.array([max(0.0, missing[0] / response[0, 0]), 0.0])
    energy[1] = min(energy[1], energy[0])
    return np.asarray(np.sqrt(energy))


def _box(face: Floats, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    outline = face[list(OVAL), :2]
    low = np.floor(outline.min(0)).astype(int).clip(0)
    high = np.minimum(np.ceil(outline.max(0)).astype(int), size[::-1])
    return (*low.tolist(), *high.tolist()) if (high - low).min() >= 16 else None


def _levels(picture: Floats, chosen: Ints) -> Floats:
    """Deviation of luma in each octave at chosen pixels: medians, unmoved by pores and edges."""
    luma = np.asarray(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY), np.float32)
    levels = []
    for _ in range(_BANDS):
        calm = softened(luma, 0.9, 5)
        band = luma.ravel()[chosen] - calm.ravel()[chosen]
        levels.append(min(_MOST, _TO_SIGMA * float(np.median(np.abs(band - np.median(band))))))
        luma = softened(calm, 1.0, 5)
    return np.array(levels)


@lru_cache(maxsize=1)
def _noise() -> tuple[Floats, Floats, Floats]:
    """Two tiles of noise of deviation one, and (2,2) their energies as `_levels` sees them."""
    rng = np.random.default_rng(5)
    white, other = (rng.standard_normal((_TILE, _TILE)).astype(np.float32) for _ in range(2))
    wide = softened(other, 1.0, 5)
    tiles = [tile / float(tile.std()) for tile in (white, wide)]
    everywhere = np.arange(0, _TILE**2, 2)
    quiet = np.float32(0.01)
    seen = [_levels(np.repeat(quiet * tile[..., None], 3, 2), everywhere) for tile in tiles]
    return tiles[0], tiles[1], (np.array(seen).T / quiet) ** 2


def _cut(tile: Floats, y: int, x: int, size: tuple[int, int]) -> Floats:
    rows, columns = (y + np.arange(size[0])) % _TILE, (x + np.arange(size[1])) % _TILE
    if size[0] <= _TILE - y and size[1] <= _TILE - x:
        return tile[y : y + size[0], x : x + size[1]]
    return np.asarray(tile[rows[:, None], columns])


def sharpened(rgb: Floats, amount: float) -> Floats:
    """Mask unsharply: (h,w,3), `amount` 0 changes nothing, 1 doubles the finest detail."""
    soft = softened(rgb, 1.2)
    return np.asarray(np.clip(rgb + np.float32(amount) * (rgb - soft), 0, 1), np.float32)


def moved_while_exposed(
    rgb: Floats, alpha: Floats, motion: Floats, shutter: float
) -> tuple[Floats, Floats]:
    """Blur a face along the way that it goes while the shutter is open.

    Args:
        rgb: (h,w,3).
        alpha: (h,w).
        motion: (2,3) similarity in crop pixels: where places of this frame lie in the next.
        shutter: share of the frame's time for which light is gathered, in [0,1].

    Returns:
        Both blurred; themselves where the way is shorter than a pixel.
    """
    h, w = alpha.shape
    change = motion - np.eye(2, 3)
    corners = np.array([[0.3, 0.3, 1], [0.7, 0.3, 1], [0.3, 0.7, 1], [0.7, 0.7, 1]])
    corners[:, :2] *= (w, h)
    length = shutter * float(np.linalg.norm(corners @ change.T, axis=1).max())
    if length < _LEAST_MOTION:
        return rgb, alpha
    count = min(_LONGEST, int(np.ceil(length)) + 1)
    picture, total = cv2.merge([rgb, alpha]), np.zeros((h, w, 4), np.float32)
    shown = np.empty_like(total)
    for moment in np.linspace(-0.5, 0.5, count):
        matrix = np.eye(2, 3) + shutter * moment * change
        # Places are pixel corners here and pixel centers for OpenCV.
        matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
        cv2.warpAffine(picture, matrix, (w, h), shown, borderMode=cv2.BORDER_REPLICATE)
        total += shown
    total /= count
    *colors, covered = cv2.split(total)
    return np.asarray(cv2.merge(colors), np.float32), np.asarray(covered, np.float32)
