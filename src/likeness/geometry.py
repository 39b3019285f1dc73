"""Planar similarities and rotations in space.

Convention:
    Positions are (x, y) with the origin at the image corner, so the center of the first pixel is
    (0.5, 0.5) and resizing an image by s multiplies positions by s. A transform called `b_from_a`
    maps positions in a to positions in b; `b_from_a @ a_from_c` composes where the inner names
    touch.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from likeness.types import Crop, Floats


def apply(b_from_a: Floats, points: Floats) -> Floats:
    """Map points from space a to space b.

    Args:
        b_from_a: (...,2,3) affine matrices.
        points: (...,P,2) positions in a.

    Returns:
        (...,P,2) positions in b.

    >>> crop_from_frame = np.array([[0.5, 0.0, -10.0], [0.0, 0.5, -20.0]], np.float32)
    >>> apply(crop_from_frame, np.array([[100.0, 60.0]], np.float32))
    array([[40., 10.]], dtype=float32)
    """
    linear, offset = b_from_a[..., :2], b_from_a[..., 2]
    mapped: Floats = points @ np.swapaxes(linear, -1, -2) + offset[..., None, :]
    return mapped


def invert(b_from_a: Floats) -> Floats:
    """Return a_from_b for (...,2,3) affine matrices."""
    linear = np.linalg.inv(b_from_a[..., :2])
    offset = -linear @ b_from_a[..., 2:]
    return np.concatenate([linear, offset], axis=-1)


def compose(c_from_b: Floats, b_from_a: Floats) -> Floats:
    """Return c_from_a for (...,2,3) affine matrices."""
    linear = c_from_b[..., :2] @ b_from_a[..., :2]
    offset = c_from_b[..., :2] @ b_from_a[..., 2:] + c_from_b[..., 2:]
    return np.concatenate([linear, offset], axis=-1)


def crop_from_square(x: float, y: float, side: float, size: int) -> Floats:
    """Return (2,3) crop_from_frame that maps the square at corner (x, y) onto a crop of `size`."""
    s = size / side
    return np.array([[s, 0.0, -s * x], [0.0, s, -s * y]], np.float32)


def equal_runs(crop: Crop) -> list[slice]:
    """Split a crop into runs of frames that share one similarity, in order.

    What is decided per run, such as a shortcut for squares that stand still, doesn't depend on
    where a window begins or ends.

    >>> still, moved = crop_from_square(0, 0, 8, 8), crop_from_square(1, 0, 8, 8)
    >>> equal_runs(Crop((8, 8), np.stack([still, still, moved])))
    [slice(0, 2, None), slice(2, 3, None)]
    """
    matrices = crop.crop_from_frame
    if len(matrices) == 0:
        return []
    changes = np.flatnonzero((matrices[1:] != matrices[:-1]).any((1, 2))) + 1
    ends = [0, *changes.tolist(), len(matrices)]
    return [slice(start, stop) for start, stop in pairwise(ends)]


def whole_square(crop: Crop, frame_size: tuple[int, int]) -> tuple[int, int, int] | None:
    """Return (x, y, side) where all crops are one upright square on frame pixels, else None."""
    matrices = crop.crop_from_frame
    first = matrices[0]
    if crop.size[0] != crop.size[1] or np.abs(matrices - first).max() > 0 or first[0, 1] != 0:
        return None
    side = crop.size[0] / float(first[0, 0])
    x, y = -float(first[0, 2]) / float(first[0, 0]), -float(first[1, 2]) / float(first[0, 0])
    rounded = (round(x), round(y), round(side))
    if max(abs(x - rounded[0]), abs(y - rounded[1]), abs(side - rounded[2])) > 1e-2:
        return None
    inside = min(rounded[:2]) >= 0 and rounded[0] + rounded[2] <= frame_size[1]
    return rounded if inside and rounded[1] + rounded[2] <= frame_size[0] else None


def rotation_matrix(axis_angle: Floats) -> Floats:
    """Rodrigues' formula: (...,3) axis-angle in radians to (...,3,3) rotation matrices."""
    vector = np.asarray(axis_angle, np.float64)
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    k = np.zeros((*vector.shape[:-1], 3, 3))
    k[..., 0, 1], k[..., 0, 2], k[..., 1, 2] = -vector[..., 2], vector[..., 1], -vector[..., 0]
    k -= np.swapaxes(k, -1, -2)
    # np.sinc keeps both ratios finite at angle zero: sinc(x) = sin(pi x) / (pi x).
    sine = np.sinc(angle / np.pi)
    cosine = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    rotation: Floats = (np.eye(3) + sine * k + cosine * (k @ k)).astype(np.float32)
    return rotation


def axis_angle(rotation: Floats) -> Floats:
    """Inverse of `rotation_matrix` for (...,3,3); angles in [0, pi]."""
    from scipy.spatial.transform import Rotation

    flat = Rotation.from_matrix(np.asarray(rotation, np.float64).reshape(-1, 3, 3)).as_rotvec()
    vector: Floats = flat.reshape(rotation.shape[:-1]).astype(np.float32)
    return vector


def rotation_from_euler(yaw: Floats, pitch: Floats, roll: Floats) -> Floats:
    """Head rotation from angles as a person at a slider thinks of them.

    Convention:
        yaw > 0 turns the face toward image right, pitch > 0 nods down, roll > 0 tilts clockwise in
        the image. R = Rz(roll) Ry(-yaw) Rx(pitch) in camera axes (x right, y down, z forward).

    Args:
        yaw, pitch, roll: (...) radians.

    Returns:
        (...,3,3) rotation matrices.
    """
    zero = np.zeros_like(np.asarray(yaw, np.float32))
    about_x = rotation_matrix(np.stack([zero + pitch, zero, zero], -1))
    about_y = rotation_matrix(np.stack([zero, zero - yaw, zero], -1))
    about_z = rotation_matrix(np.stack([zero, zero, zero + roll], -1))
    rotation: Floats = about_z @ about_y @ about_x
    return rotation


def euler_from_rotation(rotation: Floats) -> tuple[Floats, Floats, Floats]:
    """Return (yaw, pitch, roll), the inverse of `rotation_from_euler` for |yaw| < pi/2."""
    yaw = np.arcsin(np.clip(rotation[..., 2, 0], -1, 1))
    pitch = np.arctan2(rotation[..., 2, 1], rotation[..., 2, 2])
    roll = np.arctan2(rotation[..., 1, 0], rotation[..., 0, 0])
    return yaw, pitch, roll


def gaze_direction(gaze: Floats) -> Floats:
    """Unit vectors in head space of (...,2) gaze angles (yaw, pitch); (0, 0, -1) is ahead."""
    yaw, pitch = gaze[..., 0], gaze[..., 1]
    x, y, z = np.sin(yaw) * np.cos(pitch), np.sin(pitch), -np.cos(yaw) * np.cos(pitch)
    return np.asarray(np.stack([x, y, z], -1), np.float32)
