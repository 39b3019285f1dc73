"""Where faces fold when they age, authored on the unrolled mean face, in millimetres.

A fold is a path over the skin with a profile across it: a groove, and flesh that bulges beside it.
It deepens with the expressions that fold the skin there. Paths are given for the person's right
side (image left) and mirrored; small departures are drawn from a seed, so that no two lines and no
two sides are alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from likeness.face3d.model import FaceModel
from likeness.types import Floats, Ints

TEXELS = 3.0
"""Texels per millimetre of the textures that folds are drawn into."""
_HALF = np.array([126.0, 108.0], np.float32)
"""Millimetres from the middle of the textures to their sides."""
_MIDDLE = np.array([0.0, 14.0], np.float32)
SIZE = (int(2 * _HALF[1] * TEXELS), int(2 * _HALF[0] * TEXELS))
"""(h, w) of the textures."""

Point = tuple[int, float, float]
"""A vertex of the mesh, and millimetres to the right in the image and down from it."""
Path = tuple[Point, ...]


@dataclass(frozen=True)
class Profile:
    """A fold across its path, in millimetres."""

    width: float
    """Deviation of the groove."""
    depth: float
    """Of the groove's middle at full activation."""
    bulge: float = 0.0
    """How far the flesh stands up beside the path: on its left as it runs, or its right below 0."""
    spread: float = 4.0
    """Deviation of the bulge."""


@dataclass(frozen=True)
class Fold:
    """One fold of the right half of a face, or across its middle."""

    group: str
    path: Path
    profile: Profile
    wobble: float = 0.4
    """Deviation of the path from its drawing, millimetres."""
    breaks: float = 0.0
    """How much of the groove comes and goes along the path, 0 to 1."""
    mirrored: bool = True


@dataclass(frozen=True)
class Group:
    """Folds that deepen together."""

    rest: float
    """Activation of the face at rest."""
    drives: Mapping[str, float] = field(default_factory=dict)
    """What weights of expression add; names without a side take that of the fold."""


GROUPS: Mapping[str, Group] = {
    "forehead": Group(0.45, {"browInnerUp": 0.7, "browOuterUp": 0.6}),
    "frown": Group(0.45, {"browDown": 0.8}),
    "crow": Group(0.6, {"eyeSquint": 0.7, "cheekSquint": 0.7, "mouthSmile": 0.4}),
    "eye": Group(0.85, {"cheekSquint": 0.4, "mouthSmile": 0.3}),
    "nasolabial": Group(0.75, {"mouthSmile": 0.6, "noseSneer": 0.4, "mouthUpperUp": 0.3}),
    "marionette": Group(0.7, {"mouthFrown": 0.6, "mouthPress": 0.3, "mouthSmile": 0.15}),
    "lips": Group(0.5, {"mouthPucker": 0.8, "mouthPress": 0.4}),
    "chin": Group(0.5, {"mouthShrugLower": 0.6}),
}

_LOW_LINE: Path = (
    *((68, 4, 4), (104, 0, 5), (69, 0, 7.5), (108, 0, 9), (151, 0, 9)),
    *((337, 0, 9.5), (299, 0, 8), (333, 0, 5.5), (298, -4, 5)),
)
_MIDDLE_LINE: Path = (
    *((68, 9, -4), (104, 2, -2), (69, 0, -0.5), (108, 0, 0.5), (151, 0, 0)),
    *((337, 0, 0.8), (299, 0, -0.5), (333, -3, -2)),
)
_HIGH_LINE: Path = (
    *((104, 5, -9), (69, 0, -7.5), (108, 0, -7), (151, 0, -7.5), (337, 0, -6.8), (299, 2, -7)),
)
_BAG: Path = (
    *((244, 1, 3), (233, 0, 2.5), (232, 0, 2), (231, 0, 1.6), (230, 0, 1.4), (229, 0, 1.2)),
    (228, 1, 0),
)
_SMILE_LINE: Path = (
    *((129, 1.5, -4), (129, -1.5, 2), (203, 1.5, -1.5), (206, 2.5, -1), (216, 1, 1)),
    *((212, 3, -3), (212, 1, 2)),
)
_MOUTH_TO_JAW: Path = (
    *((57, 9, 4), (43, -1.5, 1), (43, -3.5, 7), (204, -7, 2), (211, -2, -1), (211, -3, 5)),
)

FOLDS: tuple[Fold, ...] = (
    # Forehead: long lines that follow the brows' arch, and a short one over each brow.
    Fold("forehead", _LOW_LINE, Profile(1.0, 0.42, 0.25, 2.6), 0.9, 0.6, False),
    Fold("forehead", _MIDDLE_LINE, Profile(1.05, 0.42, 0.25, 2.8), 1.0, 0.65, False),
    Fold("forehead", _HIGH_LINE, Profile(1.1, 0.32, 0.2, 2.8), 1.0, 0.7, False),
    Fold("forehead", ((104, 3, 10), (105, 6, -4.5), (66, 2, -5), (107, -4, -4)), Profile(0.8, 0.2)),
    # Between the brows, and across the root of the nose.
    Fold(
        "frown",
        ((107, 5, -4), (107, 5.5, 2), (55, 4.5, -3), (55, 4, 2)),
        Profile(0.9, 0.5, -0.3, 2.2),
    ),
    Fold("frown", ((107, 7.5, 2), (55, 7.6, -2), (55, 7.2, 1.0)), Profile(0.6, 0.2)),
    Fold(
        "frown", ((193, 1, -1), (168, 0, -1.2), (417, -1, -0.6)), Profile(0.7, 0.2), mirrored=False
    ),
    # Crow's feet: a fan that leaves the outer corner of the eye.
    Fold("crow", ((130, -6, -2.5), (226, -5, -6), (124, -7, -5)), Profile(0.6, 0.26)),
    Fold("crow", ((130, -6.5, 0), (226, -7, -1.5), (124, -10, 3)), Profile(0.65, 0.3, 0.14, 1.6)),
    Fold("crow", ((130, -6.5, 2.5), (35, -3, -0.5), (35, -12, 1.5)), Profile(0.65, 0.3, 0.14, 1.6)),
    Fold("crow", ((130, -4.5, 5), (35, 1, 3.5), (35, -8.5, 7)), Profile(0.6, 0.26)),
    Fold("crow", ((226, 2, 8.5), (31, -3, 1.5), (111, -3, 0)), Profile(0.6, 0.2)),
    # Under the eye: the edge of the lower lid's bag, the tear trough, and fine lines.
    Fold("eye", _BAG, Profile(1.3, 0.42, -0.6, 2.8)),
    Fold("eye", ((233, -1, 5), (121, 1, 4), (120, 0, 3), (119, 4, 0)), Profile(2.2, 0.5)),
    Fold(
        "eye",
        ((26, 2, 2), (22, 0, 2.6), (23, 0, 2.8), (24, 0, 2.8), (110, 1, 3)),
        Profile(0.6, 0.2),
    ),
    Fold(
        "eye",
        ((22, 2, 4.4), (23, 0, 4.6), (24, 0, 4.6), (110, 0, 4.6)),
        Profile(0.5, 0.14),
        0.4,
        0.3,
    ),
    # Over the eye: the lid's hood.
    Fold(
        "eye",
        ((56, 1, 0.5), (28, 0, 1.2), (27, 0, 1.5), (29, 0, 2), (30, 0, 2)),
        Profile(0.8, 0.25),
    ),
    # Nose to mouth, with its hollow, and a shallow line beside it.
    Fold("nasolabial", _SMILE_LINE, Profile(1.25, 0.5, -1.1, 5.0), 0.6),
    Fold("nasolabial", _SMILE_LINE, Profile(3.0, 0.5), 0.3),
    Fold("nasolabial", ((207, 6, -3), (207, 3, 4), (212, -6, 0)), Profile(1.3, 0.2)),
    # Mouth to jaw, with its hollow.
    Fold("marionette", _MOUTH_TO_JAW, Profile(1.3, 0.3, -0.7, 5.0), 0.6),
    Fold("marionette", _MOUTH_TO_JAW, Profile(3.8, 0.4), 0.3),
    # Upright lines over and under the lips, and the hollow over the chin.
    Fold("lips", ((165, 3, 3), (92, 9, 4), (40, 1, -1.5)), Profile(0.5, 0.15)),
    Fold("lips", ((167, -4, 3), (39, -1, -1.5)), Profile(0.5, 0.15)),
    Fold("lips", ((92, 3, 3), (186, 6, -1)), Profile(0.5, 0.14)),
    Fold("lips", ((181, -1, 2), (182, -1, -2)), Profile(0.5, 0.12)),
    Fold(
        "chin",
        ((204, 6, -4), (182, 2, 1), (83, 0, 1), (18, 0, 0.8), (313, 0, 1.2), (406, -2, 1)),
        Profile(2.0, 0.4),
        mirrored=False,
    ),
)


@dataclass(frozen=True, eq=False)
class FoldTextures:
    """Heights in millimetres of all folds, by group and side."""

    keys: tuple[tuple[str, str], ...]
    """(group, side) of each; the side is Right, Left or empty for both."""
    heights: tuple[Floats, ...]
    """Per key the heights within its box."""
    boxes: tuple[tuple[slice, slice], ...]

    def total(self, activation: Mapping[tuple[str, str], float]) -> Floats:
        """(h,w) heights of the whole face with each group as active as told."""
        height = np.zeros(SIZE, np.float32)
        for key, part, box in zip(self.keys, self.heights, self.boxes, strict=True):
            height[box] += np.float32(activation[key]) * part
        return height


def activations(expression: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """Say how deep each group of folds is under N weights of expression by name.

    >>> round(activations({"browDownRight": 1.0})["frown", "Right"], 2)
    1.25
    """
    found = {}
    for name, group in GROUPS.items():
        for side in ("Right", "Left", ""):
            sides = [side] if side else ["Right", "Left"]
            driven = 0.0
            for drive, gain in group.drives.items():
                weights = [expression.get(drive + s, expression.get(drive, 0.0)) for s in sides]
                driven += gain * float(np.clip(np.mean(weights), 0, 1))
            found[name, side] = group.rest + driven
    return found


def texels(places: Floats) -> Floats:
    """(...,2) texels of places on the unrolled face in millimetres, corner origin."""
    return np.asarray((places - _MIDDLE + _HALF) * TEXELS, np.float32)


def fold_textures(model: FaceModel, places: Floats, seed: int) -> FoldTextures:
    """Draw all folds.

    Args:
        model: the face model whose vertices paths are given by.
        places: (V,2) millimetres on the unrolled face.
        seed: of the small departures.
    """
    rng = np.random.default_rng(seed)
    twin = model.regions["twin"]
    sums: dict[tuple[str, str], Floats] = {}
    for fold in FOLDS:
        for side in ("Right", "Left") if fold.mirrored else ("",):
            points = np.array(
                [_point(places, point, twin if side == "Left" else None) for point in fold.path]
            )
            height = _drawn(points, fold, -1.0 if side == "Left" else 1.0, rng)
            key = (fold.group, side)
            sums[key] = sums[key] + height if key in sums else height
    boxes, parts = [], []
    for height in sums.values():
        rows, columns = np.flatnonzero(height.any(1)), np.flatnonzero(height.any(0))
        box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        boxes.append(box)
        parts.append(np.ascontiguousarray(height[box]))
    return FoldTextures(tuple(sums), tuple(parts), tuple(boxes))


def _point(places: Floats, point: Point, twin: Ints | None) -> Floats:
    vertex, right, down = point
    if twin is None:
        return np.asarray(places[vertex] + np.array([right, down]), np.float32)
    return np.asarray(places[int(twin[vertex])] + np.array([-right, down]), np.float32)


def _drawn(points: Floats, fold: Fold, side: float, rng: np.random.Generator) -> Floats:
    """(h,w) heights of one fold."""
    curve, across, along = _course(points, fold.wobble, rng)
    profile, length = fold.profile, float(along[-1])
    ends = np.clip(np.minimum(along, length - along) / (0.3 * length), 0, 1)
    strength = ends * ends * (3 - 2 * ends) * (1 + 0.25 * _noise(along, 9.0, rng))
    gaps = np.clip(0.5 + 0.9 * _noise(along, 8.0, rng), 0, 1)
    strength = strength * (1 - fold.breaks * gaps)
    width = profile.width * (1 + 0.15 * _noise(along, 6.0, rng))
    reach = 3 * max(profile.width * 1.4, profile.spread if profile.bulge else 0.0)
    low = np.floor(texels(curve.min(0) - reach)).astype(int).clip(0)
    high = np.minimum(np.ceil(texels(curve.max(0) + reach)).astype(int), np.array(SIZE[::-1]))
    x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
    grid = np.stack([x, y], -1).reshape(-1, 2) / TEXELS - _HALF + _MIDDLE
    distance, nearest = cKDTree(curve).query(grid)
    signed = ((grid - curve[nearest]) * across[nearest]).sum(1) * side
    part = -profile.depth * np.exp(-0.5 * (distance / width[nearest]) ** 2) * strength[nearest]
    part = part.reshape(x.shape)
    if profile.bulge:
        # It rises from the groove to one side and sinks slowly beyond.
        rise = np.clip(np.sign(profile.bulge) * signed / profile.spread, 0, None)
        bulge = abs(profile.bulge) * rise * np.exp(0.5 * (1 - rise * rise))
        bulge *= np.exp(-0.5 * np.maximum(distance - np.abs(signed), 0) ** 2) * strength[nearest]
        # Where a path bends, places beside it that lie close together belong to far ends of it.
        part += gaussian_filter(bulge.reshape(x.shape), 0.4 * profile.spread * TEXELS)
    height = np.zeros(SIZE, np.float32)
    height[low[1] : high[1], low[0] : high[0]] = part
    return height


def _course(
    points: Floats, wobble: float, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Draw a path: (P,2) places, (P,2) directions to its left, (P,) millimetres along it."""
    chord = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    along = np.linspace(0, chord[-1], max(8, int(chord[-1] * 4)))
    curve = CubicSpline(chord, points)(along)
    tangent = np.gradient(curve, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-6)
    across = np.stack([tangent[:, 1], -tangent[:, 0]], 1)
    curve = curve + across * (wobble * _noise(along, 7.0, rng))[:, None]
    return curve, across, along


def _noise(along: Floats, period: float, rng: np.random.Generator) -> Floats:
    """Smooth noise along a path, of deviation about one."""
    keys = np.arange(along[0] - period, along[-1] + 2 * period, period)
    return np.asarray(CubicSpline(keys, rng.normal(0, 1, len(keys)))(along), np.float32)
