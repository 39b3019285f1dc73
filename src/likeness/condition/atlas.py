"""The face unrolled: a picture whose pixels keep their place on the skin whatever the face does.

The portrait's mesh, in one fixed expression, is rolled off a vertical cylinder behind the nose. An
expression with an open mouth gives what is between the lips a place too. Frames are unrolled onto
the atlas and drawn from it again by the same triangles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from likeness.condition.mesh import EYES, PortraitMesh
from likeness.condition.paint import Coverage
from likeness.face3d.raster import interpolate, rasterize
from likeness.types import Floats, Ints

_AXIS = 20.0
"""Millimetres from the head's origin back to the cylinder's axis: just behind the ears' roots."""
_RADIUS = 90.0
"""Millimetres; sets how wide the cheeks are against the nose."""
_MARGIN = 0.02


@dataclass(frozen=True, eq=False)
class Atlas:
    """Where each vertex of a portrait's mesh lies in its unrolled picture."""

    mesh: PortraitMesh
    places: Floats
    """(V,2) texels, corner origin: face, rings, iris centers."""
    coverage: Coverage
    """Which triangle each texel shows."""
    side: int
    scale: float
    """Texels per millimetre on the cylinder."""
    shift: Floats
    """(2,) texels."""

    @staticmethod
    def of(mesh: PortraitMesh, side: int = 256, expression: Floats | None = None) -> Atlas:
        """Unroll the mesh of one person.

        Args:
            mesh: the target's mesh.
            side: texels; the face and its first ring fill them.
            expression: (E,) weights that the face holds while it is unrolled; None is rest.
        """
        model = mesh.model
        weights = np.zeros(len(model.expression), np.float32) if expression is None else expression
        face = model.vertices(mesh.shape, weights[None])[0]
        lids = [face[model.regions[name]].mean(0, keepdims=True) for name in EYES]
        flat = _unroll(np.concatenate([face, mesh.rings, *lids]))
        inner = len(face) + len(model.regions["face_oval"])
        low, high = flat[:inner, :2].min(0), flat[:inner, :2].max(0)
        scale = side * (1 - 2 * _MARGIN) / float((high - low).max())
        shift = side / 2 - scale * (low + high) / 2
        places = np.asarray(flat[:, :2] * scale + shift, np.float32)
        return Atlas(mesh, places, _cover(mesh, places, flat[:, 2], side), side, scale, shift)

    def locate(self, points: Floats) -> Floats:
        """Return (...,2) texels of head-space points (...,3), wherever they have moved."""
        return np.asarray(_unroll(points)[..., :2] * self.scale + self.shift, np.float32)

    def unroll(self, pictures: torch.Tensor, vertices: Floats) -> torch.Tensor:
        """Bring crops onto the atlas.

        Args:
            pictures: (N,C,h,w).
            vertices: (N,V,2) the posed mesh in crop pixels.

        Returns:
            (N,C,side,side); texels outside the mesh are 0.
        """
        found = [
            fetch(picture[None], self.carry(places))
            for picture, places in zip(pictures, vertices, strict=True)
        ]
        inside = torch.from_numpy((self.coverage.ids >= 0).astype(np.float32))
        return torch.cat(found) * inside

    def carry(self, values: Floats) -> Floats:
        """Carry (V,C) values of the vertices to the texels, (side,side,C)."""
        c = self.coverage
        return interpolate(c.ids, c.barycentrics, np.asarray(values), self.mesh.triangles)

    def find(self, coverage: Coverage) -> Floats:
        """Return (h,w,2) texels that the pixels of a drawn mesh show; 0 where it isn't drawn."""
        return interpolate(coverage.ids, coverage.barycentrics, self.places, self.mesh.triangles)


def fetch(pictures: torch.Tensor, places: Floats) -> torch.Tensor:
    """Sample pictures at places.

    Args:
        pictures: (N,C,h,w).
        places: (h',w',2) or (N,h',w',2) positions x y in pixels, corner origin.

    Returns:
        (N,C,h',w') bilinear samples; borders replicated.
    """
    h, w = pictures.shape[-2:]
    unit = torch.from_numpy((places / np.array([w, h]) * 2 - 1).astype(np.float32))
    grid = unit.expand(len(pictures), *unit.shape[-3:])
    return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def box_around(places: Floats, margin: float, side: int, even: int = 4) -> Ints:
    """Return (4,) x0 y0 x1 y1: whole texels around (P,2) places, sides multiples of `even`."""
    low = np.floor(places.min(0) - margin).clip(0, side - even).astype(np.int64)
    size = np.ceil((places.max(0) + margin - low) / even).astype(np.int64) * even
    size = np.minimum(size, (side - low) // even * even)
    return np.concatenate([low, low + size])


def _unroll(points: Floats) -> Floats:
    """(...,3) head space to angle times radius, height and depth from the axis's far side."""
    depth = _AXIS - points[..., 2]
    angle = np.arctan2(points[..., 0], depth)
    distance = np.hypot(points[..., 0], depth)
    return np.stack([_RADIUS * angle, points[..., 1], 1000.0 - distance], -1)


def _cover(mesh: PortraitMesh, places: Floats, depth: Floats, side: int) -> Coverage:
    corners = np.concatenate([places, depth[:, None]], 1).astype(np.float32)
    ids, weights = rasterize(corners, mesh.triangles, (side, side), perspective=False)
    return Coverage(ids, weights, np.where(ids >= 0, mesh.kinds[ids], -1))
