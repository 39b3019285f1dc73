"""What happens to faces before the detector is shown them. Imported by `forensics.py`.

Faces keep the density that the way leaves them: one of half the size is shown at half the size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from forensics_wear import coded

View = Callable[[np.ndarray], np.ndarray]
"""From a picture (h,w,3) float32 in [0,1] to what is left of it."""


def at(crf: int, codec: str = "libx264") -> View:
    """Code a picture."""
    return lambda picture: coded([picture], crf, codec)[0]


def half(picture: np.ndarray) -> np.ndarray:
    """Halve a picture; H.264 at CRF 23."""
    return coded([_halved(picture)], 23)[0]


def edited(picture: np.ndarray) -> np.ndarray:
    """Smoothed skin, sharpened, warmer; then H.264 at CRF 18."""
    soft = cv2.bilateralFilter(picture, 7, 0.08, 4)
    sharp = soft + 0.4 * (soft - cv2.GaussianBlur(soft, (0, 0), 1.0))
    return coded([np.clip(sharp * np.float32([1.06, 1, 0.94]), 0, 1).astype(np.float32)], 18)[0]


def laundered(picture: np.ndarray) -> np.ndarray:
    """Half the size, H.264 at CRF 33; clips are mirrored and brought to 30 fps besides."""
    return coded([_halved(picture)], 33)[0]


def _halved(picture: np.ndarray) -> np.ndarray:
    size = (max(64, picture.shape[1] // 2), max(64, picture.shape[0] // 2))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


VIEWS: Mapping[str, View] = {
    "CRF 18": at(18),
    "CRF 28": at(28),
    "CRF 38": at(38),
    "HEVC 28": at(28, "libx265"),
    "edited": edited,
    "half": half,
    "laundered": laundered,
}
JUDGED = ("CRF 18", "CRF 28", "CRF 38", "HEVC 28", "edited")
"""Views in which most faces are large enough to be judged."""
EYES = (33, 263)


def between_eyes(points: np.ndarray) -> np.ndarray:
    """(N,) pixels between the outer corners of the eyes of landmarks (N,478,2)."""
    return np.linalg.norm(points[:, EYES[0]] - points[:, EYES[1]], axis=-1)
