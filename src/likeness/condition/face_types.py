"""How DeepFaceLab cuts and masks faces: 68 points, a mean face, and squares of five extents.

Program: Perov et al., DeepFaceLab (arXiv 2005.05535), section 3.1. 33 inner points of the 68 are
laid onto a mean face in a unit square by one similarity; a face type says how far the crop reaches
beyond that square. Points are our tracker's: `SIXTY_EIGHT` names the landmarks that stand where
the usual 68 do, so that models and face sets of DeepFaceLab fit ours.
Differs: faces of the type head are not shifted sideways by their yaw, which needs points in space.

Convention:
    DeepFaceLab counts from the center of the first pixel, here positions count from its corner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from likeness.condition.align import Doubles, Landmarks, Points, similarity
from likeness.types import Crop, Floats, check

FaceType = Literal["half", "mid_full", "full", "whole_face", "head"]

SIXTY_EIGHT: Landmarks = (
    *((127,), (234,), (93,), (58,), (172,), (136,), (149,), (148,), (152,)),
    *((377,), (378,), (365,), (397,), (288,), (323,), (454,), (356,)),
    *((70, 46), (63, 53), (105, 52), (66, 65), (107, 55)),
    *((336, 285), (296, 295), (334, 282), (293, 283), (300, 276)),
    *((168,), (197,), (5,), (4,)),
    *((75,), (97,), (2,), (326,), (305,)),
    *((33,), (160,), (158,), (133,), (153,), (144,)),
    *((362,), (385,), (387,), (263,), (373,), (380,)),
    *((61,), (39,), (37,), (0,), (267,), (269,), (291,), (405,), (314,), (17,), (84,), (181,)),
    *((78,), (82,), (13,), (312,), (308,), (317,), (14,), (87,)),
)
"""Which of the tracker's 478 landmarks make each of the 68 points: jaw 0-16, brows 17-26 (between
the two rows of landmarks on a brow), nose 27-35, eyes 36-47, lips 48-67, image left first."""

FITTED = (*range(17, 49), 54)
"""Which of the 68 points are laid onto the mean face: brows, nose, eyes, mouth corners."""

_MEAN = (
    *((0.000213, 0.106454), (0.075262, 0.038915), (0.181130, 0.018748), (0.290770, 0.034489)),
    *((0.393397, 0.077391), (0.586856, 0.077391), (0.689483, 0.034489), (0.799124, 0.018748)),
    *((0.904991, 0.038915), (0.980040, 0.106454)),
    *((0.490127, 0.203352), (0.490127, 0.307009), (0.490127, 0.409805), (0.490127, 0.515625)),
    *((0.366880, 0.587326), (0.426036, 0.609345), (0.490127, 0.628106), (0.554217, 0.609345)),
    (0.613373, 0.587326),
    *((0.121737, 0.216423), (0.187122, 0.178758), (0.265825, 0.179852)),
    *((0.334606, 0.231733), (0.260918, 0.245099), (0.182743, 0.244077)),
    *((0.645647, 0.231733), (0.714428, 0.179852), (0.793132, 0.178758)),
    *((0.858516, 0.216423), (0.797510, 0.244077), (0.719335, 0.245099)),
    *((0.254149, 0.780233), (0.726104, 0.780233)),
)
MEAN_FACE: Doubles = np.array(_MEAN, np.float64)
"""(33,2) where the `FITTED` points lie in the unit square."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How a crop reaches beyond the square of the mean face, whose side is 1."""

    padding: float
    """The crop's side is 1 + 2 sqrt(2) padding."""
    rise: float = 0.0
    """How far its middle lies above the square's, along the face's own upright."""

    @property
    def side(self) -> float:
        """Side of the crop."""
        return 1 + 2 * 2**0.5 * self.padding


EXTENTS: Mapping[str, Extent] = {
    "half": Extent(0.0),
    "mid_full": Extent(0.0675),
    "full": Extent(0.2109375),
    "whole_face": Extent(0.40, 0.07),
    "head": Extent(0.70, 0.50),
}
"""Crops by face type: eyes to mouth, eyebrows to chin, the whole mask, forehead too, hair too."""

OPTION_TYPES: Mapping[str, FaceType] = {
    "h": "half",
    "mf": "mid_full",
    "f": "full",
    "wf": "whole_face",
    "head": "head",
}
"""Face types as DeepFaceLab's training options write them."""


def sixty_eight(landmarks: Floats) -> Floats:
    """Return (N,68,2) positions of the usual 68 points from (N,478,>=2) landmarks."""
    xy = landmarks[..., :2]
    points = [xy[:, list(several)].mean(1) for several in SIXTY_EIGHT]
    return np.asarray(np.stack(points, 1), np.float32)


def face_crop(points: Points, face_type: FaceType, size: int, widen: float = 1.0) -> Crop:
    """Cut the faces of N frames as a face type says.

    Args:
        points: (N,68,2) in pixels of the frame.
        face_type: a key of `EXTENTS`.
        size: side of the crop in pixels.
        widen: the square is this many times as wide, about the same middle.

    Returns:
        N similarities in a Crop of that size.

    Raises:
        ContractError: the points of a frame are all in one place, or no numbers.
    """
    check(points.shape[1:] == (68, 2), f"points have shape {points.shape}, expected (N, 68, 2)")
    extent = EXTENTS[face_type]
    unit_from_frame = similarity(points[:, list(FITTED)] - 0.5, MEAN_FACE)
    scale = size / (extent.side * widen)
    middle = np.array([0.5, 0.5 - extent.rise])
    crop_from_frame = unit_from_frame * scale
    # The crop's own first pixel center lies on the square's corner, and half a pixel beyond ours.
    crop_from_frame[:, :, 2] += size / 2 - scale * middle + 0.5
    crop_from_frame[:, :, 2] -= crop_from_frame[:, :, :2] @ np.array([0.5, 0.5])
    return Crop((size, size), crop_from_frame.astype(np.float32))


_HULLS = (
    (*range(0, 9), *range(17, 18)),
    (*range(8, 17), *range(26, 27)),
    (*range(17, 20), 8),
    (*range(24, 27), 8),
    (*range(19, 25), 8),
    (*range(17, 22), 27, *range(31, 36), 8),
    (*range(22, 27), 27, *range(31, 36), 8),
    tuple(range(27, 36)),
)
"""Points whose convex hulls make up the face."""
_RIGHT_BROW, _LEFT_BROW = range(17, 22), range(22, 27)
_RIGHT_EYE, _LEFT_EYE = range(36, 42), range(42, 48)
_MOUTH = range(48, 60)
_FINE = 16
"""Steps per pixel in which corners are given to the filler."""
_SHIFT = 4
"""The same as a power of two."""


def with_raised_brows(points: Points, amount: float = 1.0) -> Doubles:
    """Move the brows of (N,68,2) points up the forehead, as far again as they stand off the eyes.

    Args:
        points: in pixels.
        amount: share of DeepFaceLab's own expansion, half the way from eye line to brow.
    """
    moved = np.array(points, np.float64)
    for brow, eye in ((_RIGHT_BROW, _RIGHT_EYE), (_LEFT_BROW, _LEFT_EYE)):
        first, last = moved[:, eye[0]], moved[:, eye[3]]
        outer = (moved[:, brow[0]] + first) / 2
        inner = (moved[:, brow[-1]] + last) / 2
        # The line from the eye's corners, halfway to the brow's ends, below each point of the brow.
        shares = np.linspace(0, 1, 5)[:, None]
        line = outer[:, None] * (1 - shares) + inner[:, None] * shares
        moved[:, brow] += amount * 0.5 * (moved[:, brow] - line)
    return moved


def hull_mask(points: Points, size: int, brows: float = 1.0) -> NDArray[np.float32]:
    """Fill the faces of N crops: jaw, cheeks, brows and nose.

    Args:
        points: (N,68,2) in pixels of the crop.
        size: its side.
        brows: how far brows are raised, as in `with_raised_brows`.

    Returns:
        (N,1,size,size) in [0,1], soft by one pixel.
    """
    raised = with_raised_brows(points, brows)
    masks = np.zeros((len(raised), 1, size, size), np.float32)
    for mask, face in zip(masks[:, 0], raised, strict=True):
        for hull in _HULLS:
            np.maximum(mask, _filled(face[list(hull)], size), out=mask)
    return masks


def feature_mask(points: Points, size: int) -> NDArray[np.float32]:
    """Mark eyes and mouths of N crops, where errors cost most.

    Args:
        points: (N,68,2) in pixels of the crop.
        size: its side.

    Returns:
        (N,1,size,size) in [0,1]: hulls, dilated by size/32 and blurred by size/16.
    """
    import cv2

    masks = np.zeros((len(points), 1, size, size), np.float32)
    grown, soft = max(1, size // 32), max(1, size // 16)
    kernel = np.ones((2 * grown + 1, 2 * grown + 1), np.uint8)
    for mask, face in zip(masks[:, 0], np.asarray(points, np.float64), strict=True):
        for feature in (_RIGHT_EYE, _LEFT_EYE, _MOUTH):
            shape = cv2.dilate(_filled(face[list(feature)], size), kernel)
            np.maximum(mask, shape, out=mask)
        mask[:] = cv2.GaussianBlur(mask, (0, 0), soft / 3)
    return masks


def _filled(corners: Doubles, size: int) -> NDArray[np.float32]:
    """Fill the convex hull of (K,2) corners: (size,size) in [0,1]."""
    import cv2

    # Corners far outside would overflow the filler's fixed point, and change nothing inside.
    near = np.clip(corners - 0.5, -4 * size, 5 * size)
    hull = cv2.convexHull(np.round(near * _FINE).astype(np.int32))
    canvas = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(canvas, hull, (255,), cv2.LINE_AA, _SHIFT)
    return canvas.astype(np.float32) / 255
