"""Where a drawn face may lie, in crop space."""

from __future__ import annotations

import numpy as np
import torch

from likeness.types import Floats

OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""The tracker's landmarks around the face, clockwise from the top."""


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
    import cv2

    masks = np.zeros((len(landmarks), 1, *size), np.float32)
    for mask, face in zip(masks, landmarks, strict=True):
        outline = face[list(OVAL), :2]
        width = max(float(np.ptp(outline[:, 0])), 1.0)
        flat = np.zeros(size, np.uint8)
        places = np.round((outline - 0.5) * 16).astype(np.int32).reshape(-1, 1, 2)
        cv2.fillConvexPoly(flat, cv2.convexHull(places), (255,), cv2.LINE_AA, 4)
        # Signed distance to the outline: exact, and free of the steps that a blur makes.
        inside = cv2.distanceTransform((flat > 127).astype(np.uint8), cv2.DIST_L2, 5)
        outside = cv2.distanceTransform((flat <= 127).astype(np.uint8), cv2.DIST_L2, 5)
        share = np.clip((inside - outside + grown * width) / (feather * width), 0, 1)
        mask[0] = share * share * (3 - 2 * share)
    return torch.from_numpy(masks)
