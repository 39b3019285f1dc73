"""The mesh that bends a photo: the face, and rings around it over which all motion fades.

The paper gives each pixel the warp's confidence, one on the face and falling to nothing with the
distance to the head: x' = x + c(x) D(x). Here c is a share per ring vertex: one around skull and
hair, falling over the neck to nothing at the shoulders and at the photo's border. D continues the
head's rigid motion outward, at the depth where hair and ears are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness.face3d.model import FaceModel
from likeness.face3d.raster import Ids, interpolate, rasterize
from likeness.geometry import rotation_matrix
from likeness.methods.photo.motion import Head, Motion, Posed
from likeness.types import Floats, Ints

SKIN, MOUTH, EYES, RING = 0, 1, 2, 3
_RINGS = (
    # growth of the oval, share of a chin's motion, depth behind the oval in face widths
    (1.12, 0.8, 0.06),
    (1.35, 0.45, 0.16),
    (1.70, 0.15, 0.28),
    (2.20, 0.0, 0.32),
    (3.20, 0.0, 0.32),
)
_NECK = (0.05, 0.75)
"""The head's motion is whole above and gone below these distances under the chin, face heights."""
_BORDER = 0.10
"""The same from the photo's border inward, face heights."""


@dataclass(frozen=True, eq=False)
class PhotoMesh:
    """Triangles over the photo; vertices are the face's, then the rings'."""

    head: Head
    triangles: Ints
    kinds: Ints
    """(F,) SKIN, MOUTH, EYES or RING."""
    rest: Floats
    """(R,2) where the ring vertices stand in the photo, output pixels."""
    lifted: Floats
    """(R,3) the same in head space, millimetres."""
    follow: Floats
    """(R,) share of the head's motion."""
    carry: Floats
    """(R,) share of the motion that expression gives to the oval beside it."""
    size: tuple[int, int]
    """(h, w) of the output."""

    @staticmethod
    def around(head: Head, size: tuple[int, int]) -> PhotoMesh:
        """Surround a head with rings in a picture of `size` (h, w)."""
        model = head.model
        oval = model.regions["face_oval"]
        face = head.at_rest(head.vertices)
        outline, depth = face[oval, :2], face[oval, 2]
        center = outline.mean(0)
        top, chin = face[oval[0], :2], face[oval[len(oval) // 2], :2]
        height = float(np.linalg.norm(chin - top))
        down = (chin - top) / max(height, 1e-3)
        offset = outline - center
        above = np.clip(-(offset @ down) / (0.5 * height), 0, 1)[:, None]
        width = float(np.ptp(head.vertices[oval, 0]))
        rest, carry, depths = [], [], []
        for growth, share, behind in _RINGS:
            # Hair rises higher over the forehead than it stands off the temples.
            rest.append(center + offset * (1 + (growth - 1) * (1 + 0.35 * above)))
            carry.append(np.full(len(oval), share))
            depths.append(depth + behind * width)
        places = np.concatenate(rest).astype(np.float32)
        triangles, kinds = _closed(model, oval)
        return PhotoMesh(
            head,
            triangles,
            kinds,
            places,
            _lift(head, places, np.concatenate(depths)),
            _confidence(places, chin, down, height, size),
            np.concatenate(carry).astype(np.float32),
            size,
        )

    def bend(
        self, motion: Motion, index: int, residual: Floats | None = None
    ) -> tuple[Floats, Posed]:
        """Return (V,3) vertices of one frame in output pixels, and the face among them.

        Args:
            motion: what the photo's face does.
            index: frame of it.
            residual: (V,3) millimetres that the face moves besides; the rings fade it, too.
        """
        posed = self.head.pose(motion, index, residual)
        turn, place = motion.rotation[index], motion.translation[index]
        rigid = self.head.project(self.lifted, turn, place)
        oval = self.head.model.regions["face_oval"]
        still = self.head.project(self.head.vertices[oval], turn, place)
        pulled = np.tile(posed.vertices[oval, :2] - still[:, :2], (len(_RINGS), 1))
        moved = rigid[:, :2] + self.carry[:, None] * pulled
        rigid[:, :2] = self.rest + self.follow[:, None] * (moved - self.rest)
        return np.concatenate([posed.vertices, rigid]), posed

    def photo_places(self) -> Floats:
        """(V,2) where the vertices stand in the photo."""
        face = self.head.at_rest(self.head.vertices)[:, :2]
        return np.concatenate([face, self.rest])


@dataclass(frozen=True, eq=False)
class Cover:
    """Which triangle each pixel of the output shows."""

    ids: Ids
    """(h,w) triangle or -1."""
    weights: Floats
    """(h,w,3) barycentrics."""
    kinds: Ints
    """(h,w) int8 kind of triangle; -1 outside the mesh."""

    def carry(self, mesh: PhotoMesh, values: Floats) -> Floats:
        """Carry (V,C) values to pixels, (h,w,C)."""
        return interpolate(self.ids, self.weights, values, mesh.triangles)


def cover(mesh: PhotoMesh, vertices: Floats, size: tuple[int, int] | None = None) -> Cover:
    """Rasterize bent vertices (V,3) over the output, or over a picture of another size (h, w)."""
    ids, weights = rasterize(vertices, mesh.triangles, size or mesh.size)
    kinds = np.append(mesh.kinds, -1)[ids]
    return Cover(ids, weights, kinds)


def _closed(model: FaceModel, oval: Ints) -> tuple[Ints, Ints]:
    """Triangles of skin, mouth, eyes and rings, and their kinds."""
    first, count = len(model.mean), len(oval)
    rings = []
    for ring in range(len(_RINGS)):
        start = first + ring * count
        outer = start + np.arange(count)
        inner = oval if ring == 0 else outer - count
        inner_next, outer_next = np.roll(inner, -1), np.roll(outer, -1)
        rings.append(np.stack([inner, inner_next, outer], 1))
        rings.append(np.stack([inner_next, outer_next, outer], 1))
    parts = [
        (model.triangles, SKIN),
        (model.mouth_triangles, MOUTH),
        (np.concatenate(model.eye_triangles), EYES),
        (np.concatenate(rings), RING),
    ]
    kinds = np.concatenate([np.full(len(part), kind, np.int8) for part, kind in parts])
    return np.concatenate([part for part, _ in parts]).astype(np.int64), kinds


def _lift(head: Head, places: Floats, depth: Floats) -> Floats:
    """Lift (R,2) output pixels to head space at the given depths, as the photo's camera saw it."""
    center = np.array([head.size[1] / 2, head.size[0] / 2], np.float32)
    ray = (places / head.scale - center) / head.params.focal
    camera = np.concatenate([ray * depth[:, None], depth[:, None]], 1) - head.params.translation[0]
    return np.asarray(camera @ rotation_matrix(head.params.rotation)[0], np.float32)


def _confidence(
    places: Floats, chin: Floats, down: Floats, height: float, size: tuple[int, int]
) -> Floats:
    """(R,) the paper's c: how much of the head's motion each place takes part in."""
    below = (places - chin) @ down / height
    neck = 1 - _smooth((below - _NECK[0]) / (_NECK[1] - _NECK[0]))
    left, up = places[:, 0], places[:, 1]
    # What leaves at the bottom is chest, which stands still anyway.
    inward = np.minimum(np.minimum(left, size[1] - left), up)
    return np.asarray(neck * _smooth(inward / (_BORDER * height)), np.float32)


def _smooth(x: Floats) -> Floats:
    t = np.clip(x, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
