"""Guide images: the modified face drawn on the target (Deep Video Portraits, section 5.1).

Nine channels in [0,1] on black: a color render under the target's light, a correspondence image
that gives each point of the face its own fixed color, and a gaze image with the white of the eyes
and blue pupils. The same params give the same pixels, always.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness.condition.mesh import EYE, MOUTH, RING, PortraitMesh, PosedMesh, with_eyes
from likeness.face3d.light import shade, vertex_normals
from likeness.face3d.raster import Ids, interpolate, rasterize
from likeness.types import Floats, Ints

GUIDE_NAMES = (
    "color_r",
    "color_g",
    "color_b",
    "correspondence_x",
    "correspondence_y",
    "correspondence_z",
    "gaze_white",
    "gaze_mouth",
    "gaze_iris",
)


@dataclass(frozen=True, eq=False)
class Coverage:
    """Which triangle of the portrait mesh each pixel shows."""

    ids: Ids
    """(h,w) triangle or -1."""
    barycentrics: Floats
    """(h,w,3)."""
    kinds: Ints
    """(h,w) kind of the triangle, -1 outside the mesh."""


def cover(mesh: PortraitMesh, vertices: Floats, size: int, resolution: int) -> Coverage:
    """Rasterize one posed mesh (V,3), given in pixels of a crop of `size`, at `resolution`."""
    scale = np.array([resolution / size, resolution / size, 1], np.float32)
    ids, weights = rasterize(vertices * scale, mesh.triangles, (resolution, resolution))
    return Coverage(ids, weights, np.where(ids >= 0, mesh.kinds[ids], -1))


def correspondence_colors(mesh: PortraitMesh) -> Floats:
    """Return (V,3): the mean face's coordinates, each axis stretched to [0,1]; rings are black."""
    mean = mesh.model.mean
    colors = (mean - mean.min(0)) / np.ptp(mean, axis=0)
    return with_eyes(colors, mesh, 0)


def lit_colors(mesh: PortraitMesh, posed: PosedMesh, skin: Floats, light: Floats) -> Floats:
    """Return (N,V,3) vertex colors: skin, (V,3) albedo, under (9,3) light; rings are black."""
    normals = vertex_normals(posed.points, mesh.model.triangles)
    colors = np.clip(shade(skin, normals, light), 0, 1)
    return with_eyes(colors, mesh, 0)


def paint(
    mesh: PortraitMesh,
    posed: PosedMesh,
    colors: Floats,
    size: int,
    resolution: int,
) -> tuple[Floats, list[Coverage]]:
    """Paint the nine guides of N frames.

    Args:
        mesh: the target's mesh.
        posed: what it does in N frames.
        colors: (N,V,3) from `lit_colors`.
        size: side of the crop that `posed` is given in.
        resolution: side of the guides in pixels.

    Returns:
        (N,9,resolution,resolution) guides in [0,1], channels as GUIDE_NAMES, and the N coverages
        they were painted from.
    """
    guides = np.zeros((len(colors), 9, resolution, resolution), np.float32)
    coverages = []
    fixed = correspondence_colors(mesh)
    for n, vertices in enumerate(posed.vertices):
        coverage = cover(mesh, vertices, size, resolution)
        attributes = np.concatenate([colors[n], fixed], 1)
        face = interpolate(coverage.ids, coverage.barycentrics, attributes, mesh.triangles)
        face[(coverage.kinds < 0) | (coverage.kinds == RING)] = 0
        guides[n, :6] = face.transpose(2, 0, 1)
        guides[n, 6:] = _gaze_image(coverage, posed.irises[n] * (resolution / size))
        coverages.append(coverage)
    return guides, coverages


def _gaze_image(coverage: Coverage, irises: Floats) -> Floats:
    """White of the eyes, mouth opening and irises; a closed lid leaves no room for an iris."""
    resolution = len(coverage.ids)
    eye = (coverage.kinds == EYE).astype(np.float32)
    mouth = (coverage.kinds == MOUTH).astype(np.float32)
    ys, xs = np.mgrid[:resolution, :resolution].astype(np.float32) + 0.5
    iris = np.zeros_like(eye)
    for center, *rim in irises:
        radius = float(np.linalg.norm(np.array(rim) - center, axis=1).mean())
        distance = np.hypot(xs - center[0], ys - center[1])
        iris = np.maximum(iris, np.clip(radius - distance + 0.5, 0, 1))
    return np.stack([eye, mouth, iris * eye])
