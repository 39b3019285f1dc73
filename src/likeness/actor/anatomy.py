"""The body around the face: skull, ears, neck, torso, as one skinned mesh.

Convention:
    Head space, millimetres. The face model is the front of the head; rows of vertices lofted from
    its outline close the skull. Neck and torso stand in head space at rest and follow the torso's
    transform by a weight per vertex.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness.actor.appearance import Appearance
from likeness.actor.surface import Reals, Smooth, grid_triangles, subdivide
from likeness.face3d.model import FaceModel
from likeness.types import Floats, Ints

# The tracker's landmarks on the face outline, clockwise in the image from the top.
OUTLINE = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
UPPER_LIDS = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133),
    (263, 466, 388, 387, 386, 385, 384, 398, 362),
)
LOWER_LIDS = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133),
    (263, 249, 390, 373, 374, 380, 381, 382, 362),
)
INNER_LIPS_UPPER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
INNER_LIPS_LOWER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
OUTER_LIPS = (
    61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146,
)  # fmt: skip
MIDDLE_LIPS = (
    76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306, 307, 320, 404, 315, 16, 85, 180, 90, 77,
    62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292, 325, 319, 403, 316, 15, 86, 179, 89, 96,
)  # fmt: skip

SKIN, EYE_RIGHT, EYE_LEFT, MOUTH, EAR, NECK, TORSO, SCALP = range(8)
_LOFT_ROWS = 7
# How far each lofted row follows the outline when the jaw moves.
_LOFT_FOLLOW = (0.75, 0.45, 0.22, 0.08, 0.0, 0.0, 0.0)
# (drop below the neck's base, half width, front depth) down the torso.
_TORSO = np.array(
    [
        [-4, 50, 48], [5, 62, 56], [16, 100, 68], [30, 148, 78], [46, 180, 86], [70, 202, 94],
        [110, 216, 104], [190, 222, 112], [360, 226, 118],
    ],
    np.float64,
)  # fmt: skip
_TORSO_COLUMNS = 40
_NECK_COLUMNS, _NECK_ROWS = 28, 9


@dataclass(frozen=True, eq=False)
class Skull:
    """Where the head is: an ellipsoid and the base of the neck."""

    center: Floats
    radii: Floats
    chin: Floats
    neck_base: Floats

    @property
    def pivot(self) -> Floats:
        """Head-space point that nods and turns go around: between the ears and the nape."""
        return (self.center * [1, 0, 1] + [0, 0.55 * float(self.chin[1]), 5]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Body:
    """All opaque surfaces of an actor at rest, ready to be posed."""

    smooth: Smooth
    """Head only: control vertices are the face model's, then the loft's."""
    loft: Floats
    """(L,3) lofted control vertices at rest."""
    follow: Floats
    """(L,) weight and source of the outline's motion in each lofted vertex."""
    outline: Ints
    """(L,) face vertex whose motion each lofted vertex follows."""
    fixed: Floats
    """(K,3) ears, neck and torso at rest."""
    weights: Floats
    """(V,) 1 follows the head, 0 the torso."""
    uv: Floats
    """(V,2) texture coordinates in [0,1]."""
    lips: Floats
    """(V,) 1 inside the lips, 0.5 on their outline."""
    lashes: Floats
    """(V,) 1 on the upper lid's rim, 0.35 on the lower's."""
    seam: Floats
    """(V,) 1 on the inner rim of the lips."""
    triangles: Ints
    parts: Ints
    """(F,) which part each triangle belongs to."""
    skull: Skull
    scale: tuple[float, float, float]
    """Texture frame of the head: millimetres around (2 pi r), top and bottom y."""

    def rest(self, face: Floats, neutral: Floats) -> Floats:
        """Return (V,3) head-space vertices for (F,3) face vertices of the same person."""
        moved = (face - neutral)[self.outline] * self.follow[:, None]
        head = self.smooth(np.concatenate([face, self.loft + moved]))
        return np.concatenate([head, self.fixed])


def build_body(model: FaceModel, look: Appearance) -> Body:
    """Build the body of one actor around the face model's neutral face."""
    neutral = model.neutral(look.shape)
    skull = _skull(neutral)
    loft, outline, follow = _loft(neutral, skull)
    smooth, parts = _head_mesh(model, len(loft))
    control = np.concatenate([neutral, loft])
    head = smooth(control)
    count = len(control)
    pieces: list[Piece] = [(head, smooth.triangles, parts, np.ones(len(head)), None)]
    for side in (-1.0, 1.0):
        pieces.append(_ear(neutral, skull, side))
    pieces += [_neck(skull, look), _torso(skull, look)]
    vertices = np.concatenate([p[0] for p in pieces])
    starts = np.cumsum([0] + [len(p[0]) for p in pieces])[:-1]
    triangles = np.concatenate([p[1] + s for p, s in zip(pieces, starts, strict=True)])
    uv, scale = _head_uv(vertices, skull)
    torso = slice(int(starts[-1]), None)
    uv[torso] = pieces[-1][4]
    rest = np.zeros(len(vertices) - len(head), np.float32)
    lips = smooth(_marks(count, (OUTER_LIPS, 0.5), (_all_lips(), 1.0)))[:, 0]
    lashes = smooth(_marks(count, *_lash_marks()))[:, 0]
    seam = smooth(_marks(count, (INNER_LIPS_UPPER + INNER_LIPS_LOWER, 1.0)))[:, 0]
    return Body(
        smooth=smooth,
        loft=loft,
        follow=follow,
        outline=outline,
        fixed=vertices[len(head) :].astype(np.float32),
        weights=np.concatenate([p[3] for p in pieces]).astype(np.float32),
        uv=uv,
        lips=np.concatenate([lips, rest]).astype(np.float32),
        lashes=np.concatenate([lashes, rest]).astype(np.float32),
        seam=np.concatenate([seam, rest]).astype(np.float32),
        triangles=np.ascontiguousarray(triangles, np.int64),
        parts=np.concatenate([p[2] for p in pieces]).astype(np.int64),
        skull=skull,
        scale=scale,
    )


Piece = tuple[Reals, Ints, Ints, Reals, Reals | None]


def _skull(neutral: Floats) -> Skull:
    top, chin = neutral[10], neutral[152]
    half = 0.5 * float(np.abs(neutral[454, 0] - neutral[234, 0]))
    height = float(chin[1] - top[1])
    ry = 0.60 * height
    center = np.array([0.0, top[1] - 0.24 * height + ry, top[2] + 0.50 * height])
    radii = np.array([half * 1.03, ry, 0.56 * height])
    base = np.array([0.0, chin[1] + 0.25 * height, center[2] + 0.08 * height])
    return Skull(
        center.astype(np.float32), radii.astype(np.float32), chin.copy(), base.astype(np.float32)
    )


def _loft(neutral: Floats, skull: Skull) -> tuple[Floats, Ints, Floats]:
    """Rows from the face outline around the skull to a pole at its back."""
    start = (neutral[list(OUTLINE)] - skull.center) / skull.radii
    length = np.linalg.norm(start, axis=1, keepdims=True)
    start = start / length
    pole = np.array([0.0, 0.1, 1.0]) / np.hypot(0.1, 1.0)
    angle = np.arccos(np.clip(start @ pole, -1, 1))[:, None]
    rows, follow = [], []
    for k in range(1, _LOFT_ROWS + 1):
        t = k / (_LOFT_ROWS + 1)
        way = (np.sin((1 - t) * angle) * start + np.sin(t * angle) * pole) / np.sin(angle)
        fade = np.clip(t / 0.55, 0, 1)
        fade = fade * fade * (3 - 2 * fade)
        # The jaw's underside runs inward at once; the cranium takes over slowly.
        under = np.clip(start[:, 1:2], 0, 1) * np.sin(np.pi * t) * 0.10
        row = skull.center + way * skull.radii * (length + (1 - length) * fade - under)
        # Seen from the front nothing may show below the jaw line.
        jaw = neutral[list(OUTLINE), 1:2] - 5.0 * k
        low = np.clip((start[:, 1:2] - 0.25) / 0.3, 0, 1)
        row[:, 1:2] += low * (np.minimum(row[:, 1:2], jaw) - row[:, 1:2])
        rows.append(row)
        follow.append(np.full(len(OUTLINE), _LOFT_FOLLOW[k - 1]))
    rows.append((skull.center + pole * skull.radii)[None])
    follow.append(np.zeros(1))
    outline = np.array([*(OUTLINE * _LOFT_ROWS), OUTLINE[0]], np.int64)
    return (
        np.concatenate(rows).astype(np.float32),
        outline,
        np.concatenate(follow).astype(np.float32),
    )


def _head_mesh(model: FaceModel, lofted: int) -> tuple[Smooth, Ints]:
    """Subdivide face, eye and mouth windows and loft together; rims between them are creases."""
    faces = len(model.mean)
    rings = [np.array(OUTLINE)]
    rings += [faces + k * len(OUTLINE) + np.arange(len(OUTLINE)) for k in range(_LOFT_ROWS)]
    index = np.concatenate(rings)
    # Columns run clockwise in the image and rows away, which turns the grid inside out.
    loft = index[grid_triangles(_LOFT_ROWS + 1, len(OUTLINE), closed=True)][:, ::-1]
    last, pole = rings[-1], faces + lofted - 1
    cap = np.stack([last, np.roll(last, -1), np.full(len(last), pole)], 1)
    groups = [
        (model.triangles, SKIN),
        (model.eye_triangles[0], EYE_RIGHT),
        (model.eye_triangles[1], EYE_LEFT),
        (model.mouth_triangles, MOUTH),
        (loft, SKIN),
        (cap, SKIN),
    ]
    triangles = np.concatenate([g for g, _ in groups])
    labels = np.concatenate([np.full(len(g), part) for g, part in groups])
    corners = np.array([33, 133, 263, 362, 78, 308])
    smooth = subdivide(triangles, faces + lofted, corners, labels)
    # No crease runs between face and scalp, so that label is set only afterwards.
    labels[len(labels) - len(loft) - len(cap) :] = SCALP
    return smooth, labels[smooth.parents]


def _ear(neutral: Floats, skull: Skull, side: float) -> Piece:
    """A shell with helix, bowl and lobe beside the head; side -1 is image left."""
    anchor = neutral[234 if side < 0 else 454]
    height = 0.30 * float(neutral[152, 1] - neutral[10, 1])
    rows, columns = 7, 24
    turn = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    radius = np.array([0.02, 0.25, 0.5, 0.72, 0.88, 1.0, 1.02])
    relief = np.array([-2.5, -3.0, -1.0, 1.0, 3.5, 1.5, -5.0])
    across, up = np.cos(turn), np.sin(turn)
    wide = 0.5 + 0.12 * up - 0.10 * np.clip(-across, 0, 1)
    a = radius[:, None] * across * wide * 0.62 * height
    b = radius[:, None] * up * 0.55 * height
    outward = np.array([side * 0.94, 0.0, -0.34])
    back = np.array([side * 0.42, -0.10, 0.90])
    upward = np.array([side * 0.10, -0.98, 0.12])
    center = anchor + np.array([side * 3.0, -0.06 * height, 0.42 * height])
    lobe = np.clip(-up, 0, 1) * 0.6
    points = (
        center
        + a[..., None] * back
        + b[..., None] * upward
        + (relief[:, None] * (1 - lobe))[..., None] * outward
    )
    faces = grid_triangles(rows, columns, closed=True)
    if side < 0:
        faces = faces[:, ::-1]
    flat = points.reshape(-1, 3).astype(np.float32)
    return flat, faces, np.full(len(faces), EAR), np.ones(len(flat)), None


def _neck(skull: Skull, look: Appearance) -> Piece:
    t = np.linspace(0, 1, _NECK_ROWS)[:, None]
    turn = np.linspace(0, 2 * np.pi, _NECK_COLUMNS, endpoint=False)[None]
    top = np.array([0.0, skull.chin[1] - 38.0, skull.center[2] + 2.0])
    center = top + t[..., None] * (skull.neck_base + np.array([0, 32.0, 0]) - top)
    flare = 1.0 + 0.22 * np.clip((t - 0.55) / 0.45, 0, 1) ** 2
    throat = 1.0 + 0.05 * np.exp(-(((t - 0.5) / 0.18) ** 2)) * np.clip(-np.cos(turn), 0, 1) ** 6
    x = np.sin(turn) * look.neck * flare
    z = -np.cos(turn) * look.neck * 0.98 * flare * throat
    points = np.stack([center[..., 0] + x, center[..., 1] + 0 * x, center[..., 2] + z], -1)
    faces = grid_triangles(_NECK_ROWS, _NECK_COLUMNS, closed=True)
    fade = np.clip((t - 0.05) / 0.85, 0, 1)
    weight = np.broadcast_to(1 - fade * fade * (3 - 2 * fade), x.shape)
    flat = points.reshape(-1, 3).astype(np.float32)
    return flat, faces, np.full(len(faces), NECK), weight.ravel(), None


def _torso(skull: Skull, look: Appearance) -> Piece:
    fine = np.linspace(0, len(_TORSO) - 1, 3 * len(_TORSO) - 2)
    drop, width, depth = (np.interp(fine, np.arange(len(_TORSO)), c) for c in _TORSO.T)
    width = look.neck * 0.96 + (width - width[0]) * look.shoulders
    depth = look.neck * 0.94 + (depth - depth[0]) * look.shoulders
    turn = np.linspace(0, 2 * np.pi, _TORSO_COLUMNS, endpoint=False)[None]
    bend = 2 / 2.3
    sine, cosine = np.sin(turn), np.cos(turn)
    x = np.sign(sine) * np.abs(sine) ** bend * width[:, None]
    z = -np.sign(cosine) * np.abs(cosine) ** bend * depth[:, None] + skull.neck_base[2]
    # Collarbones sit lower in front than the trapezius behind.
    y = skull.neck_base[1] + drop[:, None] + 10 * cosine * np.exp(-drop[:, None] / 60)
    points = np.stack([x, y + 0 * x, z], -1).reshape(-1, 3).astype(np.float32)
    faces = grid_triangles(len(fine), _TORSO_COLUMNS, closed=True)
    u = 0.5 + 0.45 * points[:, 0] / 230
    v = (points[:, 1] - skull.neck_base[1] + 40) / 420
    uv = np.stack([u, np.clip(v, 0, 1)], 1).astype(np.float32)
    return points, faces, np.full(len(faces), TORSO), np.zeros(len(points)), uv


def _head_uv(vertices: Floats, skull: Skull) -> tuple[Floats, tuple[float, float, float]]:
    """Cylinder coordinates around the skull's axis."""
    offset = vertices - skull.center
    u = 0.5 + np.arctan2(offset[:, 0], -offset[:, 2]) / (2 * np.pi)
    top, bottom = float(skull.center[1] - skull.radii[1]) - 5, float(skull.neck_base[1]) + 30
    v = (vertices[:, 1] - top) / (bottom - top)
    around = 2 * np.pi * float(skull.radii[0] + skull.radii[2]) / 2
    return np.stack([u, np.clip(v, 0, 1)], 1).astype(np.float32), (around, top, bottom)


def _all_lips() -> tuple[int, ...]:
    return MIDDLE_LIPS + INNER_LIPS_UPPER + INNER_LIPS_LOWER


def _lash_marks() -> list[tuple[tuple[int, ...], float]]:
    lower: list[tuple[tuple[int, ...], float]] = [(ring[1:-1], 0.35) for ring in LOWER_LIDS]
    upper = [(ring[:-1], 1.0) for ring in UPPER_LIDS]
    return [*lower, *upper]


def _marks(count: int, *groups: tuple[tuple[int, ...], float]) -> Floats:
    marks = np.zeros((count, 1), np.float32)
    for vertices, value in groups:
        marks[list(vertices)] = value
    return marks
