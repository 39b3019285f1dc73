"""The portrait's mesh: the face model, closed, and surrounded by rings that carry hair and neck.

The face model ends at the oval. What lies around it moves too, but less and less: three rings of
vertices continue the oval outward. The first turns with the head, the second follows it partly
(hair does, the neck hardly), the third never moves. Triangles between them make every motion of the
face fade to nothing, continuously, so that the background stays still.

Each eye opening is a fan around the center of its iris, so that what is seen in the eye goes where
the gaze goes, not only where the lids go.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from likeness import geometry
from likeness.face3d.camera import camera_points, pixels
from likeness.face3d.model import FaceModel
from likeness.types import FaceParams, Floats, Ints, check

SKIN, MOUTH, EYE, RING = 0, 1, 2, 3
EYES = ("right_eye", "left_eye")
"""Lid contours in the order of FaceParams.gaze."""

_RINGS = (
    # growth of the oval, how much of the head's motion the ring follows above / below, depth
    (1.25, 1.0, 0.9, 0.12),
    (1.70, 0.9, 0.35, 0.20),
    (2.60, 0.0, 0.0, 0.25),
)


@dataclass(frozen=True, eq=False)
class PosedMesh:
    """A mesh as N frames show it, in crop pixels."""

    vertices: Floats
    """(N,V,3) x y in crop pixels, z depth in millimetres: face, rings, iris centers."""
    points: Floats
    """(N,F,3) the face model's vertices in camera space, millimetres."""
    irises: Floats
    """(N,2,5,2) per eye the center and four rim points in crop pixels."""


@dataclass(frozen=True, eq=False)
class PortraitMesh:
    """One person's mesh: triangles, and what has to be known to pose it."""

    model: FaceModel
    shape: Floats
    """(S,) identity coefficients."""
    rings: Floats
    """(R,3) ring vertices in head space, millimetres."""
    follow: Floats
    """(R,) share of the head's motion that each ring vertex takes part in."""
    rest: Floats
    """(R,2) crop pixels where the ring vertices stand on average over the target's clip."""
    triangles: Ints
    """(F,3) skin, then mouth, eyes and rings."""
    kinds: Ints
    """(F,) SKIN, MOUTH, EYE or RING."""

    @cached_property
    def still(self) -> Floats:
        """(V,3) the face at rest, millimetres."""
        return self.model.neutral(self.shape)

    @property
    def head(self) -> slice:
        """The vertices of the first ring: the head's outline with its hair, without the rest."""
        first = len(self.model.mean)
        return slice(first, first + len(self.model.regions["face_oval"]))

    @staticmethod
    def of(model: FaceModel, shape: Floats, rest: Floats | None = None) -> PortraitMesh:
        """Build the mesh of one person; without `rest` the rings follow the head wholly."""
        oval = model.regions["face_oval"]
        outline = model.neutral(shape)[oval]
        center = outline.mean(0)
        offset = outline - center
        height = offset[:, 1] / np.abs(offset[:, 1]).max()
        above, below = np.clip(-height, 0, 1), np.clip(height, 0, 1)
        width = float(np.ptp(outline[:, 0]))
        rings, follow = [], []
        for growth, top, bottom, depth in _RINGS:
            # Hair rises higher over the forehead than flesh hangs under the chin.
            ring = center + offset * (growth * (1 + 0.15 * above))[:, None]
            ring[:, 2] += depth * width
            rings.append(ring)
            follow.append(top + (bottom - top) * below)
        stacked = np.concatenate(rings).astype(np.float32)
        parts = [
            (model.triangles, SKIN),
            (model.mouth_triangles, MOUTH),
            (_eye_fans(model, len(model.mean) + len(stacked)), EYE),
            (_ring_triangles(oval, len(model.mean), len(_RINGS)), RING),
        ]
        kinds = np.concatenate([np.full(len(part), kind, np.int64) for part, kind in parts])
        # A first guess keeps the rings on the head until a clip's average is known.
        share = np.concatenate(follow).astype(np.float32)
        if rest is None:
            rest, share = np.zeros((len(stacked), 2), np.float32), np.ones_like(share)
        check(rest.shape == (len(stacked), 2), f"rest has shape {rest.shape}")
        triangles = np.concatenate([part for part, _ in parts]).astype(np.int64)
        return PortraitMesh(model, shape, stacked, share, rest, triangles, kinds)

    @staticmethod
    def fitted(
        model: FaceModel, params: FaceParams, crop: Floats, size: tuple[int, int]
    ) -> PortraitMesh:
        """Build the mesh of the person in `params`, its rings at rest where they are on average.

        Args:
            model: the face model that params belong to.
            params: the target's clip.
            crop: (2,3) crop_from_frame.
            size: (H, W) of the frames.
        """
        loose = PortraitMesh.of(model, params.shape)
        posed = loose.pose(params, crop, size)
        rest = posed.vertices[:, len(model.mean) : -2, :2].mean(0)
        return PortraitMesh.of(model, params.shape, rest)

    def pose(self, params: FaceParams, crop: Floats, size: tuple[int, int]) -> PosedMesh:
        """Project the mesh of this person, doing what `params` say.

        Args:
            params: N frames; only expression, rotation, translation, gaze and focal are read.
            crop: (2,3) crop_from_frame.
            size: (H, W) of the frames that the camera of `params` sees.
        """
        n, face = len(params), len(self.model.mean)
        # Frame by frame: a matrix product over frames rounds differently with their number, and
        # the same params have to give the same pixels in any window.
        moved = [self.model.moved(row[None]) for row in params.expression]
        head = self.still + np.concatenate(moved)
        rings = np.broadcast_to(self.rings, (n, *self.rings.shape))
        irises = self.model.irises(self.shape, params.gaze)
        everything = np.concatenate([head, rings, irises], 1)
        points = camera_points(everything, params.rotation, params.translation)
        image = pixels(points, params.focal, size)
        xy = geometry.apply(crop, image[..., :2])
        last = face + len(self.rings)
        follow = self.follow[:, None]
        xy[:, face:last] = self.rest + follow * (xy[:, face:last] - self.rest)
        projected = np.concatenate([xy, points[..., 2:]], -1)
        centers = projected[:, [last, last + 5]]
        vertices = np.concatenate([projected[:, :last], centers], 1)
        eyes = xy[:, last:].reshape(n, 2, 5, 2)
        return PosedMesh(
            np.ascontiguousarray(vertices, np.float32),
            points[:, :face],
            np.ascontiguousarray(eyes, np.float32),
        )


def _eye_fans(model: FaceModel, first: int) -> Ints:
    triangles = []
    for eye, region in enumerate(EYES):
        contour = model.regions[region]
        following = np.roll(contour, -1)
        center = np.full(len(contour), first + eye)
        triangles.append(np.stack([contour, following, center], 1))
    return np.concatenate(triangles)


def with_eyes(face: Floats, mesh: PortraitMesh, ring: float) -> Floats:
    """Extend (...,F,C) values of the face's vertices to the whole mesh.

    Rings get the value `ring`, iris centers the mean of the lids around them.
    """
    shape = (*face.shape[:-2], len(mesh.rings), face.shape[-1])
    lids = [face[..., mesh.model.regions[name], :].mean(-2, keepdims=True) for name in EYES]
    return np.concatenate([face, np.full(shape, ring, np.float32), *lids], -2, dtype=np.float32)


def _ring_triangles(oval: Ints, first: int, rings: int) -> Ints:
    count = len(oval)
    triangles = []
    for ring in range(rings):
        inner = oval if ring == 0 else first + (ring - 1) * count + np.arange(count)
        outer = first + ring * count + np.arange(count)
        for a in range(count):
            b = (a + 1) % count
            triangles.append((inner[a], inner[b], outer[a]))
            triangles.append((inner[b], outer[b], outer[a]))
    return np.array(triangles, np.int64)
