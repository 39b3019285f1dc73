"""Laying one face over another: features as they are to each other, the outline as the target's.

A similarity brings the source's face onto the target's. The outlines of two people differ still:
inside, everything is left where the similarity puts it, because eyes, nose and mouth and their
places are what a person is known by; toward the oval, vertices are pulled onto the target's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from likeness import geometry
from likeness.condition.align import similarity
from likeness.face3d.model import FaceModel
from likeness.types import Floats, Ints

_REACH = 0.12
"""Distance from the oval, in face widths, over which the outline is bent."""
_INSET = 0.05
"""Share by which the source's oval is drawn inward before it is laid onto the target's: what lies
on the line itself is half background."""
_MIDDLE = ("rigid", "right_eye_corners", "left_eye_corners")
"""Regions that say where a face is, whatever lids, brows and mouth do."""


@dataclass(frozen=True, eq=False)
class Outline:
    """How much each vertex of a face model belongs to the outline."""

    model: FaceModel

    @cached_property
    def share(self) -> Floats:
        """(V,) 1 on the oval, 0 from `_REACH` face widths inside."""
        flat = self.model.mean[:, :2]
        oval = self.model.regions["face_oval"]
        away = np.linalg.norm(flat[:, None] - flat[oval], axis=-1).min(1)
        near = np.clip(1 - away / (_REACH * float(np.ptp(flat[oval, 0]))), 0, 1)
        return np.asarray(near * near * (3 - 2 * near), np.float32)

    @cached_property
    def anchors(self) -> Ints:
        """(K,) vertices that the similarity brings together: the middle of the face, which says
        where it is, and its oval, which says how large. Fitted to the middle alone, a source of
        another build hangs in the target's head like a mask."""
        middle = np.concatenate([self.model.regions[name] for name in _MIDDLE])
        middle = middle[self.share[middle] < 0.2]
        chosen = np.unique(np.concatenate([middle, self.model.regions["face_oval"]]))
        return np.asarray(chosen, np.int64)

    def onto(self, source: Floats, target: Floats) -> tuple[Floats, Floats]:
        """Lay a source's face over a target's.

        Args:
            source: (V,2) vertices of the source, in any pixels.
            target: (V,2) the same vertices of the target, crop pixels.

        Returns:
            placed (V,2) in crop pixels and the similarity (2,3) that was taken.
        """
        matrix = similarity(source[self.anchors], target[self.anchors])[0].astype(np.float32)
        placed = geometry.apply(matrix, source)
        middle = target[self.model.regions["face_oval"]].mean(0)
        edge = middle + (target - middle) * (1 + _INSET)
        return placed + self.share[:, None] * (edge - placed), matrix

    def around(self, rings: Floats, matrix: Floats, source: Floats, placed: Floats) -> Floats:
        """Carry what surrounds the oval along with it.

        Args:
            rings: (R,2) vertices around the source's face, R a multiple of the oval's.
            matrix: (2,3) the similarity.
            source: (V,2) the source's face.
            placed: (V,2) where it was placed.
        """
        oval = self.model.regions["face_oval"]
        bent = placed[oval] - geometry.apply(matrix, source[oval])
        count = len(rings) // len(oval)
        fading = np.repeat(np.linspace(1, 0, count + 1)[:-1], len(oval))[:, None]
        moved = geometry.apply(matrix, rings) + fading * np.tile(bent, (count, 1))
        return np.asarray(moved, np.float32)


def tracked_vertices(landmarks: Floats, model: FaceModel) -> Floats:
    """Return (...,V,2) places of a face model's vertices among (...,478,>=2) landmarks."""
    found = np.zeros((*landmarks.shape[:-2], len(model.mean), 2), np.float32)
    known = np.flatnonzero(model.landmark_vertices[:468] >= 0)
    found[..., model.landmark_vertices[known], :] = landmarks[..., known, :2]
    return found


def facing_alike(rotation: Floats, translation: Floats, place: Floats) -> Floats:
    """Turn heads so that a camera sees them from the side that it saw them from elsewhere.

    A head at the edge of a picture is seen from its side. The rotation that shows the same side
    where the head stands at `place` is R' = Q R, with Q the turn from one line of sight to the
    other.

    Args:
        rotation: (N,3) axis-angle, head to camera.
        translation: (N,3) where the heads stand, millimetres.
        place: (3,) where they shall stand.

    Returns:
        (N,3) axis-angle.
    """
    sight = translation / np.linalg.norm(translation, axis=1, keepdims=True)
    wanted = np.broadcast_to(place / np.linalg.norm(place), sight.shape)
    axis = np.cross(sight, wanted)
    sine = np.linalg.norm(axis, axis=1, keepdims=True)
    angle = np.arctan2(sine, (sight * wanted).sum(1, keepdims=True))
    turn = geometry.rotation_matrix(axis / np.maximum(sine, 1e-9) * angle)
    return geometry.axis_angle(turn @ geometry.rotation_matrix(rotation))
