"""Where a drawn face may lie, in crop space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import cv2
import numpy as np
import torch

from likeness.compiled import njit
from likeness.composite.filters import averaged, ramp, shrunk, spread
from likeness.errors import ConfigError
from likeness.types import Floats

OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""The tracker's landmarks around the face, clockwise from the top."""
_RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
_LEFT_EYE = (362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398)
_RIGHT_BROW = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
_LEFT_BROW = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
_NOSE = (168, 193, 417, 122, 351, 48, 278, 64, 294, 98, 327, 2, 94)
LIPS = (
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375),
    *(291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
)
_UPPER = tuple(OVAL[i] for i in (*range(-9, 0), *range(10)))
"""The oval from temple to temple over the forehead."""
REGIONS: Mapping[str, tuple[tuple[tuple[int, ...], ...], float]] = {
    "face": ((OVAL,), 0.0),
    "eyes": ((_RIGHT_EYE, _LEFT_EYE), 0.035),
    "brows": ((_RIGHT_BROW, _LEFT_BROW), 0.02),
    "nose": ((_NOSE,), 0.02),
    "mouth": ((LIPS,), 0.04),
    "upper": (((*_UPPER, 168),), 0.0),
    "lower": (((*OVAL[8:29], 2),), 0.0),
}
"""Named parts: hulls of landmarks, and how far each is grown in face widths."""
_BORDER = 0.04
"""Width of the border of a crop in which nothing is changed any more, in its longer sides."""
_HALVED = 192
"""Side in crop pixels from which on masks are drawn at half the size: they are soft anyway."""
_RISE = 0.24
"""How far above the outline skin is looked for, in units of the face's height."""
_TRUE, _OTHER = 0.3, 0.5
"""Steps of color upward over a forehead, mean logarithm of the channels, that are light, and that
are the edge of something else."""
_FAR = 1.1
"""The same for the whole way from this face's middle color."""
_FOLLOW = 0.25
"""How fast the color that is compared to follows, per pixel."""
_BROWS = 0.03
"""How far above the brows skin is looked for first, in face widths."""
_BELOW_BROWS = (*OVAL[8:29], 70, 107, 336, 300)


def check_regions(names: Sequence[str]) -> None:
    """Refuse what is no part of a face.

    Raises:
        ConfigError: a name, without its minus sign, is not in `REGIONS`.
    """
    unknown = [name for name in names if name.removeprefix("-") not in REGIONS]
    if unknown or not any(not name.startswith("-") for name in names):
        found = unknown[0] if unknown else ", ".join(names) or "nothing"
        raise ConfigError(
            f"regions is {found!r}; expected one or more of {', '.join(REGIONS)}, and what to "
            'leave out of them with a minus sign, such as ["face", "-eyes"]'
        )


def face_hull(
    landmarks: Floats, size: tuple[int, int], feather: float, grown: float = -0.03
) -> torch.Tensor:
    """Return (N,1,h,w) in [0,1]: one inside a face's outline, falling to zero at its edge.

    Args:
        landmarks: (N,478,>=2) in crop pixels.
        size: (h, w) of the crops.
        feather: width of the soft edge, which lies inside the outline, in face widths.
        grown: how far the outline is moved outward first, in face widths.
    """
    masks = np.zeros((len(landmarks), 1, *size), np.float32)
    for mask, face in zip(masks, landmarks, strict=True):
        mask[0] = hull(face, size, feather, grown)
    return torch.from_numpy(masks)


def hull(face: Floats, size: tuple[int, int], feather: float, grown: float) -> Floats:
    """Return (h,w): `face_hull` of one face, (478,>=2)."""
    outline = face[list(OVAL), :2]
    return soft_hull([outline], face_width(face), size, feather, grown)


def regions(face: Floats, names: Sequence[str], size: tuple[int, int], feather: float) -> Floats:
    """Return (h,w) in [0,1]: named parts of one face, and none of those with a minus sign.

    Args:
        face: (478,>=2) in crop pixels.
        names: keys of `REGIONS`.
        size: (h, w) of the crop.
        feather: width of the soft edges in face widths.
    """
    width = face_width(face)
    mask = np.zeros(size, np.float32)
    for name in sorted(names, key=lambda name: name.startswith("-")):
        parts, grown = REGIONS[name.removeprefix("-")]
        outlines = [face[list(part), :2] for part in parts]
        whole = name.removeprefix("-") == "face"
        soft = feather if whole else min(feather, 0.05)
        # A part's soft edge lies about its outline, half outside.
        part = soft_hull(outlines, width, size, soft, grown + (0.1 if whole else soft / 2))
        mask = mask * (1 - part) if name.startswith("-") else np.maximum(mask, part)
    return mask


def soft_hull(
    outlines: Sequence[Floats], width: float, size: tuple[int, int], feather: float, grown: float
) -> Floats:
    """Return (h,w) in [0,1]: convex hulls of (P,2) points, their edges soft inward.

    Args:
        outlines: in crop pixels; the answer is their union.
        width: of the face in crop pixels: the unit of the next two.
        size: (h, w).
        feather: over how much of the face's width the mask falls from one to zero.
        grown: how far the hulls are moved outward first.
    """
    half = 2 if min(size) >= _HALVED else 1
    small = (-(-size[0] // half), -(-size[1] // half))
    flat = np.zeros(small, np.uint8)
    for outline in outlines:
        places = np.round((outline / half - 0.5) * 16).astype(np.int32).reshape(-1, 1, 2)
        cv2.fillConvexPoly(flat, cv2.convexHull(places), (255,), cv2.LINE_AA, 4)
    # Signed distance to the outline: exact, and free of the steps that a blur makes.
    inside = cv2.distanceTransform((flat > 127).astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((flat <= 127).astype(np.uint8), cv2.DIST_L2, 5)
    share = (half * (inside - outside) + grown * width) / max(feather * width, 1e-3)
    return enlarged(ramp(share), size, half)


@lru_cache(maxsize=4)
def clear_of_border(height: int, width: int) -> Floats:
    """Return (height,width) in [0,1]: zero at the border of a crop, one a little inside.

    A method may have learned more of a head than a crop holds, which must not end in an edge.
    """
    soft = max(1.0, _BORDER * max(height, width))
    away = [np.minimum(np.arange(side), np.arange(side)[::-1]) for side in (height, width)]
    rows, columns = (ramp(np.asarray(places / soft, np.float32)) for places in away)
    return np.asarray(rows[:, None] * columns, np.float32)


def face_width(face: Floats) -> float:
    """Return the width of a face, (478,>=2), in crop pixels; at least 1."""
    return max(outline_width(face[list(OVAL), :2]), 1.0)


def outline_width(outline: Floats) -> float:
    """Return how wide a face is by its outline (P,2), which begins at the top."""
    return float(np.ptp(outline[:, axis_across(outline)]))


def axis_across(outline: Floats) -> int:
    """Return the axis of the picture along which a face is wide: 1 (y) where it lies on its side.

    Args:
        outline: (P,2); it begins at the top of the face.
    """
    up = np.abs(outline[0] - outline[len(outline) // 2])
    return 0 if up[1] >= up[0] else 1


def enlarged(mask: Floats, size: tuple[int, int], times: int) -> Floats:
    """Return a (h',w') mask at `size` (h, w), `times` as large."""
    if times == 1:
        return mask
    h, w = size
    whole = spread(mask, (mask.shape[0] * times, mask.shape[1] * times))
    return np.ascontiguousarray(whole[:h, :w])


def to_hairline(face: Floats, pixels: Floats, feather: float, grown: float) -> Floats:
    """Return (h,w): the hull of one face that ends at its hairline, wherever that is.

    The tracker's oval ends somewhere on the forehead. Above the brows, what counts is what is seen:
    a place is taken where it has the color of this face's own skin, and where all between it and
    the brows has, too. So the mask rises over a high forehead and stays under a fringe.

    Args:
        face: (478,>=2) in crop pixels.
        pixels: (h,w,3) the target's crop in [0,1].
        feather: width of the soft edge in face widths.
        grown: how far the outline is moved outward, in face widths.
    """
    size = (pixels.shape[0], pixels.shape[1])
    times = max(1, max(size) // 128)
    small = shrunk(pixels, (-(-size[0] // times), -(-size[1] // times)))
    points = face[:, :2] / times
    width = face_width(face) / times
    shape = (small.shape[0], small.shape[1])
    chin, top = points[152], points[10]
    up = (top - chin) / max(float(np.linalg.norm(top - chin)), 1e-6)
    # Points above the oval, highest over its middle.
    upper = points[list(_UPPER)]
    along = ((upper - chin) @ up / max(float((top - chin) @ up), 1e-6)).clip(0, 1)
    raised = upper + (along**2)[:, None] * (top - chin) * _RISE
    tall = soft_hull([np.concatenate([points[list(OVAL)], raised])], width, shape, feather, grown)
    brows = points[list(_RIGHT_BROW + _LEFT_BROW)]
    line = float(((brows - chin) @ up).max() + _BROWS * width)
    skin = _skin(small, points, width, shape)
    reached = _reached(small, skin, up, chin + line * up)
    low = hull(face, size, feather, grown)
    ys, xs = np.mgrid[: shape[0], : shape[1]].astype(np.float32) + 0.5
    height = (xs - chin[0]) * up[0] + (ys - chin[1]) * up[1]
    above = ramp((height - line) / max(0.06 * width, 1e-3) + 0.5)
    chosen = enlarged(np.minimum(tall, reached), size, times)
    share = enlarged(above, size, times)
    return np.asarray(low + share * (chosen - low), np.float32)


def _skin(small: Floats, points: Floats, width: float, size: tuple[int, int]) -> Floats:
    """(3,) color of a face's skin: the median of cheeks, nose and between the brows."""
    whole = soft_hull([points[list(_BELOW_BROWS)]], width, size, 0.02, -0.03)
    holes = [points[list(part)] for part in (_RIGHT_EYE, _LEFT_EYE, _RIGHT_BROW, _LEFT_BROW, LIPS)]
    chosen = whole * (1 - soft_hull(holes, width, size, 0.02, 0.04)) > 0.5
    colors = small[chosen] if int(chosen.sum()) > 12 else small.reshape(-1, 3)
    return np.asarray(np.median(colors, 0), np.float32)


def _reached(small: Floats, skin: Floats, up: Floats, start: Floats) -> Floats:
    """(h,w) in [0,1]: what can be reached from below the line through `start` over skin alone."""
    h, w = small.shape[:2]
    turn = float(np.degrees(np.arctan2(up[0], -up[1])))
    upright = cv2.getRotationMatrix2D((w / 2, h / 2), turn, 1.0)
    logs = np.log(np.maximum(small, 0.02) / np.maximum(skin, 0.02)).astype(np.float32)
    turned = cv2.warpAffine(averaged(logs, 3), upright, (w, h), borderMode=cv2.BORDER_REPLICATE)
    row = int(np.clip(upright[1, :2] @ start + upright[1, 2], 0, h))
    climbed = averaged(_climbed(np.asarray(turned, np.float32), row), 5)
    back = cv2.invertAffineTransform(upright)
    return np.asarray(cv2.warpAffine(climbed, back, (w, h)), np.float32)


@njit(cache=True, nogil=True)
def _climbed(logs: Floats, start: int) -> Floats:  # pragma: no cover - compiled
    """Climb each column as long as color changes gently, as light does, and not as hair does."""
    h, w, _ = logs.shape
    out = np.ones((h, w), np.float32)
    middle = np.empty(3, np.float32)
    for x in range(w):
        share = np.float32(1)
        middle[:] = 0
        for y in range(start - 1, -1, -1):
            apart, away = np.float32(0), np.float32(0)
            for c in range(3):
                apart += abs(logs[y, x, c] - middle[c]) / np.float32(3)
                away += abs(logs[y, x, c]) / np.float32(3)
            value = min((_OTHER - apart) / (_OTHER - _TRUE), (_FAR - away) / np.float32(0.3))
            share = min(share, max(value, np.float32(0)))
            out[y, x] = share
            if share > 0:
                for c in range(3):
                    middle[c] += np.float32(_FOLLOW) * (logs[y, x, c] - middle[c])
    return out
