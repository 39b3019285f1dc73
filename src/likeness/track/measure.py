"""Plain measurements on tracker landmarks: how open eyes and mouth are, where the irises sit.

Works on any (N,478,>=2) array of positions; needs no tracker. Landmark numbers are those of
MediaPipe's face mesh: "right" is the person's right, which is image left.
"""

from __future__ import annotations

import numpy as np

from likeness.types import Floats, Ints

EYE_CORNERS = np.array([[33, 133], [263, 362]])
"""(2 eyes, outer and inner corner); eye 0 is the person's right eye."""
UPPER_LIDS = np.array([[160, 159, 158, 157], [387, 386, 385, 384]])
LOWER_LIDS = np.array([[144, 145, 153, 154], [373, 374, 380, 381]])
IRIS_CENTERS = np.array([468, 473])
IRIS_RINGS = np.array([[469, 470, 471, 472], [474, 475, 476, 477]])
INNER_LIPS = np.array([[82, 87], [13, 14], [312, 317]])
"""(3 pairs, upper and lower) across the middle of the inner lips."""
MOUTH_CORNERS = np.array([61, 291])


def eye_openness(landmarks: Floats) -> Floats:
    """Measure how open the eyes are, as mean lid distance over the eye's width.

    The aspect ratio of Soukupova and Cech (2016, eq. 1), with four lid pairs in place of two.

    Args:
        landmarks: (N,478,>=2) pixels.

    Returns:
        (N,2) ratio per eye: about 0.05 when closed, 0.3 when open.
    """
    xy = np.asarray(landmarks, np.float32)[:, :, :2]
    gap = np.linalg.norm(xy[:, UPPER_LIDS] - xy[:, LOWER_LIDS], axis=-1).mean(-1)
    return _ratio(gap, _width(xy, EYE_CORNERS))


def mouth_openness(landmarks: Floats) -> Floats:
    """Measure how open the mouth is, as mean inner-lip distance over the eyes' outer distance.

    The denominator doesn't change with expression, unlike the mouth's own width.

    Args:
        landmarks: (N,478,>=2) pixels.

    Returns:
        (N,) ratio: 0 when closed, above 0.3 when wide open.
    """
    xy = np.asarray(landmarks, np.float32)[:, :, :2]
    gap = np.linalg.norm(xy[:, INNER_LIPS[:, 0]] - xy[:, INNER_LIPS[:, 1]], axis=-1).mean(-1)
    return _ratio(gap, np.linalg.norm(xy[:, EYE_CORNERS[0, 0]] - xy[:, EYE_CORNERS[1, 0]], axis=-1))


def iris_offsets(landmarks: Floats) -> Floats:
    """Measure where each iris sits between the eye corners.

    Args:
        landmarks: (N,478,>=2) pixels.

    Returns:
        (N,2,2) per eye (along, across) in half eye widths from the middle of the corners: along
        runs from image-left to image-right corner, across downward at a right angle to it.
    """
    xy = np.asarray(landmarks, np.float32)[:, :, :2]
    left, right = xy[:, [33, 362]], xy[:, [133, 263]]
    axis = (right - left) / 2
    offset = xy[:, IRIS_CENTERS] - (left + right) / 2
    square = np.maximum((axis**2).sum(-1), 1e-6)
    along = (offset * axis).sum(-1) / square
    across = (axis[..., 0] * offset[..., 1] - axis[..., 1] * offset[..., 0]) / square
    return np.stack([along, across], -1)


def face_height(landmarks: Floats) -> Floats:
    """Return (N,) distance from the top of the forehead (10) to the chin (152), in pixels."""
    xy = np.asarray(landmarks, np.float32)[:, :, :2]
    height: Floats = np.linalg.norm(xy[:, 10] - xy[:, 152], axis=-1)
    return height


def _width(xy: Floats, pairs: Ints) -> Floats:
    width: Floats = np.linalg.norm(xy[:, pairs[:, 0]] - xy[:, pairs[:, 1]], axis=-1)
    return width


def _ratio(gap: Floats, width: Floats) -> Floats:
    ratio: Floats = gap / np.maximum(width, 1e-6)
    return ratio
