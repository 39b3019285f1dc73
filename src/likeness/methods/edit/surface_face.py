"""The edited face over its clip: where every point of its surface lies in every frame.

Edits are authored once, on the surface, in millimetres of an unrolled mean face. A frame's mesh
stands on the tracked landmarks themselves, which follow the picture more closely than the fitted
face does; the fit gives what landmarks can't: depth, the direction of the surface, and the light.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from likeness.composite.color import LUMA
from likeness.condition.conditioner import select
from likeness.condition.mesh import EYE, EYES, MOUTH, RING, PortraitMesh
from likeness.condition.paint import Coverage, cover
from likeness.face3d.light import harmonics, vertex_normals
from likeness.face3d.model import FaceModel
from likeness.face3d.raster import interpolate
from likeness.types import Crop, Floats, Ints, Shot

_AXIS, _RADIUS = 20.0, 90.0
"""Millimetres: where the cylinder stands off which the mean face is unrolled, and how wide it is.
"""
_REACH = (0.6, 0.42, 0.36)
"""How far a crop goes beyond the face, in face heights: above, beside, below. Hair and neck."""
_STEP = 8
"""Pixels by which a crop's corner moves."""
_MOST = 360.0
"""Height of a face in pixels above which edits are drawn at half the frame's density, and so on."""
_FOLD_SPREAD = 2.0
"""Frames over which weights of expression are smoothed."""
_LIGHT_SPREAD = 6.0
"""Frames over which the fitted light is smoothed: lamps change slowly, and its fit trembles."""


@dataclass(frozen=True, eq=False)
class EditedFace:
    """One person's mesh over a clip of T frames.

    The picture of a frame is a crop on whole frame pixels, at the frame's own density. What is
    drawn into it is drawn at `density` and enlarged.
    """

    shot: Shot
    mesh: PortraitMesh
    crop: Crop
    """T crops of one size, one for each frame of the track."""
    density: float
    """Drawn pixels per frame pixel: 1, 1/2, 1/4, ..."""
    light: Floats
    """(T,9,3) the fitted light, smoothed over time."""
    expression: Floats
    """(T,E) the fitted weights, smoothed over time: what deepens with them must not tremble."""

    @staticmethod
    def of(shot: Shot, model: FaceModel) -> EditedFace:
        """Follow the person of a shot."""
        boxes = shot.track.boxes
        height = float(np.percentile(boxes[:, 3] - boxes[:, 1], 95))
        density = 2.0 ** -max(0, int(np.ceil(np.log2(max(height, 1.0) / _MOST))))
        light = gaussian_filter1d(shot.params.light, _LIGHT_SPREAD, axis=0, mode="nearest")
        return EditedFace(
            shot,
            PortraitMesh.of(model, shot.params.shape),
            _crop(boxes, height, shot.clip.size, round(1 / density)),
            density,
            np.asarray(light, np.float32),
            np.asarray(
                gaussian_filter1d(shot.params.expression, _FOLD_SPREAD, axis=0, mode="nearest"),
                np.float32,
            ),
        )

    @property
    def model(self) -> FaceModel:
        """The face model."""
        return self.mesh.model

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of what is drawn."""
        h, w = self.crop.size
        return round(h * self.density), round(w * self.density)

    @cached_property
    def places(self) -> Floats:
        """(V,2) millimetres on the unrolled mean face: face, rings, iris centers."""
        return unrolled(self.mesh)

    def center(self, row: int) -> tuple[float, float]:
        """(x, y) of the frame's center in drawn pixels of the crop."""
        height, width = self.shot.clip.size
        shift = self.crop.crop_from_frame[row][:, 2]
        return (
            float(width / 2 + shift[0]) * self.density,
            float(height / 2 + shift[1]) * self.density,
        )

    def cut(self, row: int, frame: torch.Tensor) -> torch.Tensor:
        """Cut the crop (3,h,w) of a row of the track out of its frame (3,H,W)."""
        x, y = (-self.crop.crop_from_frame[row][:, 2]).astype(int).tolist()
        height, width = self.crop.size
        return frame[:, y : y + height, x : x + width]

    def pose(self, row: int) -> PosedFace:
        """Put the mesh where the face is in one frame of the track."""
        corner = -self.crop.crop_from_frame[row][:, 2]
        to = np.array([[1, 0, -corner[0]], [0, 1, -corner[1]]], np.float32) * self.density
        params = select(self.shot.params, np.array([row]))
        posed = self.mesh.pose(params, to, self.shot.clip.size)
        vertices = posed.vertices[0].copy()
        known = self.model.landmark_vertices[:468]
        seen = (self.shot.track.landmarks[row, :468, :2] - corner) * self.density
        shift = np.zeros((len(self.model.mean), 2), np.float32)
        shift[known[known >= 0]] = seen[known >= 0] - vertices[known[known >= 0], :2]
        oval = shift[self.model.regions["face_oval"]]
        rings = np.tile(oval, (len(self.mesh.rings) // len(oval), 1))
        lids = np.stack([shift[self.model.regions[name]].mean(0) for name in EYES])
        vertices[:, :2] += np.concatenate([shift, rings, lids])
        focal = params.focal * self.density
        depth = float(np.median(posed.points[0, :, 2]))
        normals = vertex_normals(posed.points[0], self.model.triangles)
        return PosedFace(self, row, vertices, normals, focal / max(depth, 1.0))


@dataclass(frozen=True, eq=False)
class PosedFace:
    """The mesh in one frame, in drawn pixels."""

    face: EditedFace
    row: int
    vertices: Floats
    """(V,3) x y in drawn pixels of the crop, z in millimetres: face, rings, iris centers."""
    normals: Floats
    """(F,3) of the face's vertices, in camera space."""
    scale: float
    """Drawn pixels per millimetre at the face's depth."""

    @cached_property
    def coverage(self) -> Coverage:
        """Which triangle is seen where, at half the drawn density."""
        return self.cover(self.vertices)

    def cover(self, vertices: Floats) -> Coverage:
        """Rasterize the mesh with its vertices elsewhere, at half the drawn density."""
        side = max(self.face.size)
        return cover(self.face.mesh, vertices, side, (side + 1) // 2)

    def carry(self, values: Floats, coverage: Coverage | None = None) -> Floats:
        """Carry (V,C) values to the drawn pixels, (h,w,C); 0 where the mesh is not."""
        there = coverage or self.coverage
        maps = interpolate(there.ids, there.barycentrics, values, self.face.mesh.triangles)
        return self._enlarged(maps)

    @cached_property
    def places(self) -> Floats:
        """(h,w,2) millimetres on the unrolled face that each pixel shows; far away off the mesh."""
        off = self.coverage.ids < 0
        there = self.coverage
        maps = interpolate(
            there.ids, there.barycentrics, self.face.places, self.face.mesh.triangles
        )
        maps[off] = 1e4
        return self._enlarged(maps)

    @cached_property
    def skin(self) -> Floats:
        """(h,w) 1 where the mesh's skin is, 0 between lids and lips and off the face."""
        kinds = self.coverage.kinds
        inside = (kinds >= 0) & (kinds != RING) & (kinds != MOUTH) & (kinds != EYE)
        return self._enlarged(inside.astype(np.float32))

    @cached_property
    def inside(self) -> Floats:
        """(h,w) 1 within the face's outline, eyes and mouth included."""
        kinds = self.coverage.kinds
        return self._enlarged(((kinds >= 0) & (kinds != RING)).astype(np.float32))

    @cached_property
    def slope_light(self) -> Floats:
        """(h,w,2) relative change of the light that falls on skin, per slope along x and along y.

        The derivative of the logarithm of luma's irradiance (Ramamoorthi and Hanrahan 2001) by the
        normal, at each vertex.
        """
        light = (self.face.light[self.row] @ LUMA).astype(np.float32)
        step = 0.25
        levels = []
        for way in ((0.0, 0.0), (step, 0.0), (0.0, step)):
            tilted = self.normals + np.array([*way, 0.0], np.float32)
            tilted /= np.linalg.norm(tilted, axis=1, keepdims=True)
            levels.append(harmonics(tilted) @ light)
        least = max(0.15 * float(np.median(levels[0])), 1e-3)
        base = np.maximum(levels[0], least)
        change = np.stack([(levels[1] - base) / step, (levels[2] - base) / step], 1) / base[:, None]
        rest = np.zeros((len(self.vertices) - len(change), 2), np.float32)
        return self.carry(np.concatenate([change.astype(np.float32), rest]))

    @cached_property
    def facing(self) -> Floats:
        """(h,w) cosine between skin and line of sight on the face; 0 elsewhere."""
        cosine = np.clip(-self.normals[:, 2:], 0, 1)
        rest = np.zeros((len(self.vertices) - len(cosine), 1), np.float32)
        return self.carry(np.concatenate([cosine, rest]))[..., 0]

    def _enlarged(self, maps: Floats) -> Floats:
        import cv2

        h, w = self.face.size
        side = max(h, w)
        doubled = ((side + 1) // 2) * 2
        large = cv2.resize(maps, (doubled, doubled), interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(large[:h, :w].reshape(h, w, *maps.shape[2:]), np.float32)


def unrolled(mesh: PortraitMesh) -> Floats:
    """(V,2) millimetres: the mean face rolled off a cylinder, rings beyond it as they grow."""
    model = mesh.model
    depth = _AXIS - model.mean[:, 2]
    flat = np.stack([_RADIUS * np.arctan2(model.mean[:, 0], depth), model.mean[:, 1]], 1)
    oval = model.regions["face_oval"]
    still = mesh.model.neutral(mesh.shape)[oval]
    center, middle = flat[oval].mean(0), still.mean(0)
    rings = mesh.rings.reshape(-1, len(oval), 3)
    # A ring grows on the flat face as much as it does on the head.
    reach = np.linalg.norm((still - middle)[:, :2], axis=1)
    grown = np.linalg.norm((rings - middle)[..., :2], axis=2) / reach
    around = center + (flat[oval] - center) * grown[..., None]
    lids = np.stack([flat[model.regions[name]].mean(0) for name in EYES])
    return np.asarray(np.concatenate([flat, around.reshape(-1, 2), lids]), np.float32)


def _crop(boxes: Floats, height: float, size: tuple[int, int], block: int) -> Crop:
    above, beside, below = (reach * height for reach in _REACH)
    width = float(np.percentile(boxes[:, 2] - boxes[:, 0], 95))
    wanted = np.array([height + above + below, width + 2 * beside])
    step = _STEP * block
    # Whole blocks, and never more than the frame has.
    limit = np.array(size) // block * block
    side: Ints = np.minimum(np.ceil(wanted / step).astype(np.int64) * step, limit)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    middle[:, 1] += (below - above) / 2
    corner = np.round((middle - side[::-1] / 2) / step) * step
    corner = np.clip(corner, 0, (limit - side)[::-1] // block * block)
    crop_from_frame = np.zeros((len(boxes), 2, 3), np.float32)
    crop_from_frame[:, 0, 0] = crop_from_frame[:, 1, 1] = 1
    crop_from_frame[:, :, 2] = -corner
    return Crop((int(side[0]), int(side[1])), crop_from_frame)
