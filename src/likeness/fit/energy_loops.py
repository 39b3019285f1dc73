"""Derivatives by the unknowns of the fit, chained point by point in compiled loops."""

from __future__ import annotations

from likeness.compiled import njit
from likeness.types import Floats


@njit(nogil=True, fastmath=True)
def chain_to_pose(by_point: Floats, turned: Floats, rows: Floats) -> None:
    """Write derivatives by rotation and translation into the first six columns of `rows`.

    c = exp(omega) R x + t, so dc/domega . e = e x (R x), hence row g gives (R x) x g.

    Args:
        by_point: (n,P,D,3) derivatives by points in the camera.
        turned: (n,P,3) points without translation.
        rows: (n,P*D,K), K at least 6.
    """
    frames, points, many, _ = by_point.shape
    for n in range(frames):
        for p in range(points):
            x, y, z = turned[n, p, 0], turned[n, p, 1], turned[n, p, 2]
            for d in range(many):
                a, b, c = by_point[n, p, d, 0], by_point[n, p, d, 1], by_point[n, p, d, 2]
                row = rows[n, p * many + d]
                row[0], row[1], row[2] = y * c - z * b, z * a - x * c, x * b - y * a
                row[3], row[4], row[5] = a, b, c


@njit(nogil=True, fastmath=True)
def chain_to_modes(
    by_point: Floats, rotation: Floats, modes: Floats, first: int, rows: Floats
) -> None:
    """Write derivatives by the weights of K linear modes of the head: g R m for each row g.

    Args:
        by_point: (n,P,D,3) derivatives by points in the camera.
        rotation: (n,3,3).
        modes: (P,3,K) millimetres.
        first: column of the first mode.
        rows: (n,P*D,at least first + K).
    """
    frames, points, many, _ = by_point.shape
    count = modes.shape[2]
    for n in range(frames):
        r = rotation[n]
        for p in range(points):
            along_x, along_y, along_z = modes[p, 0], modes[p, 1], modes[p, 2]
            for d in range(many):
                a, b, c = by_point[n, p, d, 0], by_point[n, p, d, 1], by_point[n, p, d, 2]
                x = a * r[0, 0] + b * r[1, 0] + c * r[2, 0]
                y = a * r[0, 1] + b * r[1, 1] + c * r[2, 1]
                z = a * r[0, 2] + b * r[1, 2] + c * r[2, 2]
                row = rows[n, p * many + d, first : first + count]
                for k in range(count):
                    row[k] = x * along_x[k] + y * along_y[k] + z * along_z[k]
