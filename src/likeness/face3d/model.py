"""The linear face: mean, identity, expression and albedo modes on one mesh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from likeness.types import Floats, Ints, check


@dataclass(frozen=True, eq=False)
class FaceModel:
    """A linear morphable face: `mean + shape @ identity + weights @ expression`.

    Convention:
        Millimetres in head space, whose axes are the camera's at rest: x image right, y down, z
        away from the camera, so the nose tip has the smallest z. The origin lies near the head's
        center. Eye 0 is the person's right eye (image left). Triangles run counterclockwise as
        seen from outside: cross(b - a, c - a) points outward.
    """

    name: str
    mean: Floats
    """(V,3)."""
    identity: Floats
    """(S,V,3) offsets for one standard deviation."""
    expression: Floats
    """(E,V,3) offsets for weight one."""
    expression_names: tuple[str, ...]
    triangles: Ints
    """(F,3) skin; eye openings and mouth are holes."""
    albedo_mean: Floats
    """(V,3) RGB in [0,1] without light."""
    albedo: Floats
    """(A,V,3) offsets for one standard deviation."""
    regions: Mapping[str, Ints]
    """Named vertex lists; docs/face_model.md says which are ordered."""
    landmark_vertices: Ints
    """(P,) vertex of each tracker landmark, or -1."""
    mouth_triangles: Ints = field(default_factory=lambda: np.zeros((0, 3), np.int64))
    """(M,3) fill between the inner lips."""
    eye_triangles: tuple[Ints, Ints] = field(
        default_factory=lambda: (np.zeros((0, 3), np.int64), np.zeros((0, 3), np.int64))
    )
    """Fill of each eye opening, (K,3) each."""
    eye_centers: Floats | None = None
    """(2,3) centers of the eyeballs of the mean, or None where the model has no eyes."""
    eye_identity: Floats | None = None
    """(S,2,3) how the centers follow identity."""
    eye_radius: float = 12.0
    """Millimetres from an eyeball's center to its surface."""
    iris_radius: float = 5.85
    """Millimetres; the visible iris varies little between adults."""

    def __post_init__(self) -> None:
        v = len(self.mean)
        for name in ("mean", "albedo_mean"):
            found = getattr(self, name).shape
            check(found == (v, 3), f"{name} has shape {found}, expected ({v}, 3)")
        for name in ("identity", "expression", "albedo"):
            found = getattr(self, name).shape
            check(found[1:] == (v, 3), f"{name} has shape {found}, expected (any, {v}, 3)")
        named, modes = len(self.expression_names), len(self.expression)
        check(named == modes, f"{named} expression names for {modes} expression modes")
        check(len(set(self.expression_names)) == named, "expression names repeat")
        for name, indices in self._indices():
            inside = indices.size == 0 or (indices.min() >= 0 and indices.max() < v)
            check(bool(inside), f"{name} points outside the {v} vertices")
        if self.eye_centers is not None:
            found = self.eye_centers.shape
            check(found == (2, 3), f"eye_centers has shape {found}, expected (2, 3)")

    def _indices(self) -> list[tuple[str, Ints]]:
        named = [(f"region {name!r}", indices) for name, indices in self.regions.items()]
        fills = [
            ("mouth_triangles", self.mouth_triangles),
            ("eye_triangles", self.eye_triangles[0]),
        ]
        landmarks = np.maximum(self.landmark_vertices, 0)
        return [
            *named,
            *fills,
            ("eye_triangles", self.eye_triangles[1]),
            ("triangles", self.triangles),
            ("landmark_vertices", landmarks),
        ]

    def vertices(self, shape: Floats, expression: Floats) -> Floats:
        """Return the head-space vertices of one person in N expressions.

        Args:
            shape: (S,) or (N,S) identity coefficients in standard deviations; fewer than S
                coefficients leave the remaining modes at rest.
            expression: (N,E) weights, 0 rest, 1 full.

        Returns:
            (N,V,3) millimetres.

        Raises:
            ContractError: more coefficients than modes, or another number of expression weights.
        """
        vertices: Floats = self.neutral(shape) + self.moved(expression)
        return vertices

    def moved(self, expression: Floats) -> Floats:
        """Return (N,V,3) offsets from rest of (N,E) expression weights."""
        modes = len(self.expression)
        found = expression.shape
        check(
            expression.ndim == 2 and found[1] == modes,
            f"expression has shape {found}, expected (any, {modes})",
        )
        offset = expression.astype(np.float32) @ self.expression.reshape(modes, self.mean.size)
        moved: Floats = offset.reshape(-1, *self.mean.shape)
        return moved

    def neutral(self, shape: Floats) -> Floats:
        """Return (...,V,3) vertices at rest of (...,S) identity coefficients."""
        used = shape.shape[-1]
        check(
            used <= len(self.identity),
            f"shape has {used} coefficients, model {self.name!r} has {len(self.identity)} modes",
        )
        modes = self.identity[:used].reshape(used, self.mean.size)
        offset = (shape.astype(np.float32) @ modes).reshape(*shape.shape[:-1], *self.mean.shape)
        still: Floats = self.mean + offset
        return still

    def colors(self, albedo: Floats) -> Floats:
        """Return (...,V,3) albedo of (...,A) coefficients, clipped to [0,1]."""
        used = albedo.shape[-1]
        check(
            used <= len(self.albedo),
            f"albedo has {used} coefficients, model {self.name!r} has {len(self.albedo)} modes",
        )
        modes = self.albedo[:used].reshape(used, self.mean.size)
        offset = (albedo.astype(np.float32) @ modes).reshape(*albedo.shape[:-1], *self.mean.shape)
        colors: Floats = np.clip(self.albedo_mean + offset, 0.0, 1.0)
        return colors

    def eyes(self, shape: Floats) -> Floats:
        """Return (...,2,3) eyeball centers of (...,S) identity coefficients.

        Raises:
            ContractError: the model has no eyeballs.
        """
        check(self.eye_centers is not None, f"face model {self.name!r} has no eyeballs")
        assert self.eye_centers is not None  # noqa: S101 - narrows the type after the check
        if self.eye_identity is None:
            return np.broadcast_to(self.eye_centers, (*shape.shape[:-1], 2, 3)).copy()
        used = shape.shape[-1]
        modes = self.eye_identity[:used].reshape(used, 6)
        offset = (shape.astype(np.float32) @ modes).reshape(*shape.shape[:-1], 2, 3)
        return np.asarray(self.eye_centers + offset, np.float32)

    def irises(self, shape: Floats, gaze: Floats) -> Floats:
        """Return iris points in the tracker's order for N gaze directions.

        Args:
            shape: (S,) identity coefficients.
            gaze: (N,2,2) per eye (yaw, pitch) in radians, as in FaceParams.

        Returns:
            (N,10,3) head-space millimetres: landmarks 468..477, that is for eye 0, then eye 1, the
            center and four rim points (image right, up, left, down of the center at gaze zero).
        """
        distance = float(np.sqrt(self.eye_radius**2 - self.iris_radius**2))
        r = self.iris_radius
        rim = np.array([[0, 0], [r, 0], [0, -r], [-r, 0], [0, r]], np.float32)
        disc = np.concatenate([rim, np.full((5, 1), -distance, np.float32)], axis=1)
        turned = np.einsum("neij,pj->nepi", _eye_rotation(gaze), disc)
        points = self.eyes(shape)[..., None, :] + turned
        return np.asarray(points.reshape(len(gaze), 10, 3), np.float32)


def _eye_rotation(gaze: Floats) -> Floats:
    """Rotation (...,3,3) that takes (0, 0, -1) to `geometry.gaze_direction(gaze)`, without roll."""
    yaw, pitch = gaze[..., 0], gaze[..., 1]
    sy, cy, sp, cp = np.sin(yaw), np.cos(yaw), np.sin(pitch), np.cos(pitch)
    zero = np.zeros_like(yaw)
    rows = [[cy, -sy * sp, -sy * cp], [zero, cp, -sp], [sy, cy * sp, cy * cp]]
    return np.asarray(np.stack([np.stack(row, -1) for row in rows], -2), np.float32)
