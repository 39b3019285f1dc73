"""The pinhole camera that every stage shares.

Follows the perspective projection of Deep Video Portraits (Kim et al. 2018, section 4) in the
convention of `types.FaceParams`: camera point = R @ head point + t, pixel = focal * xy / z + the
frame's center.
"""

from __future__ import annotations

import numpy as np

from likeness.geometry import rotation_matrix
from likeness.types import Floats, check


def camera_points(points: Floats, rotation: Floats, translation: Floats) -> Floats:
    """Move head-space points into the camera's space.

    Args:
        points: (N,V,3) or (V,3) millimetres.
        rotation: (N,3) axis-angle, head to camera.
        translation: (N,3) millimetres.

    Returns:
        (N,V,3) millimetres.
    """
    matrix = rotation_matrix(rotation)
    moved = points @ np.swapaxes(matrix, -1, -2) + translation[:, None, :]
    return np.asarray(moved, np.float32)


def pixels(points: Floats, focal: float, size: tuple[int, int]) -> Floats:
    """Project camera-space points onto the frame.

    Args:
        points: (...,3) millimetres in camera space.
        focal: pixels.
        size: (H, W) of the frame; its center is the principal point.

    Returns:
        (...,3): x and y in pixels (corner origin), z the depth in millimetres. Points at or behind
        the camera (z <= 1 mm) are projected as if they stood at 1 mm; test z before using them.
    """
    depth = points[..., 2:]
    near = np.maximum(depth, 1.0)
    center = np.array([size[1] / 2, size[0] / 2], np.float32)
    return np.concatenate([focal * points[..., :2] / near + center, depth], -1, dtype=np.float32)


def project(
    points: Floats,
    rotation: Floats,
    translation: Floats,
    focal: float,
    size: tuple[int, int],
) -> Floats:
    """Project head-space points of N frames into pixels.

    Args:
        points: (N,V,3) or (V,3) millimetres.
        rotation: (N,3) axis-angle, head to camera.
        translation: (N,3) millimetres.
        focal: pixels, greater than zero.
        size: (H, W) of the frame.

    Returns:
        (N,V,3): x and y in pixels, z the depth in millimetres.

    Raises:
        ContractError: focal is not positive.
    """
    check(focal > 0, f"focal is {focal}, expected > 0 pixels")
    return pixels(camera_points(points, rotation, translation), focal, size)


def pixel_jacobian(points: Floats, focal: float) -> Floats:
    """Derivative of `pixels` (x, y only) by the camera-space point.

    Args:
        points: (...,3) millimetres in camera space, in front of the camera.
        focal: pixels.

    Returns:
        (...,2,3) pixels per millimetre.
    """
    x, y, z = points[..., 0], points[..., 1], np.maximum(points[..., 2], 1.0)
    zero = np.zeros_like(x)
    rows = [
        np.stack([focal / z, zero, -focal * x / z**2], -1),
        np.stack([zero, focal / z, -focal * y / z**2], -1),
    ]
    return np.asarray(np.stack(rows, -2), np.float32)


def default_focal(size: tuple[int, int], field_of_view: float = 0.6) -> float:
    """Focal length in pixels for a field of view (radians) across the frame's longer side."""
    return 0.5 * max(size) / float(np.tan(0.5 * field_of_view))
