"""Hair as a shell of strands: a grid whose columns run from the crown to the tips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from likeness.actor.anatomy import Skull
from likeness.actor.appearance import Appearance
from likeness.actor.surface import Reals, grid_triangles
from likeness.types import Ints

_COLUMNS, _ROWS = 96, 26


@dataclass(frozen=True)
class Cut:
    """Shape of a hair style, millimetres and radians."""

    volume: float
    """Thickness over the crown."""
    edge: float
    """Thickness at the hairline."""
    front: float = 0.0
    """How far the front falls beyond the hairline over the forehead."""
    hang: float = 0.0
    """How far sides and back hang below the ears' tops."""
    lift: float = 0.0
    """Extra thickness at the front, brushed up."""
    sweep: float = 0.0
    """Side parting: asymmetry of the volume."""
    wave: float = 0.0
    """Amplitude of waves along the strands."""
    lump: float = 0.0
    """Amplitude of curls, as bumps of the shell."""
    tips: float = 0.10
    """Raggedness of the ends as a share of the strand."""
    bun: float = 0.0
    """Radius of a bun on the crown."""


CUTS: dict[str, Cut | None] = {
    "bald": None,
    "buzz": Cut(3.0, 1.0, tips=0.10),
    "short": Cut(13.0, 1.2, front=4.0, tips=0.15),
    "side": Cut(17.0, 1.5, front=2.0, lift=8.0, sweep=0.5, tips=0.12),
    "quiff": Cut(13.0, 1.0, lift=20.0, tips=0.10),
    "curly": Cut(26.0, 2.0, hang=34.0, lump=5.0, tips=0.07),
    "long": Cut(14.0, 1.5, hang=190.0, sweep=0.25, tips=0.08),
    "wavy": Cut(18.0, 2.0, hang=160.0, wave=5.0, sweep=-0.4, tips=0.10),
    "bob": Cut(16.0, 6.0, front=34.0, hang=82.0, tips=0.06),
    "bun": Cut(7.0, 2.0, bun=34.0, tips=0.08),
}


@dataclass(frozen=True, eq=False)
class Hair:
    """The shell at rest in head space."""

    vertices: Reals
    triangles: Ints
    weights: Reals
    """(V,) 1 follows the head; hanging ends follow the torso a little."""
    strand: Reals
    """(V,2): place around the head in turns [0,1], millimetres from the root."""
    end: Reals
    """(V,) 0 at the root, 1 at the tip."""
    line: Reals
    """(C,2) azimuth and head-space y of the hairline."""
    tips: float
    rows: int = _ROWS
    columns: int = _COLUMNS


def build_hair(skull: Skull, look: Appearance, head: Reals, neutral: Reals) -> Hair | None:
    """Grow the shell of `look.hair_style` over a head at rest.

    Args:
        skull: from `anatomy.build_body`.
        look: traits.
        head: (V,3) head vertices that the hair lies on.
        neutral: (F,3) face vertices at rest, for the hairline.

    Returns:
        None for a bald head.
    """
    cut = CUTS[look.hair_style]
    if cut is None:
        return None
    rng = np.random.default_rng((look.seed, 5))
    azimuth = np.linspace(-np.pi, np.pi, _COLUMNS + 1)
    away = np.abs(azimuth)
    line = _hairline(skull, neutral, azimuth, cut)
    mean = float(np.mean(skull.radii))
    front = _bump(away, 0.0, 1.05) * cut.front * (1 + cut.sweep * np.sin(azimuth))
    hang = cut.hang * _step(away, 0.95, 1.35)
    at = np.stack([np.sin(line) * np.sin(azimuth), -np.cos(line), -np.sin(line) * np.cos(azimuth)])
    edge = skull.center[1] + at[1] * _radius(at.T, head - skull.center)
    drop = np.where(cut.hang > 30, np.minimum(line, 1.62), line) if cut.hang > 0 else line
    line = np.where(hang > 1, drop, line)
    surface = line * mean + front
    total = surface + hang
    rows = np.linspace(0.0, 1.0, _ROWS)[:, None]
    along = rows * total[None]
    polar = np.minimum(along, surface) / mean
    hanging = np.maximum(along - surface, 0.0)
    thickness = _thickness(cut, rows, azimuth[None], hanging, rng)
    direction = np.stack(
        [np.sin(polar) * np.sin(azimuth), -np.cos(polar), -np.sin(polar) * np.cos(azimuth)], -1
    )
    radius = _radius(direction.reshape(-1, 3), head - skull.center).reshape(polar.shape)
    points = skull.center + direction * (radius + thickness)[..., None]
    points = _hang(points, hanging, azimuth, cut, rng)
    vertices = points.reshape(-1, 3).astype(np.float32)
    turns = np.broadcast_to((azimuth / (2 * np.pi) + 0.5)[None], along.shape)
    loose = np.clip((hanging - 50) / 160, 0, 1) * 0.75
    end = np.broadcast_to(rows, along.shape)
    triangles = grid_triangles(_ROWS, _COLUMNS + 1, closed=False)
    hair = Hair(
        vertices,
        triangles,
        (1 - loose).ravel().astype(np.float32),
        np.stack([turns, along], -1).reshape(-1, 2).astype(np.float32),
        end.ravel().astype(np.float32),
        np.stack([azimuth, edge], 1).astype(np.float32),
        cut.tips,
        columns=_COLUMNS + 1,
    )
    return _with_bun(hair, skull, cut.bun) if cut.bun > 0 else hair


def _hairline(skull: Skull, neutral: Reals, azimuth: Reals, cut: Cut) -> Reals:
    """Polar angle from the crown at which hair ends, per column."""
    ring = (109, 10, 338, 297, 332, 284, 251, 389, 356)
    offset = neutral[list(ring)] - skull.center
    offset[:, 0] = np.abs(offset[:, 0])
    around = np.arctan2(offset[:, 0], -offset[:, 2])
    polar = np.arccos(-offset[:, 1] / np.linalg.norm(offset, axis=1))
    order = np.argsort(around)
    polar = polar[order] - 0.035
    tail = np.array([[around.max() + 0.14, polar[-1] + 0.18], [1.72, 1.62], [1.95, 1.50]])
    nape = np.array([[2.2, 1.95], [2.6, 2.2], [np.pi, 2.25]])
    x = np.concatenate([around[order], tail[:, 0], nape[:, 0]])
    y = np.concatenate([polar, tail[:, 1], nape[:, 1]])
    line = np.interp(np.abs(azimuth), x, y)
    kernel = np.array([1, 2, 1]) / 4
    for _ in range(2):
        line = np.convolve(np.pad(line, 1, mode="edge"), kernel, mode="valid")
    return np.asarray(line, np.float64)


def _thickness(
    cut: Cut, rows: Reals, azimuth: Reals, hanging: Reals, rng: np.random.Generator
) -> Reals:
    dome = np.clip(1 - rows**3, 0, 1)
    thickness = cut.edge + (cut.volume - cut.edge) * dome
    thickness = thickness * (1 + cut.sweep * 0.35 * np.sin(azimuth))
    ahead = _bump(np.abs(azimuth), 0.0, 1.1)
    thickness = thickness + cut.lift * ahead * np.sin(np.pi * np.clip(rows * 0.93, 0, 1)) ** 1.5
    # Hair that hangs keeps its body instead of thinning to the hairline.
    body = np.maximum(cut.edge, 0.55 * cut.volume)
    side = _step(np.abs(azimuth), 1.05, 1.7) * (cut.hang > 0)
    thickness = thickness + side * np.clip(body - thickness, 0, None)
    ridges = np.zeros_like(thickness)
    for frequency, height in ((9, 0.10), (17, 0.07), (29, 0.05)):
        phase = rng.uniform(0, 2 * np.pi)
        bend = rng.uniform(1, 3)
        ridges += height * np.sin(frequency * azimuth + phase + bend * rows)
    thickness = thickness * (1 + ridges * np.clip(rows * 3, 0, 1))
    if cut.lump > 0:
        lumps = np.zeros_like(thickness)
        for _ in range(6):
            f, g = rng.uniform(7, 19), rng.uniform(8, 26)
            lumps += np.sin(np.round(f) * azimuth + rng.uniform(0, 6)) * np.sin(
                g * rows + rng.uniform(0, 6)
            )
        thickness = thickness + cut.lump * 0.5 * lumps * np.clip(rows * 4, 0, 1)
    return np.asarray(np.maximum(thickness, 0.6) + 0 * hanging)


def _hang(
    points: Reals, hanging: Reals, azimuth: Reals, cut: Cut, rng: np.random.Generator
) -> Reals:
    """Let what reaches beyond the skull fall down, with waves."""
    points = points.copy()
    if cut.hang <= 0:
        return points
    phase = rng.uniform(0, 2 * np.pi) + 2.0 * np.sin(3 * azimuth)
    sway = np.sin(hanging / 13.0 + phase) * np.clip(hanging / 40, 0, 1) * cut.wave
    outward = np.sin(azimuth), -np.cos(azimuth)
    closer = -8.0 * np.clip(hanging / 120, 0, 1) ** 2
    points[..., 1] += hanging * 0.985
    points[..., 0] += outward[0] * (sway + closer)
    points[..., 2] += outward[1] * (sway + closer)
    return points


def _with_bun(hair: Hair, skull: Skull, radius: float) -> Hair:
    """Add a ball of hair on the back of the crown."""
    rows, columns = 12, 28
    t = np.linspace(0.02, np.pi - 0.02, rows)[:, None]
    turn = np.linspace(0, 2 * np.pi, columns)[None]
    ball = np.stack(
        [np.sin(t) * np.sin(turn), -np.cos(t) + 0 * turn, -np.sin(t) * np.cos(turn)], -1
    )
    place = (
        skull.center + skull.radii * np.array([0, -0.93, 0.30]) + np.array([0, -0.5 * radius, 0])
    )
    points = (place + ball * radius * np.array([1.15, 0.9, 1.0])).reshape(-1, 3)
    faces = grid_triangles(rows, columns, closed=False) + len(hair.vertices)
    strand = np.stack([(turn / (2 * np.pi) + 0 * t).ravel(), (t * radius + 0 * turn).ravel()], 1)
    extra = len(points)
    return Hair(
        np.concatenate([hair.vertices, points]).astype(np.float32),
        np.concatenate([hair.triangles, faces]),
        np.concatenate([hair.weights, np.ones(extra)]).astype(np.float32),
        np.concatenate([hair.strand, strand]).astype(np.float32),
        np.concatenate([hair.end, np.full(extra, 0.5)]).astype(np.float32),
        hair.line,
        hair.tips,
        hair.rows,
        hair.columns,
    )


def _radius(directions: Reals, points: Reals) -> Reals:
    """Distance of the head's surface in given directions, smoothly, from its vertices."""
    length = np.linalg.norm(points, axis=1)
    tree = cKDTree(points / length[:, None])
    distance, index = tree.query(directions, k=6)
    weight = np.exp(-((distance / 0.08) ** 2)) + 1e-6
    return np.asarray((weight * length[index]).sum(1) / weight.sum(1))


def _step(x: Reals, low: float, high: float) -> Reals:
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def _bump(x: Reals, center: float, width: float) -> Reals:
    return 1 - _step(np.abs(x - center), 0.35 * width, width)
