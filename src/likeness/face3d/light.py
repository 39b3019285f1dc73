"""Distant light in nine spherical harmonics, and the surface normals it falls on.

Follows Ramamoorthi and Hanrahan (2001): Lambertian shading is the albedo times a quadratic form of
the normal; the constants are those of the AudioDVP / Deep3DFaceRecon family, without their offset.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likeness.compiled import njit
from likeness.types import Bools, Floats, Ints

_A0 = float(np.sqrt(np.pi) / 2)
_A1 = float(np.sqrt(np.pi))
_A2 = 2.427032


def harmonics(normals: Floats) -> Floats:
    """Evaluate the nine basis functions.

    Args:
        normals: (...,3) unit vectors in camera axes (x right, y down, z forward); a surface that
            faces the camera has (0, 0, -1).

    Returns:
        (...,9): 1 constant, 3 linear (-y, z, -x), 5 quadratic (xy, -yz, 3zz-1, -xz, xx-yy), scaled.
    """
    x, y, z = normals[..., 0], normals[..., 1], normals[..., 2]
    basis = [
        np.full_like(x, _A0),
        -_A1 * y,
        _A1 * z,
        -_A1 * x,
        _A2 * x * y,
        -_A2 * y * z,
        _A2 * 0.288675 * (3 * z * z - 1),
        -_A2 * x * z,
        _A2 * 0.5 * (x * x - y * y),
    ]
    return np.asarray(np.stack(basis, -1), np.float32)


def vertex_normals(vertices: Floats, triangles: Ints) -> Floats:
    """Return area-weighted unit normals.

    Args:
        vertices: (...,V,3).
        triangles: (F,3), counterclockwise seen from outside.

    Returns:
        (...,V,3) pointing outward; (0, 0, -1) at vertices that no triangle uses.
    """
    a, b, c = (vertices[..., triangles[:, k], :] for k in range(3))
    face = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices, dtype=np.float64)
    faces = np.ascontiguousarray(face.reshape(-1, len(triangles), 3))
    _gather(faces, np.asarray(triangles, np.int64), normals.reshape(-1, *vertices.shape[-2:]))
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    unit = np.where(length > 1e-12, normals / np.maximum(length, 1e-12), [0.0, 0.0, -1.0])
    return np.asarray(unit, np.float32)


@njit(nogil=True)
def _gather(faces: Floats, triangles: Ints, normals: NDArray[np.float64]) -> None:
    """Add the vector (N,F,3) of each triangle to the sums (N,V,3) at its corners."""
    for n in range(len(faces)):
        for f in range(len(triangles)):
            for corner in triangles[f]:
                for axis in range(3):
                    normals[n, corner, axis] += faces[n, f, axis]


def irradiance(normals: Floats, light: Floats) -> Floats:
    """Return (...,3) shading for (...,3) normals under (9,3) light, not below zero."""
    return np.maximum(harmonics(normals) @ light, 0.0).astype(np.float32)


def shade(albedo: Floats, normals: Floats, light: Floats) -> Floats:
    """Light a surface: albedo times irradiance (Deep Video Portraits, section 4).

    Args:
        albedo: (V,3) or (N,V,3) RGB in [0,1].
        normals: (V,3) or (N,V,3) unit normals in camera axes.
        light: (9,3) or (N,9,3).

    Returns:
        (V,3) or (N,V,3) RGB, not clipped above.
    """
    return np.asarray(albedo * irradiance(normals, light), np.float32)


def solve_light(
    colors: Floats,
    albedo: Floats,
    normals: Floats,
    visible: Bools,
    rounds: int = 4,
    ridge: float = 1e-3,
) -> Floats:
    """Find the light that explains the colors seen at vertices.

    Robust linear least squares per channel: iteratively reweighted with Cauchy weights whose scale
    is the median residual, so that hair, glasses and highlights count little.

    Args:
        colors: (V,3) RGB seen.
        albedo: (V,3) RGB.
        normals: (V,3) camera-space unit normals.
        visible: (V,) vertices to use.
        rounds: reweighting rounds, 1 is plain least squares.
        ridge: pull of the non-constant coefficients to zero, relative to the data.

    Returns:
        (9,3) coefficients; ambient light of the mean ratio where fewer than 9 vertices are visible.
    """
    used = visible & np.all(np.isfinite(colors), axis=-1)
    ambient = np.zeros((9, 3), np.float32)
    if int(used.sum()) < 9:
        ambient[0] = 1.0 / _A0
        return ambient
    seen, reflect = colors[used].astype(np.float64), albedo[used].astype(np.float64)
    basis = harmonics(normals[used]).astype(np.float64)
    pull = np.diag([1e-9] + [ridge * len(seen) * float(np.mean(reflect**2))] * 8)
    weight = np.ones(len(seen))
    light = np.zeros((9, 3))
    for _ in range(max(rounds, 1)):
        for channel in range(3):
            rows = basis * reflect[:, channel : channel + 1]
            scaled = rows * weight[:, None]
            light[:, channel] = np.linalg.solve(scaled.T @ rows + pull, scaled.T @ seen[:, channel])
        residual = np.linalg.norm(seen - reflect * (basis @ light), axis=-1)
        scale = 2.0 * max(float(np.median(residual)), 1e-4)
        weight = 1.0 / (1.0 + (residual / scale) ** 2)
    return light.astype(np.float32)
