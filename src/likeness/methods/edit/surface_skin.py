"""Skin as it ages: bands of its own detail, unevenness, and what counts as skin at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from likeness.face3d.model import FaceModel
from likeness.methods.edit.surface_folds import SIZE, TEXELS, texels
from likeness.methods.edit.surface_view import blurred
from likeness.types import Floats

BANDS = (0.006, 0.014, 0.030, 0.060)
"""Deviations of the Gaussians between which detail lies, in face widths."""
OLDER = (1.0, 1.6, 1.85, 1.4)
"""Gain of each band at strength 1 toward older."""
YOUNGER = (0.9, 0.4, 0.4, 0.6)
"""The same toward younger: pores are kept, folds and spots are not."""


@dataclass(frozen=True, eq=False)
class SkinTextures:
    """Where on the unrolled face skin is, and how it grows uneven; all (h,w) of `SIZE`."""

    skin: Floats
    """1 on skin that may be changed, falling to 0 toward eyes, lips, nostrils and the outline."""
    brows: Floats
    """1 where the brows are."""
    beard: Floats
    """1 where a beard grows."""
    spots: Floats
    """(h,w,3) logarithm of what uneven skin reflects, per channel, at strength 1."""


def skin_textures(model: FaceModel, places: Floats, seed: int) -> SkinTextures:
    """Draw the masks and the unevenness once.

    Args:
        model: names the regions.
        places: (V,2) millimetres on the unrolled face.
        seed: of spots.
    """
    at = texels(places)
    face = _area(at[model.regions["face_oval"]])
    spared = np.zeros(SIZE, np.float32)
    for name in ("right_eye", "left_eye", "lips_outer"):
        spared = np.maximum(spared, _area(at[model.regions[name]]))
    spared = _grown(spared, 1.2)
    nostrils = np.zeros(SIZE, np.float32)
    for vertex in (*(241, 238, 239, 79), *(461, 458, 459, 309)):
        nostrils = np.maximum(nostrils, _disc(at[vertex], 2.6))
    brows = np.zeros(SIZE, np.float32)
    for name in ("right_brow", "left_brow"):
        brows = np.maximum(brows, _hull(at[model.regions[name]], 2.0))
    inside = gaussian_filter(face, 5 * TEXELS)
    kept = (1 - _soft(spared, 1.0)) * (1 - _soft(nostrils, 1.0))
    skin = np.clip((inside - 0.55) / 0.4, 0, 1) * kept
    return SkinTextures(
        (skin * (1 - 0.8 * _soft(brows, 1.2))).astype(np.float32),
        _soft(brows, 1.5),
        _beard(at, face, spared),
        _spots(at, seed),
    )


def banded(luma: Floats, width: float, gains: tuple[float, ...]) -> Floats:
    """Change how strong each band of detail is.

    Args:
        luma: (h,w) logarithm of the luma.
        width: of the face in pixels.
        gains: one per band of BANDS.

    Returns:
        (h,w) what to add to the logarithm.
    """
    change = np.zeros_like(luma)
    finer = luma
    for sigma, gain in zip(BANDS, gains, strict=True):
        pixels = max(sigma * width, 0.3)
        coarser = blurred(luma, pixels)
        change += np.float32(gain - 1) * (finer - coarser)
        finer = coarser
    return change


def _beard(at: Floats, face: Floats, spared: Floats) -> Floats:
    """Moustache, chin, jaw and cheeks below the ears' lobes."""
    rim = [*(205, 203, 98, 97, 2, 326, 327, 423, 425), *(411, 376, 401, 361), *(288, 397, 365)]
    rim += [379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132, 177, 147, 187]
    area = _area(at[rim]) * face * (1 - spared)
    return _soft(area, 2.0)


def _spots(at: Floats, seed: int) -> Floats:
    """(h,w,3) mottling of two sizes, age spots, and redness of cheeks and nose."""
    rng = np.random.default_rng(seed + 1)
    coarse, fine = (_noise(rng, size) for size in (5.0, 1.6))
    melanin = 0.018 * coarse + 0.008 * fine
    for _ in range(45):
        center = np.array([rng.uniform(0.12, 0.88) * SIZE[1], rng.uniform(0.1, 0.85) * SIZE[0]])
        low, high = center.astype(int) - 18, center.astype(int) + 18
        x, y = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
        radius = rng.uniform(0.7, 1.9) * TEXELS
        stretch = rng.uniform(0.7, 1.4)
        spot = np.exp(
            -0.5 * (((x - center[0]) * stretch) ** 2 + ((y - center[1]) / stretch) ** 2) / radius**2
        )
        rows = slice(max(low[1], 0), min(high[1], SIZE[0]))
        columns = slice(max(low[0], 0), min(high[0], SIZE[1]))
        part = spot[rows.start - low[1] : rows.stop - low[1]]
        melanin[rows, columns] += (
            rng.uniform(0.02, 0.09) * part[:, columns.start - low[0] : columns.stop - low[0]]
        )
    red = np.zeros(SIZE, np.float32)
    for vertex, radius, share in ((50, 14, 1.0), (280, 14, 1.0), (4, 9, 1.2), (18, 9, 0.5)):
        red += share * _disc(at[vertex], radius, soft=True)
    vessels = 0.03 * red * (1 + 0.6 * _noise(rng, 2.5))
    change = np.empty((*SIZE, 3), np.float32)
    # Melanin takes blue most, blood takes green most.
    for channel, (brown, blood) in enumerate(((0.8, 0.0), (1.15, 1.0), (1.5, 0.8))):
        change[..., channel] = -brown * melanin - blood * vessels
    return change


def _noise(rng: np.random.Generator, size: float) -> Floats:
    """(h,w) noise of deviation one whose spots are `size` millimetres wide."""
    field = gaussian_filter(rng.normal(0, 1, SIZE).astype(np.float32), size * TEXELS / 2)
    return np.asarray(field / field.std(), np.float32)


def _area(corners: Floats) -> Floats:
    """(h,w) 1 inside a polygon given in texels."""
    import cv2

    mask = np.zeros(SIZE, np.uint8)
    cv2.fillPoly(mask, [np.round(corners).astype(np.int32).reshape(-1, 1, 2)], (1,))
    return mask.astype(np.float32)


def _hull(points: Floats, margin: float) -> Floats:
    import cv2

    mask = np.zeros(SIZE, np.uint8)
    hull = cv2.convexHull(np.round(points).astype(np.int32).reshape(-1, 1, 2))
    cv2.fillConvexPoly(mask, hull, (1,))
    return _grown(mask.astype(np.float32), margin)


def _disc(center: Floats, radius: float, soft: bool = False) -> Floats:
    """(h,w) a disc of `radius` millimetres, or a Gaussian of that deviation."""
    y, x = np.ogrid[: SIZE[0], : SIZE[1]]
    squared = ((x - center[0]) ** 2 + (y - center[1]) ** 2) / (radius * TEXELS) ** 2
    shape = np.exp(-0.5 * squared) if soft else (squared < 1)
    return np.asarray(shape, np.float32)


def _grown(mask: Floats, margin: float) -> Floats:
    import cv2

    side = 2 * round(margin * TEXELS) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.dilate(mask, kernel), np.float32)


def _soft(mask: Floats, sigma: float) -> Floats:
    return np.asarray(gaussian_filter(mask, sigma * TEXELS), np.float32)
