"""Which vertex of a foreign face mesh stands where the tracker's landmarks are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.spatial import cKDTree

from likeness.errors import BundleError
from likeness.store import load_face_model
from likeness.types import Floats, Ints

Doubles = NDArray[np.float64]
LANDMARKS = 478
MULTI_PIE_68 = {
    8: 152,
    17: 70, 18: 63, 19: 105, 20: 66, 21: 107, 22: 336, 23: 296, 24: 334, 25: 293, 26: 300,
    27: 168, 28: 197, 29: 5, 30: 4, 31: 98, 32: 97, 33: 2, 34: 326, 35: 327,
    36: 33, 37: 160, 38: 158, 39: 133, 40: 153, 41: 144,
    42: 362, 43: 385, 44: 387, 45: 263, 46: 373, 47: 380,
    48: 61, 49: 39, 50: 37, 51: 0, 52: 267, 53: 269, 54: 291, 55: 405, 56: 314, 57: 17, 58: 84,
    59: 181, 60: 78, 61: 82, 62: 13, 63: 312, 64: 308, 65: 317, 66: 14, 67: 87,
}  # fmt: skip
"""Tracker landmark of each Multi-PIE point that both mark in the same place (no jaw line)."""


@dataclass(frozen=True, eq=False)
class Correspondence:
    """The tracker's landmarks on a foreign mesh."""

    landmark_vertices: Ints
    """(478,) vertex nearest to each landmark; -1 for the irises."""
    origin: Floats
    """(3,) where the origin of our head space lies in the foreign one."""


def correspond(
    mean: Floats, candidates: Ints, anchors: dict[int, int] | None = None
) -> Correspondence:
    """Lay our mean face onto another and take the nearest vertices.

    With anchors: a similarity, then a thin-plate spline through the anchors. Without: the faces are
    put nose tip to nose tip and a similarity is refined by trimmed iterated closest points.

    Args:
        mean: (V,3) millimetres in head axes (x image right, y down, z away from the camera).
        candidates: (K,) vertices that may be chosen, the skin of the face.
        anchors: tracker landmark -> vertex.

    Raises:
        BundleError: the faces differ in size or stay apart more than faces do.
    """
    ours = load_face_model().mean.astype(np.float64)
    theirs = mean.astype(np.float64)
    tree = cKDTree(theirs[candidates])
    if anchors:
        source, target = ours[list(anchors)], theirs[list(anchors.values())]
        scale, rotation, offset = _similarity(source, target)
        placed = scale * ours @ rotation + offset
        bend = RBFInterpolator(
            placed[list(anchors)], target, kernel="thin_plate_spline", smoothing=1.0
        )
        placed = bend(placed)
    else:
        scale, rotation, offset = _closest_points(ours, theirs[candidates], tree)
        placed = scale * ours @ rotation + offset
    distance, nearest = tree.query(placed)
    found = float(np.median(distance))
    if found > 8.0 or not 0.7 < scale < 1.4:
        raise BundleError(
            f"the imported face is {scale:.2f} times ours in size and {found:.1f} mm (median) away "
            "after alignment, expected 0.7 to 1.4 and below 8 mm; check that the file is in the "
            "units and axes that its format documents"
        )
    vertices = np.full(LANDMARKS, -1, np.int64)
    vertices[: len(ours)] = candidates[nearest]
    for landmark, vertex in (anchors or {}).items():
        vertices[landmark] = vertex
    return Correspondence(vertices, np.asarray(offset, np.float32))


def _closest_points(
    ours: Doubles, theirs: Doubles, tree: cKDTree
) -> tuple[float, Doubles, Doubles]:
    # The nose tip is the point nearest to the camera in both.
    offset: Doubles = theirs[np.argmin(theirs[:, 2])] - ours[np.argmin(ours[:, 2])]
    scale, rotation = 1.0, np.asarray(np.eye(3), np.float64)
    for _ in range(40):
        placed = scale * ours @ rotation + offset
        distance, nearest = tree.query(placed)
        kept = distance <= np.quantile(distance, 0.85)
        scale, rotation, offset = _similarity(ours[kept], theirs[nearest[kept]])
    return scale, rotation, offset


def _similarity(source: Doubles, target: Doubles) -> tuple[float, Doubles, Doubles]:
    """Umeyama (1991): target = scale * source @ rotation + offset."""
    p0, q0 = source.mean(0), target.mean(0)
    u, s, vt = np.linalg.svd((source - p0).T @ (target - q0))
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation: Doubles = (u * flip) @ vt
    scale = float((s * flip).sum() / ((source - p0) ** 2).sum())
    return scale, rotation, q0 - scale * p0 @ rotation
