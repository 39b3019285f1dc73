"""The face as triangles over a picture: what the classical swaps move from photos to frames.

Skin carries the source's picture; what shows between lids and lips is the target's own. Vertices
are the face model's, a ring around them over which skin fades out toward the hairline, and the
centers of the two irises. Where the model has a vertex for a landmark, it stands where the tracker
saw it; depth and normals come from the fitted face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness import geometry
from likeness.condition.mesh import EYE, EYES, MOUTH, SKIN
from likeness.face3d.camera import camera_points, pixels
from likeness.face3d.light import vertex_normals
from likeness.face3d.model import FaceModel
from likeness.face3d.raster import Ids, interpolate, rasterize
from likeness.types import FaceParams, Floats, Ints

IRISES = (468, 473)
"""Landmarks of the iris centers in the order of FaceParams.gaze."""
_LASHES = 0.04
"""How far the upper lids are drawn over the eye, in eye widths: lashes belong to the lid."""
_TEETH = 0.012
"""How far open lips are drawn apart, in mouth widths: the tracker's line cuts through the teeth,
and their slivers would stick to the lips."""
_PARTED = (0.02, 0.08)
"""Distances of the inner lips, in mouth widths, from which on they begin to be open, and are."""

_BESIDE, _ABOVE = 0.06, 0.35
"""How far the ring lies beyond the outline, in units of the way from the face's middle."""
_BEHIND = 12.0
"""Millimetres that the ring lies behind the outline."""
_EDGE = (0.03, 0.22)
"""Cosines between skin and line of sight at which a drawn face fades out."""


@dataclass(frozen=True, eq=False)
class SeenFace:
    """A face as one picture shows it; V vertices: F of the face model, O of the ring, 2 irises."""

    places: Floats
    """(V,2) pixels."""
    depth: Floats
    """(V,) millimetres from the camera."""
    normals: Floats
    """(F,3) unit normals in camera axes."""

    @property
    def facing(self) -> Floats:
        """(F,) cosine between skin and line of sight, 0 where it is turned away."""
        return np.asarray(np.clip(-self.normals[:, 2], 0, 1), np.float32)


@dataclass(frozen=True, eq=False)
class Cover:
    """Which triangle each pixel of a box shows."""

    box: tuple[slice, slice]
    """Rows and columns of the picture."""
    ids: Ids
    """(h,w) triangle or -1."""
    weights: Floats
    """(h,w,3) barycentrics."""
    kinds: Ints
    """(h,w) int8 SKIN, MOUTH or EYE, -1 outside the face."""


@dataclass(frozen=True, eq=False)
class FaceSurface:
    """The triangles of a face model, with eye openings and mouth closed."""

    model: FaceModel
    triangles: Ints
    kinds: Ints
    """(triangles,) int8 SKIN, MOUTH or EYE."""

    @staticmethod
    def of(model: FaceModel) -> FaceSurface:
        """Close a face model's openings: eyes are fans around their irises."""
        oval = model.regions["face_oval"]
        outer = len(model.mean) + np.arange(len(oval))
        following, beyond = np.roll(oval, -1), np.roll(outer, -1)
        ring = [np.stack([oval, following, outer], 1), np.stack([following, beyond, outer], 1)]
        fans = []
        for eye, name in enumerate(EYES):
            lids = model.regions[name]
            center = np.full(len(lids), len(model.mean) + len(oval) + eye)
            fans.append(np.stack([lids, np.roll(lids, -1), center], 1))
        parts = [(model.triangles, SKIN), (model.mouth_triangles, MOUTH)]
        parts += [(np.concatenate(fans), EYE), (np.concatenate(ring), SKIN)]
        kinds = np.concatenate([np.full(len(part), kind, np.int8) for part, kind in parts])
        triangles = np.concatenate([part for part, _ in parts]).astype(np.int64)
        return FaceSurface(model, triangles, kinds)

    def seen(
        self,
        landmarks: Floats,
        params: FaceParams,
        size: tuple[int, int],
        picture_from_frame: Floats,
    ) -> SeenFace:
        """Lay the surface over a picture of a face.

        Args:
            landmarks: (478,>=2) pixels of the picture.
            params: one frame.
            size: (H, W) of the frame that the camera of `params` sees.
            picture_from_frame: (2,3), for vertices without a landmark.
        """
        model = self.model
        head = model.vertices(params.shape, params.expression)
        points = camera_points(head, params.rotation, params.translation)
        known = np.flatnonzero(model.landmark_vertices[: IRISES[0]] >= 0)
        if len(known) < len(model.mean):
            flat = pixels(points, params.focal, size)[0, :, :2]
            places = geometry.apply(picture_from_frame, flat)
        else:
            places = np.zeros((len(model.mean), 2), np.float32)
        places[model.landmark_vertices[known]] = landmarks[known, :2]
        normals = vertex_normals(points, model.triangles)[0]
        return self.closed(self.opened(places), landmarks[list(IRISES), :2], points[0], normals)

    def closed(self, places: Floats, irises: Floats, points: Floats, normals: Floats) -> SeenFace:
        """Join a face's vertices, (F,2) in pixels and (F,3) in space, and its irises (2,2)."""
        lids = [points[self.model.regions[name], 2].mean() for name in EYES]
        oval = self.model.regions["face_oval"]
        outline = places[oval]
        offset = outline - outline.mean(0)
        up = outline[0] - outline[len(outline) // 2]
        height = max(float(np.linalg.norm(up)), 1e-3)
        above = np.clip(offset @ up / (0.5 * height**2), 0, 1)[:, None]
        ring = outline + offset * (_BESIDE + (_ABOVE - _BESIDE) * above)
        return SeenFace(
            np.concatenate([places, ring, irises]).astype(np.float32),
            np.concatenate([points[:, 2], points[oval, 2] + _BEHIND, lids]).astype(np.float32),
            normals,
        )

    def opened(self, places: Floats) -> Floats:
        """Draw upper lids below their lashes and open lips off the teeth, in (F,2) pixels.

        Both are steady in time: what they do grows from nothing with the opening.
        """
        regions, moved = self.model.regions, places.astype(np.float32).copy()
        for name in ("right", "left"):
            corners = places[regions[f"{name}_eye_corners"]]
            width = float(np.linalg.norm(corners[1] - corners[0]))
            upper, lower = regions[f"{name}_lid_upper"], regions[f"{name}_lid_lower"]
            gap = places[lower] - places[upper]
            length = np.linalg.norm(gap, axis=1, keepdims=True)
            moved[upper] += gap * np.minimum(_LASHES * width, length / 4) / (length + 1e-6)
        corners = places[regions["mouth_corners"]]
        width = max(float(np.linalg.norm(corners[1] - corners[0])), 1e-3)
        upper, lower = regions["lip_upper_inner"], regions["lip_lower_inner"]
        gap = places[lower] - places[upper]
        length = np.linalg.norm(gap, axis=1, keepdims=True)
        low, high = _PARTED
        share = min(max((float(length.max()) / width - low) / (high - low), 0.0), 1.0)
        step = share * max(0.7, _TEETH * width) * gap / np.maximum(length, 1e-3)
        moved[upper] -= step
        moved[lower] += step
        return moved

    def cover(self, face: SeenFace, size: tuple[int, int]) -> Cover | None:
        """Find which triangle each pixel of a picture of `size` (h, w) shows, in the face's box.

        Nearer skin hides what lies behind it. None where the face is outside the picture.
        """
        height, width = size
        low = np.floor(face.places.min(0) - 3).astype(int).clip(0)
        high = np.ceil(face.places.max(0) + 3).astype(int).clip(None, [width, height])
        if (high <= low).any() or not np.isfinite(face.places).all():
            return None
        corners = np.concatenate([face.places - low, face.depth[:, None]], 1).astype(np.float32)
        extent = (int(high[1] - low[1]), int(high[0] - low[0]))
        ids, weights = rasterize(corners, self.triangles, extent, perspective=False)
        kinds = np.append(self.kinds, np.int8(-1))[ids]
        box = (slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])))
        return Cover(box, ids, weights, kinds)

    def carry(self, cover: Cover, values: Floats) -> Floats:
        """Carry (V,C) values of the vertices to the pixels of a box, (h,w,C)."""
        return interpolate(cover.ids, cover.weights, values, self.triangles)

    def edge(self, face: SeenFace) -> Floats:
        """(F,) in [0,1]: 0 where the outline turns away and a pixel of error would show the wall.

        Nose, mouth and lids turn away, too, but before the face itself.
        """
        low, high = _EDGE
        edge = np.clip((face.facing - low) / (high - low), 0, 1)
        for name in ("nose", "mouth", "eyes"):
            edge[self.model.regions[name]] = 1
        return np.asarray(edge, np.float32)

    def spread(self, face: Floats, fading: int = 0) -> Floats:
        """Extend (F,C) values of the face's vertices to all, (V,C).

        The ring takes those of the outline beside it, but the last `fading` columns are 0 there;
        an iris takes the mean of its lids.
        """
        ring = face[self.model.regions["face_oval"]]
        ring[:, ring.shape[1] - fading :] = 0
        lids = [face[self.model.regions[name]].mean(0, keepdims=True) for name in EYES]
        return np.concatenate([face, ring, *lids], dtype=np.float32)

    def mirrored(self) -> Ints:
        """(V,): for each vertex, the one on the other side."""
        twin, oval = self.model.regions["twin"], self.model.regions["face_oval"]
        count, ring = len(twin), len(oval)
        order = [count + int(np.flatnonzero(oval == twin[v])[0]) for v in oval]
        return np.concatenate([twin, order, [count + ring + 1, count + ring]]).astype(np.int64)


def read(picture: Floats, places: Floats, cubic: bool = False) -> Floats:
    """Read a picture (H,W,C) at (h,w,2) places, corner origin; its border goes on outside."""
    import cv2

    x = np.ascontiguousarray(places[..., 0]) - np.float32(0.5)
    y = np.ascontiguousarray(places[..., 1]) - np.float32(0.5)
    how = cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR
    found = cv2.remap(picture, x, y, how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32).reshape(*x.shape, picture.shape[2])
