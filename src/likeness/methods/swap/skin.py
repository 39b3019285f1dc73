"""What of a drawn face is skin: no fringe, hat brim or background may come along onto another face.

Hair above the brows is told by its luma, background beside the cheeks by its chromaticity, both
against the face's own skin in the same picture, so that neither light nor complexion matters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from likeness.composite.color import LUMA
from likeness.composite.mask import axis_across, outline_width
from likeness.condition.matte import fill_holes
from likeness.face3d.model import FaceModel
from likeness.types import Floats

_SOFT = 0.012
"""Deviation of the blur that takes single strands together, in face widths."""
_DARKER = (0.62, 0.80)
"""Luma over the face's own skin: below the first surely hair, above the second surely skin."""
_TINT = (0.045, 0.085)
"""Distance of chromaticities: below the first surely skin, above the second surely background."""
_LARGE = 120.0
"""Width of a face in pixels from which on it is looked at at half the size."""
BROWS = ("right_brow", "left_brow")
_EYES = ("right_eye", "left_eye")
_HAIRLINE = (0.6, 0.85)
"""Heights between brows and the top of the outline: hair below the first hangs over the forehead,
above the second it begins there."""
_LINE = 0.15
"""How far below the brows, in the same units, what is no skin may still be hair on a forehead."""
_NONE = 0.1
"""Likelihood of hair below which there is none."""
_STRANDS = 0.05
"""How far around hair on a forehead nothing is taken for skin, in face widths."""
_BROW = 0.045
"""How far around brows skin is made up where the source has hair, in face widths."""


def skin_likeness(
    picture: Floats, places: Floats, model: FaceModel, edge: Floats | None = None
) -> Floats:
    """Tell where a drawn face shows skin rather than hair above the brows or background beside it.

    Args:
        picture: (h,w,3) RGB in [0,1].
        places: (V,2) of the face model's vertices in it.
        model: names the regions.
        edge: (h,w) in [0,1]: how much each pixel belongs to the face's outline, beside which there
            may be background; None where there is none.

    Returns:
        (h,w) in [0,1]; 1 where the face is certain.
    """
    import cv2

    across = _across(places, model)
    if across > _LARGE:
        # It is a soft mask: half the size says the same for a quarter of the work.
        size = (picture.shape[1], picture.shape[0])
        half = (size[0] // 2, size[1] // 2)
        scale = np.array(half, np.float32) / np.array(size, np.float32)
        small = _shrunk(picture, half)
        beside = None if edge is None else _shrunk(edge, half)
        found = skin_likeness(small, places * scale, model, beside)
        return np.asarray(cv2.resize(found, size), np.float32)
    height, width = picture.shape[:2]
    smooth = np.asarray(cv2.GaussianBlur(picture, (0, 0), max(0.6, _SOFT * across)), np.float32)
    column = np.clip(places[:, 0], 0, width - 1).astype(int)
    row = np.clip(places[:, 1], 0, height - 1).astype(int)
    chosen = np.concatenate([model.regions["cheeks"], model.regions["forehead"]])
    luma = smooth @ LUMA
    level = float(np.percentile(luma[row[chosen], column[chosen]], 60))
    likely = _between(luma / max(level, 1e-3), *_DARKER)
    answer = 1 - above_brows(places, model, (height, width)) * (1 - likely)
    if edge is None:
        return np.asarray(answer, np.float32)
    red, green, blue = cv2.split(smooth)
    total = np.maximum(red + green + blue, 0.05)
    cheeks = model.regions["cheeks"]
    there = row[cheeks], column[cheeks]
    apart = [np.abs(tint - np.median(tint[there])) for tint in (red / total, green / total)]
    strange = _between(apart[0] + apart[1], *_TINT)
    return np.asarray(answer * (1 - np.clip(2 * edge, 0, 1) * strange), np.float32)


def clear_of_hair(likely: Floats, width: float) -> Floats:
    """Keep likely skin (h,w) clear of the strands in which a fringe ends.

    Args:
        likely: of `skin_likeness`.
        width: of the face in pixels of the same picture.
    """
    import cv2

    side = 2 * max(1, round(_STRANDS * width)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    clear = cv2.erode(likely, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.GaussianBlur(clear, (0, 0), side / 3), np.float32)


def clear_of_fringe(likely: Floats, places: Floats, model: FaceModel) -> Floats:
    """Keep likely skin (h,w) clear of strands that hang over a forehead, not of hairline and brows.

    Args:
        likely: of `skin_likeness`.
        places: (V,2) of the model's vertices in the same picture.
        model: names the regions.
    """
    import cv2

    size = (likely.shape[1], likely.shape[0])
    if _across(places, model) > _LARGE:
        half = (size[0] // 2, size[1] // 2)
        scale = np.array(half, np.float32) / np.array(size, np.float32)
        small = _shrunk(likely, half)
        clear = clear_of_fringe(small, places * scale, model)
        if clear is small:
            return likely
        return np.asarray(np.minimum(likely, cv2.resize(clear, size)), np.float32)
    middle, up = _brow_line(places, model)
    rise = float(np.linalg.norm(up))
    xs = np.arange(likely.shape[1], dtype=np.float32)[None] + 0.5 - middle[0]
    ys = np.arange(likely.shape[0], dtype=np.float32)[:, None] + 0.5 - middle[1]
    height = (xs * up[0] + ys * up[1]) / max(rise**2, 1e-3)
    low, high = _HAIRLINE
    over = np.clip(np.minimum(1 + height / _LINE, (high - height) / (high - low)), 0, 1)
    hangs = (1 - likely) * over
    if hangs.max() < _NONE:
        return likely
    axis = axis_across(places[model.regions["face_oval"]])
    clear = clear_of_hair(np.asarray(1 - hangs, np.float32), float(np.ptp(places[:, axis])))
    brows = _grown(places, BROWS, model, likely.shape, 0.01 * _across(places, model)).astype(
        np.float32
    )
    soft = cv2.GaussianBlur(brows, (0, 0), 0.006 * _across(places, model) + 0.3)
    return np.asarray(np.minimum(likely, np.maximum(clear, soft)), np.float32)


def without_brows(
    picture: Floats, skin: Floats, places: Floats, target: Floats, model: FaceModel
) -> tuple[Floats, Floats]:
    """Make up skin where the source has hair and the target has brows, which must not stay.

    Args:
        picture: (h,w,3) RGB in [0,1]: the source as drawn.
        skin: (h,w) from `skin_likeness`.
        places: (V,2) of the source's vertices in the picture.
        target: (V,2) of the target's vertices.
        model: names the regions.

    Returns:
        The picture and the skin, changed in place around the target's brows alone.
    """
    import cv2

    margin = _BROW * _across(target, model)
    brows = target[np.concatenate([model.regions[name] for name in BROWS])]
    # As far as the blur below reaches, and what is left out of it.
    reach = 2.5 * margin + 4
    low = np.floor(brows.min(0) - reach).astype(int).clip(0)
    high = np.minimum(np.ceil(brows.max(0) + reach).astype(int), skin.shape[::-1])
    if (high <= low).any():
        return picture, skin
    box, size = (slice(low[1], high[1]), slice(low[0], high[0])), (high - low)[::-1]
    zone = _grown(target - low, BROWS, model, size, margin)
    soft = cv2.GaussianBlur(zone.astype(np.float32), (0, 0), margin / 3 + 0.5)
    missing = soft * (1 - skin[box])
    if missing.max() < 0.05 or skin[box].max() < 0.5:
        return picture, skin
    # Skin is made up from what is surely skin: strands, brows and shaded lids would bleed into it.
    drawn = _grown(places - low, (*BROWS, *_EYES), model, size, margin / 3)
    sure = np.asarray(np.clip(4 * skin[box] - 3, 0, 1), np.float32)
    known = sure * (1 - drawn)
    filled = fill_holes(picture[box], known if known.max() > 0.5 else skin[box])
    picture[box] += missing[..., None] * (filled - picture[box])
    skin[box] = np.maximum(skin[box], soft)
    return picture, skin


def _grown(
    places: Floats, regions: Sequence[str], model: FaceModel, size: tuple[int, ...], margin: float
) -> NDArray[np.uint8]:
    """(h,w): one on the hulls of regions and `margin` pixels around them."""
    import cv2

    zone = np.zeros(size, np.uint8)
    for name in regions:
        hull = cv2.convexHull(places[model.regions[name]].astype(np.float32))
        cv2.fillConvexPoly(zone, np.round(hull).astype(np.int32), (1,))
    side = 2 * max(1, round(margin)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.dilate(zone, kernel), np.uint8)


def _shrunk(picture: Floats, size: tuple[int, int]) -> Floats:
    """Scale a picture down to (w, h)."""
    import cv2

    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def _across(places: Floats, model: FaceModel) -> float:
    """Width of the face in pixels."""
    return max(outline_width(places[model.regions["face_oval"]]), 4.0)


def _brow_line(places: Floats, model: FaceModel) -> tuple[Floats, Floats]:
    """Middle of the brows (2,), and the way (2,) from there to the top of the tracker's outline."""
    middle = np.concatenate([places[model.regions[name]] for name in BROWS]).mean(0)
    return middle, places[model.regions["face_oval"][0]] - middle


def above_brows(places: Floats, model: FaceModel, size: tuple[int, int]) -> Floats:
    """(h,w) 1 above the line through the brows; 0 below it and on the brows, which may be dark."""
    import cv2

    middle, up = _brow_line(places, model)
    up = up / max(float(np.linalg.norm(up)), 1e-3)
    xs = np.arange(size[1], dtype=np.float32)[None] + 0.5 - middle[0]
    ys = np.arange(size[0], dtype=np.float32)[:, None] + 0.5 - middle[1]
    across = _across(places, model)
    above = np.clip((xs * up[0] + ys * up[1]) / across / 0.02, 0, 1)
    own = np.zeros(size, np.uint8)
    for name in BROWS:
        hull = cv2.convexHull(places[model.regions[name]].astype(np.float32))
        cv2.fillConvexPoly(own, np.round(hull).astype(np.int32), (1,))
    margin = 2 * max(1, round(0.01 * across)) + 1
    grown = cv2.dilate(own, np.ones((margin, margin), np.uint8)).astype(np.float32)
    return np.asarray(
        above * (1 - cv2.GaussianBlur(grown, (0, 0), 0.006 * across + 0.3)), np.float32
    )


def _between(values: Floats, low: float, high: float) -> Floats:
    """0 up to `low`, 1 from `high` on."""
    return np.asarray(np.clip((values - low) / (high - low), 0, 1), np.float32)
