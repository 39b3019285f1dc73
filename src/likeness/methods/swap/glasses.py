"""The target's own glasses: thin dark or bright lines about the eyes of the learned face.

Glasses are worn throughout a clip, so that what the face looks like in the middle of all frames
shows them, at one place of the atlas. Rims that run along the brows cannot be told from these.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from likeness.methods.swap.appearance import SIDE, Appearance
from likeness.types import Bools, Floats

_ZONE = (70, 107, 336, 300, 356, 352, 280, 330, 101, 50, 123, 127)
"""Landmarks around what glasses may cover: brows, temples, upper cheeks, bridge of the nose."""
_NOSE = (197, 196, 419, 126, 355, 48, 278, 4)
"""The nose below its bridge, whose ridge and shadow are lines, too."""
_SIDES = ((133, 33), (362, 263))
"""Corners of each eye, inner and outer: glasses are seen beside both."""
_LINE = 9
"""Texels that the widest rim is narrower than."""
_BRIGHT = 0.6
"""How much a bright line counts, of a dark one: skin shines."""
_APART = (0.18, 0.32)
"""Departures of lightness from what is beside a line, mean logarithms: doubtful and sure."""
_LEAST = 40
"""Texels that glasses cover at least on either side."""


def glasses_on(appearance: Appearance) -> Floats:
    """Return (side,side) in [0,1]: where on the atlas the target's glasses are, if there are any.

    Args:
        appearance: what the face looks like.
    """
    lightness = appearance.color.mean(-1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_LINE, _LINE))
    dark = cv2.morphologyEx(lightness, cv2.MORPH_BLACKHAT, kernel)
    bright = cv2.morphologyEx(lightness, cv2.MORPH_TOPHAT, kernel)
    line = np.maximum(dark, _BRIGHT * bright)
    share = np.clip((line - _APART[0]) / (_APART[1] - _APART[0]), 0, 1) * _zone(appearance)
    places = appearance.atlas.places[:, 0]
    for inner, outer in _SIDES:
        low, high = sorted((places[inner], 2 * places[outer] - places[inner]))
        if (share[:, max(0, int(low)) : int(high) + 1] > 0.5).sum() < _LEAST:
            return np.zeros((SIDE, SIDE), np.float32)
    worn = cv2.GaussianBlur(share.astype(np.float32), (0, 0), 0.7)
    return np.asarray(np.clip(1.6 * worn, 0, 1), np.float32)


def _zone(appearance: Appearance) -> Bools:
    atlas = appearance.atlas
    places, regions = atlas.places, atlas.mesh.model.regions
    zone = np.zeros((SIDE, SIDE), np.uint8)
    _fill(zone, places[list(_ZONE)], 255)
    _fill(zone, places[list(_NOSE)], 0)
    for name in ("left_eye", "right_eye", "left_brow", "right_brow"):
        hole = np.zeros_like(zone)
        _fill(hole, places[regions[name]], 255)
        zone[cv2.dilate(hole, np.ones((5, 5), np.uint8)) > 0] = 0
    inside: Bools = (zone > 0) & appearance.known
    return inside


def _fill(flat: NDArray[np.uint8], points: Floats, value: int) -> None:
    cv2.fillConvexPoly(flat, cv2.convexHull(points.round().astype(np.int32)), (value,))
