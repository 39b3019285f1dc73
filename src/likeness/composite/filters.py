"""OpenCV's filters on float pictures, (h,w) or (h,w,C), with their types."""

from __future__ import annotations

import cv2
import numpy as np

from likeness.types import Floats

Size = tuple[int, int]


def halved(picture: Floats) -> Floats:
    """Halve after the binomial filter [1 4 6 4 1]/16."""
    return np.asarray(cv2.pyrDown(picture), np.float32)


def doubled(picture: Floats, size: Size) -> Floats:
    """Double to `size` (h, w) through the same filter."""
    return np.asarray(cv2.pyrUp(picture, dstsize=(size[1], size[0])), np.float32)


def shrunk(picture: Floats, size: Size) -> Floats:
    """Average over areas down to `size` (h, w)."""
    small = cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def spread(picture: Floats, size: Size) -> Floats:
    """Interpolate linearly up to `size` (h, w)."""
    return np.asarray(cv2.resize(picture, (size[1], size[0])), np.float32)


def averaged(picture: Floats, side: int) -> Floats:
    """Average over a square of `side` pixels; borders are repeated."""
    mean = cv2.blur(picture, (side, side), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(mean, np.float32)


def softened(picture: Floats, sigma: float, side: int = 0) -> Floats:
    """Blur by a Gaussian of deviation `sigma`, cut to `side` pixels where that is given."""
    return np.asarray(cv2.GaussianBlur(picture, (side, side), sigma), np.float32)


def ramp(share: Floats) -> Floats:
    """Return a step from 0 to 1 without corners; what is given is clipped to [0,1]."""
    t = np.clip(share, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
