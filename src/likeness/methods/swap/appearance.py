"""What a target's face looks like whatever the light, learned once from frames of its clip.

Sampled frames are unrolled onto the atlas. The logarithm of each is the face's own color plus
light; light is a sum of nine spherical harmonics over the head's normals, which any light from afar
is in any pose (a rotated harmonic is a sum of harmonics of its own order). Own color is the median
over frames once light is taken off, and its spread tells how well each place of the face is known:
skin well, lids and lips badly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from likeness.compiled import njit
from likeness.condition.atlas import Atlas
from likeness.condition.conditioner import select
from likeness.condition.mesh import EYE, MOUTH, RING, PortraitMesh
from likeness.decode import Decoder
from likeness.face3d.light import harmonics, vertex_normals
from likeness.face3d.raster import interpolate, rasterize
from likeness.geometry import rotation_matrix
from likeness.methods.swap.view import SwapTarget, TargetView
from likeness.types import Bools, FaceParams, Floats, Ints, Window

SIDE = 128
"""Texels of the atlas: a millimetre and a half each."""
_FRAMES = 40
"""Sampled frames of a clip."""
_DARK = 0.02
"""Colors below this are black."""
_FLOOR = (0.05, 0.025)
"""Least spread of lightness and of color, mean logarithms: tracking and coding."""
_MOVING = ((EYE, 0.3), (MOUTH, 0.4))
"""Lightness, by kind of triangle, of what opens and closes."""
_UNSURE = (("lips", 0.08), ("left_brow", 0.06), ("right_brow", 0.06), ("nose", 0.02))
"""The same by region of the face model."""
_LIDS = 0.18
_LIPS = 0.9
"""Share of the lips in a texel that counts as theirs."""
_ROUNDS = 4
_RIDGE = 2e-3
_GRAZING = 0.35
"""Cosine to the camera below which a place is seen ever worse."""


@dataclass(frozen=True, eq=False)
class SeenFace:
    """One frame's crop, as the model looks at it."""

    logs: Floats
    """(h,w,3) logarithms of color."""
    places: Floats
    """(h,w,2) texels that the pixels show."""
    inside: Bools
    """(h,w) where the face is."""
    vertices: Floats
    """(V,2) the posed mesh in pixels of the same picture."""
    facing: Floats
    """(side,side) cosine between each texel's normal and the way to the camera."""


@dataclass(frozen=True, eq=False)
class Appearance:
    """A face's own color and how well it is known, texel by texel."""

    atlas: Atlas
    triangles: Ints
    """(F,3) of the mesh, without its rings."""
    basis: Floats
    """(side,side,9) harmonics of the head's normals."""
    normals: Floats
    """(side,side,3) in head space."""
    known: Bools
    """(side,side) where the atlas shows the face."""
    color: Floats
    """(side,side,3) logarithms of the face's own color."""
    spread: Floats
    """(side,side,2) deviation of lightness and of color."""

    @cached_property
    def lips(self) -> Floats:
        """(3,) logarithms of the lips' own color."""
        share = np.zeros((len(self.atlas.places), 1), np.float32)
        share[self.atlas.mesh.model.regions["lips"]] = 1
        here = self.known & (self.atlas.carry(share)[..., 0] > _LIPS)
        return np.asarray(np.median(self.color[here], 0), np.float32)

    def look(self, pixels: Floats, view: TargetView, n: int) -> SeenFace:
        """Find what each pixel of a crop shows.

        Args:
            pixels: (h,w,3) the crop, at the size at which it is looked at.
            view: the window that it comes from.
            n: which frame of it.
        """
        size = (pixels.shape[0], pixels.shape[1])
        vertices = posed(self.atlas.mesh, view, n) * ([size[0] / view.crop.size[0]] * 2 + [1])
        vertices = np.asarray(vertices, np.float32)
        ids, weights = rasterize(vertices, self.triangles, size)
        places = interpolate(ids, weights, self.atlas.places, self.triangles)
        return SeenFace(
            logs_of(pixels),
            places,
            ids >= 0,
            vertices[:, :2],
            facing(self.normals, view.params, n),
        )

    def expected(self, seen: SeenFace, rounds: int = _ROUNDS) -> Floats:
        """Return (side,side,3): the logarithms that the face has in a frame's light."""
        step = max(1, int(np.sqrt(seen.inside.sum() / 1500)))
        ys, xs = np.nonzero(seen.inside[::step, ::step])
        columns, rows = np.minimum(seen.places[ys * step, xs * step].astype(int), SIDE - 1).T
        there = self.known[rows, columns] & (seen.facing[rows, columns] > _GRAZING)
        rows, columns = rows[there], columns[there]
        colors = seen.logs[ys * step, xs * step][there] - self.color[rows, columns]
        light = fitted_light(colors, self.basis[rows, columns], self.spread[rows, columns], rounds)
        return np.asarray(self.color + self.basis @ light, np.float32)


def appearance_of(target: SwapTarget, mesh: PortraitMesh) -> Appearance | None:
    """Learn what a face looks like from frames of its clip.

    Returns:
        None where fewer than three frames show it.

    Raises:
        MediaError: the clip cannot be read.
    """
    shown = np.flatnonzero(target.observed)
    if len(shown) < 3:
        return None
    chosen = shown[np.unique(np.linspace(0, len(shown) - 1, _FRAMES).round().astype(int))]
    atlas = Atlas.of(mesh, SIDE)
    normals, known = _normals(atlas), atlas.coverage.kinds >= 0
    known = known & (atlas.coverage.kinds != RING)
    basis = harmonics(normals)
    pictures, angles = [], []
    for view in _views(target, chosen):
        vertices = posed(mesh, view, 0)[None, :, :2]
        pictures.append(atlas.unroll(view.pixels, vertices)[0].permute(1, 2, 0).numpy())
        angles.append(facing(normals, view.params, 0))
    logs, seen = logs_of(np.stack(pictures)), np.stack(angles) > _GRAZING
    color, spread = _separated(logs, seen & known, basis, atlas)
    triangles = mesh.triangles[mesh.kinds != RING]
    return Appearance(atlas, triangles, basis, normals, known, color, spread)


def _views(target: SwapTarget, chosen: Ints) -> Iterator[TargetView]:
    with Decoder(target.shot.clip) as decoder:
        for number in chosen.tolist():
            window = Window(number, number + 1)
            yield target.view(window, decoder.read(window))


def posed(mesh: PortraitMesh, view: TargetView, n: int) -> Floats:
    """Return (V,3) vertices of one frame in crop pixels, z in millimetres."""
    size = (int(view.frames.shape[2]), int(view.frames.shape[3]))
    one = select(view.params, np.array([n]))
    found: Floats = mesh.pose(one, view.crop.crop_from_frame[n], size).vertices[0]
    return found


def facing(normals: Floats, params: FaceParams, n: int) -> Floats:
    """Return cosines between (...,3) head-space normals and the way to the camera in a frame."""
    turn = rotation_matrix(params.rotation[n])
    toward = -params.translation[n] / max(float(np.linalg.norm(params.translation[n])), 1e-6)
    return np.asarray(normals @ (toward @ turn).astype(np.float32), np.float32)


def logs_of(colors: Floats) -> Floats:
    """Return the logarithms of colors in [0,1]."""
    return np.asarray(np.log(np.maximum(colors, _DARK)), np.float32)


def split(apart: Floats) -> tuple[Floats, Floats]:
    """Split (...,3) differences of logarithms into lightness (...) and length of color (...)."""
    flat = np.ascontiguousarray(apart, np.float32).reshape(-1, 3)
    lightness, color = _split(flat)
    return lightness.reshape(apart.shape[:-1]), color.reshape(apart.shape[:-1])


@njit(cache=True, nogil=True)
def _split(apart: Floats) -> tuple[Floats, Floats]:  # pragma: no cover - compiled
    lightness = np.empty(len(apart), np.float32)
    color = np.empty(len(apart), np.float32)
    for n in range(len(apart)):
        mean = (apart[n, 0] + apart[n, 1] + apart[n, 2]) / np.float32(3)
        total = np.float32(0)
        for c in range(3):
            total += (apart[n, c] - mean) ** 2
        lightness[n] = mean
        color[n] = np.sqrt(total)
    return lightness, color


def fitted_light(colors: Floats, basis: Floats, spread: Floats, rounds: int) -> Floats:
    """Fit light to differences of logarithms, robustly: what covers the face counts little.

    Args:
        colors: (P,3) seen minus own color.
        basis: (P,9).
        spread: (P,2) deviations of lightness and color.
        rounds: of reweighting.

    Returns:
        (9,3) coefficients.
    """
    light = np.zeros((9, 3), np.float32)
    if len(colors) < 30:
        return light
    # The middle first: half of the face may be covered by something much darker.
    light[0] = np.median(colors, 0) / basis[0, 0]
    certain = 1 / (spread[:, 0] ** 2)
    pull = np.diag([1e-6] + [_RIDGE * float(certain.sum())] * 8)
    for _ in range(rounds):
        lightness, color = split(colors - basis @ light)
        outlying = (lightness / (2 * spread[:, 0])) ** 2 + (color / (2 * spread[:, 1])) ** 2
        weighted = basis * (certain / (1 + outlying) ** 2)[:, None]
        light = np.linalg.solve(weighted.T @ basis + pull, weighted.T @ colors).astype(np.float32)
    return light


def _separated(logs: Floats, seen: Bools, basis: Floats, atlas: Atlas) -> tuple[Floats, Floats]:
    """Own color (side,side,3) and spread (side,side,2) of N unrolled frames (N,side,side,3)."""
    spread = np.stack([np.full((SIDE, SIDE), 2 * floor, np.float32) for floor in _FLOOR], -1)
    color = _median(logs - _middles(logs, seen), seen)
    lit = np.empty_like(logs)
    step = np.s_[1::3, 1::3]
    for _ in range(3):
        for n, picture in enumerate(logs):
            there = seen[n][step]
            apart = (picture - color)[step][there]
            light = fitted_light(apart, basis[step][there], spread[step][there], _ROUNDS)
            lit[n] = picture - basis @ light
        color = _median(lit, seen)
        lightness, tint = split(lit - color)
        # A few frames are covered: the spread is that of the better part.
        measured = np.stack(
            [
                1.4826 * _median(np.abs(lightness)[..., None], seen)[..., 0],
                1.2 * _median(tint[..., None], seen)[..., 0],
            ],
            -1,
        )
        spread = np.maximum(measured, _FLOOR).astype(np.float32)
    spread = np.stack([cv2.blur(spread[..., c], (5, 5)) for c in range(2)], -1)
    spread[..., 0] += _doubt(atlas)
    spread[..., 1] += 0.4 * _doubt(atlas)
    return color, np.asarray(spread, np.float32)


def _middles(logs: Floats, seen: Bools) -> Floats:
    """(N,1,1,3) median color of each frame."""
    middles = [
        np.median(picture[there], 0) if there.any() else np.zeros(3)
        for picture, there in zip(logs, seen, strict=True)
    ]
    return np.asarray(middles, np.float32)[:, None, None]


def _median(values: Floats, seen: Bools) -> Floats:
    """Median over the N frames that show a texel; 0 where none does."""
    ordered = np.sort(np.where(seen[..., None], values, np.inf), 0)
    counts = seen.sum(0)
    at = np.maximum(counts - 1, 0) // 2
    found = np.take_along_axis(ordered, at[None, ..., None], 0)[0]
    return np.where(np.isfinite(found), found, 0).astype(np.float32)


def _normals(atlas: Atlas) -> Floats:
    """(side,side,3) outward normals in head space at rest."""
    mesh = atlas.mesh
    face = vertex_normals(mesh.still, mesh.model.triangles)
    rest = np.zeros((len(atlas.places), 3), np.float32)
    rest[:, 2] = -1
    rest[: len(face)] = face
    carried = atlas.carry(rest)
    length = np.linalg.norm(carried, axis=-1, keepdims=True)
    front = np.array([0, 0, -1], np.float32)
    return np.where(length > 1e-3, carried / np.maximum(length, 1e-3), front).astype(np.float32)


def _doubt(atlas: Atlas) -> Floats:
    """(side,side) what is added to the spread of lightness where the face moves in itself."""
    mesh, count = atlas.mesh, len(atlas.places)
    share = np.zeros((count, 1), np.float32)
    for region, value in _UNSURE:
        share[mesh.model.regions[region]] = value
    for lid in ("left_eye", "right_eye"):
        share[mesh.model.regions[lid]] = _LIDS
    doubt = atlas.carry(share)[..., 0]
    for kind, value in _MOVING:
        doubt[atlas.coverage.kinds == kind] = value
    wide = cv2.GaussianBlur(cv2.dilate(doubt, np.ones((3, 3), np.uint8)), (0, 0), 1.5)
    return np.asarray(wide, np.float32)
