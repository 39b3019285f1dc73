"""What the trained detector is shown of a frame: the face at the frame's own pixel density."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from likeness.metrics.regions import FACE_OVAL, OUTER_LIPS
from likeness.nets.forensic import OVAL_STRIDE, STRIDE
from likeness.types import Floats

FIELD = 1.7
"""Side of what is seen, over the face's larger side."""
FACE_SIDE, FACE_FIELD = 112, 1.4
"""Pixels of a face that is shown whole, and what they cover, over the face's larger side."""
LEAST, MOST = 64, 480
"""Sides in pixels: of a larger face a part is seen, another one in each frame."""
_AROUND = 1.8
_PARTS = ((0.0, 0.0), (0.0, 0.7), (0.7, 0.0), (0.7, 0.7), (-0.5, 0.0))
"""Where that part lies, right and down, in shares of the room that is left."""


@dataclass(frozen=True)
class Sight:
    """A rectangle of a frame, in whole pixels; its sides are multiples of the network's stride."""

    top: int
    left: int
    height: int
    width: int

    def of(self, picture: Floats) -> Floats:
        """Cut it out of (...,H,W) arrays."""
        return picture[..., self.top : self.top + self.height, self.left : self.left + self.width]

    def oval(self, points: Floats) -> Floats:
        """Return (height/4,width/4) in [0,1]: inside of the outline of a face.

        Args:
            points: (478,2 or more) landmarks in frame pixels.
        """
        return self._hull(points[FACE_OVAL, :2])

    def mouth(self, points: Floats) -> Floats:
        """Return the same of lips and what is around them."""
        lips = points[OUTER_LIPS, :2]
        return self._hull(lips.mean(0) + _AROUND * (lips - lips.mean(0)))

    def _hull(self, points: Floats) -> Floats:
        inside = np.zeros((self.height, self.width), np.float32)
        hull = cv2.convexHull((points - [self.left, self.top]).astype(np.float32))
        cv2.fillConvexPoly(inside, np.round(hull).astype(np.int32), (1.0,))
        small = (self.width // OVAL_STRIDE, self.height // OVAL_STRIDE)
        return np.asarray(cv2.resize(inside, small, interpolation=cv2.INTER_AREA), np.float32)


def sight(points: Floats, size: tuple[int, int], turn: int = 0) -> Sight:
    """Choose what is seen of a face.

    Args:
        points: (478,2 or more) landmarks in frame pixels.
        size: height and width of the frame, both at least `LEAST`.
        turn: which part of a face that is too large to be seen whole.
    """
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    face = float((high - low).max())
    side = min(max(LEAST, FIELD * face), MOST)
    room = max(0.0, face - side / FIELD) / 2
    center = (low + high) / 2 + room * np.array(_PARTS[turn % len(_PARTS)])
    edges = []
    for axis, length in ((1, size[0]), (0, size[1])):
        start = min(max(0.0, center[axis] - side / 2), max(0, length - LEAST))
        stop = max(min(float(length), center[axis] + side / 2), start + LEAST)
        edges.append((int(start), int(stop - int(start)) // STRIDE * STRIDE))
    (top, height), (left, width) = edges
    return Sight(top, left, height, width)


def whole_face(
    picture: Floats, points: Floats, side: int = FACE_SIDE, field: float = FACE_FIELD
) -> Floats:
    """Show all of a face at a fixed size, whatever its own is.

    Args:
        picture: (h,w,3) RGB in [0,1].
        points: (478,2 or more) landmarks in its pixels.
        side: of the result in pixels.
        field: what it covers, over the larger side of the face.

    Returns:
        (side,side,4): RGB, and one inside of the face's outline. What lies beyond the picture
        repeats its edge.
    """
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    reach = max(1.0, field / 2 * float((high - low).max()))
    left, top = (int(x) for x in np.floor((low + high) / 2 - reach))
    right, bottom = left + math.ceil(2 * reach), top + math.ceil(2 * reach)
    height, width = picture.shape[:2]
    inside = picture[max(0, top) : max(1, bottom), max(0, left) : max(1, right)]
    room = (max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width))
    square = cv2.copyMakeBorder(np.ascontiguousarray(inside), *room, cv2.BORDER_REPLICATE)
    mask = np.zeros(square.shape[:2], np.float32)
    hull = cv2.convexHull((points[FACE_OVAL, :2] - [left, top]).astype(np.float32))
    cv2.fillConvexPoly(mask, np.round(hull).astype(np.int32), (1.0,))
    how = cv2.INTER_AREA if len(square) > side else cv2.INTER_LINEAR
    both = np.concatenate([square, mask[..., None]], -1)
    return np.asarray(cv2.resize(both, (side, side), interpolation=how), np.float32)
