"""What of a drawn face is skin: no fringe or hat brim may come along onto another forehead."""

from __future__ import annotations

import numpy as np

from likeness.face3d.model import FaceModel
from likeness.types import Floats

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_SOFT = 0.012
"""Deviation of the blur that takes single strands together, in face widths."""
_DARKER = (0.62, 0.80)
"""Luma over the face's own skin: below the first surely hair, above the second surely skin."""


def skin_likeness(picture: Floats, places: Floats, model: FaceModel) -> Floats:
    """Tell where the upper face shows skin rather than hair.

    Only what lies above the brows is asked: below them, everything belongs to the face.

    Args:
        picture: (h,w,3) RGB in [0,1].
        places: (V,2) of the face model's vertices in it.
        model: names the regions.

    Returns:
        (h,w) in [0,1]; 1 below the brows.
    """
    import cv2

    height, width = picture.shape[:2]
    oval = places[model.regions["face_oval"]]
    across = max(float(np.ptp(oval[:, 0])), 4.0)
    brows = places[np.concatenate([model.regions["right_brow"], model.regions["left_brow"]])]
    up = places[model.regions["face_oval"][0]] - brows.mean(0)
    up = up / max(float(np.linalg.norm(up)), 1e-3)
    luma = picture @ _LUMA
    spread = max(0.6, _SOFT * across)
    smooth = np.asarray(cv2.GaussianBlur(luma, (0, 0), spread), np.float32)
    column = np.clip(places[:, 0], 0, width - 1).astype(int)
    row = np.clip(places[:, 1], 0, height - 1).astype(int)
    chosen = np.concatenate([model.regions["cheeks"], model.regions["forehead"]])
    level = float(np.percentile(smooth[row[chosen], column[chosen]], 60))
    likely = np.clip((smooth / max(level, 1e-3) - _DARKER[0]) / (_DARKER[1] - _DARKER[0]), 0, 1)
    ys, xs = np.mgrid[:height, :width].astype(np.float32) + 0.5
    highest = float(((brows - brows.mean(0)) @ up).max())
    above = ((xs - brows.mean(0)[0]) * up[0] + (ys - brows.mean(0)[1]) * up[1] - highest) / across
    asked = np.clip(above / 0.05, 0, 1)
    return np.asarray(1 - asked * (1 - likely), np.float32)
