"""Where in a keyframe each pixel of the wanted face is found.

The mesh of the wanted face is drawn, and each vertex carries the way to its own place in the
keyframe; between vertices the way is interpolated. Sampling the keyframe there warps it onto the
wanted face. Alongside goes how well the keyframe's camera saw each place: a cheek that was turned
away is stretched from few pixels and should count little.
"""

from __future__ import annotations

import numpy as np

from likeness.condition.mesh import PortraitMesh, PosedMesh, with_eyes
from likeness.condition.paint import Coverage
from likeness.face3d.light import vertex_normals
from likeness.face3d.raster import interpolate
from likeness.types import Floats


def facing(mesh: PortraitMesh, posed: PosedMesh) -> Floats:
    """Return (N,V): cosine between surface and line of sight, in [0,1]; 1 on the rings."""
    normals = vertex_normals(posed.points, mesh.model.triangles)
    cosine = np.clip(-normals[..., 2], 0, 1)[..., None]
    return with_eyes(cosine, mesh, 1)[..., 0]


def displacements(
    mesh: PortraitMesh,
    coverage: Coverage,
    wanted: Floats,
    keyframes: Floats,
    visibility: Floats,
    size: int,
) -> tuple[Floats, Floats]:
    """Find the way from a wanted face to K keyframes.

    Args:
        mesh: the target's mesh.
        coverage: the wanted face, rasterized at some resolution.
        wanted: (V,2) crop pixels of the wanted vertices.
        keyframes: (K,V,2) crop pixels of the same vertices in the keyframes.
        visibility: (K,V) how well each keyframe saw each vertex, from `facing`.
        size: side of the crop.

    Returns:
        flow (K,2,r,r): crop pixels to add to a pixel's position, zero away from the head;
        valid (K,1,r,r) in [0,1], zero where the way leads out of the keyframe.
    """
    k, resolution = len(keyframes), len(coverage.ids)
    flow = keyframes - wanted
    attributes = np.concatenate([flow, visibility[..., None]], -1).transpose(1, 0, 2)
    drawn = interpolate(
        coverage.ids, coverage.barycentrics, attributes.reshape(len(wanted), -1), mesh.triangles
    )
    maps = drawn.reshape(resolution, resolution, k, 3).transpose(2, 3, 0, 1)
    flow, valid = maps[:, :2], maps[:, 2:].copy()
    valid[:, :, coverage.ids < 0] = 1
    centers = (np.arange(resolution, dtype=np.float32) + 0.5) * (size / resolution)
    x, y = flow[:, 0] + centers[None, None, :], flow[:, 1] + centers[None, :, None]
    inside = (x > 0) & (x < size) & (y > 0) & (y < size)
    return np.ascontiguousarray(flow), valid * inside[:, None]
