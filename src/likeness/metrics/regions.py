"""Which pixels belong to the face, the eyes and the mouth, drawn from tracker landmarks.

Every region is a convex hull of landmarks, grown by a margin that is a share of the distance
between the outer eye corners, so that lids and lips lie inside also when they are shut. Landmark
numbers are those of MediaPipe's face mesh.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from likeness.types import Bools, Floats, Ints, check

FACE_OVAL = np.array(
    [
        [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377],
        [152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109],
    ]
).ravel()
EYE_CONTOURS = np.array(
    [
        [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246],
        [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466],
    ]
)
"""(2,16); eye 0 is the person's right eye, image left."""
OUTER_LIPS = np.array(
    [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]
)
MARGIN = 0.1
"""Growth of eye and mouth regions, in distances between the outer eye corners (about 9 mm)."""
_OUTER_CORNERS = (33, 263)
_CIRCLE = np.stack([f(np.arange(16) * np.pi / 8) for f in (np.cos, np.sin)], -1)


def face_hull(landmarks: Floats, size: tuple[int, int]) -> Bools:
    """Fill the convex hull of the face oval.

    Args:
        landmarks: (n,478,>=2) pixels of the crop; NaN where there is no face.
        size: (h, w) of the crop.

    Returns:
        (n,h,w) True where a pixel's center lies inside; all False without a face.
    """
    return _masks(landmarks, size, [FACE_OVAL], 0.0)


def eye_mask(landmarks: Floats, size: tuple[int, int]) -> Bools:
    """Return (n,h,w): both eyes with their lids, grown by MARGIN. Arguments as `face_hull`."""
    return _masks(landmarks, size, list(EYE_CONTOURS), MARGIN)


def mouth_mask(landmarks: Floats, size: tuple[int, int]) -> Bools:
    """Return (n,h,w): the lips and what is between, grown by MARGIN. Arguments as `face_hull`."""
    return _masks(landmarks, size, [OUTER_LIPS], MARGIN)


def head_zone(landmarks: Floats, size: tuple[int, int], above: float = 1 / 3) -> Bools:
    """Cover generously what moves with the head: hair, neck and shoulders down to the lower edge.

    Args:
        landmarks: (n,478,>=2) pixels; NaN where there is no face.
        size: (h, w) of the picture.
        above: how far the zone reaches above the face, in face heights.

    Returns:
        (n,h,w) rectangles: the face's box with a quarter of its width added to both sides, what
        lies above by `above`, and all below; nothing where there is no face.
    """
    masks = np.zeros((len(landmarks), *size), np.bool_)
    for mask, points in zip(masks, landmarks[:, FACE_OVAL, :2], strict=True):
        if np.isfinite(points).all():
            (left, top), (right, bottom) = points.min(0), points.max(0)
            side = (right - left) / 4
            left, top, right = left - side, top - above * (bottom - top), right + side
            mask[max(0, int(top)) :, max(0, int(left)) : max(0, int(np.ceil(right)))] = True
    return masks


def shrink(masks: Bools, pixels: int) -> Bools:
    """Erode (n,h,w) masks by `pixels` steps of the four-neighborhood, from the border too."""
    if pixels == 0:
        return masks
    cross = ndimage.generate_binary_structure(2, 1)[None]
    eroded: Bools = ndimage.binary_erosion(masks, cross, iterations=pixels)
    return eroded


def fill_convex(points: Floats, size: tuple[int, int]) -> Bools:
    """Fill the convex hull of (P,2) points row by row, by the span its edges cut from each row.

    Returns:
        (h,w) True where a pixel's center lies inside; all False for fewer than three points that
        span an area.
    """
    mask = np.zeros(size, np.bool_)
    try:
        corners = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):
        return mask
    (xa, ya), (xb, yb) = corners.T, np.roll(corners, -1, 0).T
    rows = (np.arange(size[0]) + 0.5)[:, None]
    crossed = (np.minimum(ya, yb) <= rows) & (rows < np.maximum(ya, yb))
    slope = (xb - xa) / np.where(ya == yb, 1, yb - ya)
    x = xa + (rows - ya) * slope
    first = np.where(crossed, x, np.inf).min(1, keepdims=True)
    last = np.where(crossed, x, -np.inf).max(1, keepdims=True)
    columns = np.arange(size[1]) + 0.5
    inside: Bools = (columns >= first) & (columns <= last)
    return inside


def _masks(landmarks: Floats, size: tuple[int, int], contours: list[Ints], margin: float) -> Bools:
    check(
        landmarks.ndim == 3 and landmarks.shape[1] == 478 and landmarks.shape[2] >= 2,
        f"landmarks have shape {landmarks.shape}, expected (n, 478, 2 or 3)",
    )
    masks = np.zeros((len(landmarks), *size), np.bool_)
    for mask, points in zip(masks, np.asarray(landmarks, np.float64)[:, :, :2], strict=True):
        if not np.isfinite(points).all():
            continue
        reach = margin * np.linalg.norm(points[_OUTER_CORNERS[0]] - points[_OUTER_CORNERS[1]])
        for contour in contours:
            hull = points[contour]
            if margin:
                hull = (hull[:, None] + reach * _CIRCLE).reshape(-1, 2)
            mask |= fill_convex(hull, size)
    return masks
