"""Heights on the skin as the light of the clip shows them."""

from __future__ import annotations

import numpy as np

from likeness.methods.edit.surface_view import FrameView, blurred
from likeness.types import Floats

MOST = 0.5
"""Largest change of a pixel's logarithm that slopes may make."""
_SKY = 0.25
"""What folds see of the light above, relative: nine coefficients average it away."""
_HOLLOWS = ((1.8, 0.25), (5.0, 0.18))
"""Reach in millimetres, and darkening per millimetre of depth below what lies around within it:
light from the sides does not reach the ground."""
_WARM = np.array([0.80, 1.08, 1.18], np.float32)
"""How much of a groove's darkening each channel takes."""
_RIDGE = 0.25
"""Brightening of what stands out, relative to the darkening of what lies deep."""


def relief(view: FrameView, heights: Floats) -> Floats:
    """Tell what heights do to the light on the skin.

    To first order: the light that falls on a slope changes by the derivative of the irradiance by
    the normal; and a groove is darkened by how deep it lies (ambient occlusion).

    Args:
        view: one frame.
        heights: (h,w) millimetres, a texture of the unrolled face.

    Returns:
        (h,w,3) logarithm of the factor, in the view's box: light that has been in the skin makes
        grooves warm.
    """
    import cv2

    posed = view.posed
    height = view.fetch(heights)
    across = cv2.Scharr(height, cv2.CV_32F, 1, 0) * (posed.scale / 32)
    along = cv2.Scharr(height, cv2.CV_32F, 0, 1) * (posed.scale / 32)
    light = posed.slope_light[view.box]
    slopes = -(across * light[..., 0] + along * (light[..., 1] - _SKY)) * posed.facing[view.box]
    inside = np.zeros_like(height)
    for reach, share in _HOLLOWS:
        hollow = blurred(height, reach * posed.scale) - height
        inside += share * (_RIDGE * np.maximum(-hollow, 0) - np.maximum(hollow, 0))
    shaded = np.clip(slopes, -MOST, MOST)
    return np.asarray(shaded[..., None] + inside[..., None] * _WARM, np.float32)
