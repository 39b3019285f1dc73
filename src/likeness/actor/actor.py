"""An actor: a person built from a seed, and where that person stands and moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness.actor.anatomy import EYE_RIGHT, MOUTH, Body, build_body
from likeness.actor.appearance import Appearance, look_from_seed
from likeness.actor.hair import Hair, build_hair
from likeness.actor.motion import EXPRESSIONS, Motion, torso_motion
from likeness.actor.paint import noise, paint_head, paint_torso
from likeness.actor.surface import Reals, normals
from likeness.face3d.light import harmonics
from likeness.face3d.model import FaceModel
from likeness.face3d.raster import rasterize
from likeness.geometry import axis_angle, rotation_from_euler
from likeness.store import load_face_model
from likeness.types import FaceParams, Floats, Ints

FOCAL = 2.2
"""Focal length in units of the frame's shorter side."""
DISTANCE = 780.0
"""Millimetres from the camera to the origin of the standing head."""
RISE = 6.0
"""Millimetres that the head's origin stands above the middle of the frame."""
_PROBES = 42
_PROBE_SIZE = 160


@dataclass(frozen=True, eq=False)
class Actor:
    """One person, ready to be rendered."""

    seed: int
    model: FaceModel
    look: Appearance
    neutral: Floats
    """(F,3) face at rest."""
    body: Body
    hair: Hair | None
    head_texture: Floats
    torso_texture: Floats
    grain: Floats
    """(h,w,2) noise along strands of hair."""
    occlusion: Floats
    """(V,) share of the sky that each vertex of the body sees, 0 to 1."""
    hair_occlusion: Floats
    light: Floats
    """(9,3) spherical harmonics; key and fill of the look."""

    @staticmethod
    def from_seed(seed: int, model: FaceModel | None = None) -> Actor:
        """Build an actor.

        Args:
            seed: any integer >= 0.
            model: face model to build on; it must have the tracker's topology. None loads the
                shipped one.

        Returns:
            The same actor, to the bit, whenever it is called with the same arguments.
        """
        model = load_face_model() if model is None else model
        return Actor.from_look(look_from_seed(seed, len(model.identity)), model)

    @staticmethod
    def from_look(look: Appearance, model: FaceModel | None = None) -> Actor:
        """Build an actor who looks as told, such as one person's face under another's hair.

        Args:
            look: all traits; `look.seed` decides what they leave open.
            model: as in `from_seed`.
        """
        model = load_face_model() if model is None else model
        neutral = model.neutral(look.shape)
        body = build_body(model, look)
        rest = body.rest(neutral, neutral)
        head = rest[: body.smooth.matrix.shape[0]]
        hair = build_hair(body.skull, look, head, neutral)
        ao, hair_ao = _occlusion(body, rest, hair)
        ao = _open_corners(ao, rest, neutral)
        rng = np.random.default_rng((look.seed, 19))
        return Actor(
            seed=look.seed,
            model=model,
            look=look,
            neutral=neutral,
            body=body,
            hair=hair,
            head_texture=paint_head(body, look, neutral, None if hair is None else hair.line),
            torso_texture=paint_torso(look),
            grain=_grain(rng),
            occlusion=ao,
            hair_occlusion=hair_ao,
            light=_light(look),
        )


@dataclass(frozen=True, eq=False)
class Staging:
    """N frames of an actor's performance as transforms."""

    rotation: Floats
    """(N,3,3) head to camera."""
    translation: Floats
    """(N,3) millimetres."""
    torso_rotation: Floats
    torso_translation: Floats
    expression: Floats
    """(N,E) in the order of the face model's names."""
    gaze: Floats
    """(N,2,2)."""

    def __len__(self) -> int:
        return len(self.translation)


def stage(actor: Actor, motion: Motion) -> Staging:
    """Turn a motion into one actor's transforms: the head turns around this actor's neck."""
    head = rotation_from_euler(*motion.angles.T)
    stand = np.array([0.0, -RISE, DISTANCE], np.float32)
    pivot = actor.body.skull.pivot
    moved = stand + pivot - head @ pivot + motion.translation
    angles, shift = torso_motion(motion)
    torso = rotation_from_euler(*angles.T)
    base = actor.body.skull.neck_base
    order = [
        EXPRESSIONS.index(name) if name in EXPRESSIONS else -1
        for name in actor.model.expression_names
    ]
    weights = np.where(np.array(order) >= 0, motion.expression[:, order], 0.0)
    return Staging(
        head.astype(np.float32),
        moved.astype(np.float32),
        torso.astype(np.float32),
        (stand + base - torso @ base + shift).astype(np.float32),
        weights.astype(np.float32),
        motion.gaze,
    )


def params_of(actor: Actor, motion: Motion, size: tuple[int, int]) -> FaceParams:
    """Return the true parameters of a performance filmed at `size` (H, W).

    `albedo` is the face model's nearest to the painted skin; everything else is exact.
    """
    staging = stage(actor, motion)
    return FaceParams(
        model=actor.model.name,
        shape=actor.look.shape,
        albedo=_nearest_albedo(actor),
        expression=staging.expression,
        expression_names=actor.model.expression_names,
        rotation=axis_angle(staging.rotation),
        translation=staging.translation,
        light=np.repeat(actor.light[None], len(staging), 0),
        gaze=staging.gaze,
        focal=FOCAL * min(size),
    )


def _nearest_albedo(actor: Actor) -> Reals:
    model = actor.model
    h, w = actor.head_texture.shape[:2]
    uv = actor.body.uv[: len(actor.neutral)]
    column = np.clip((uv[:, 0] * w).astype(int), 0, w - 1)
    row = np.clip((uv[:, 1] * h).astype(int), 0, h - 1)
    painted = actor.head_texture[row, column, :3].copy()
    lips = actor.body.lips[: len(painted), None] > 0.6
    painted = np.where(lips, np.array(actor.look.lips, np.float32), painted)
    modes = model.albedo.reshape(len(model.albedo), -1).astype(np.float64)
    wanted = (painted - model.albedo_mean).ravel().astype(np.float64)
    ridge = 1e-2 * np.eye(len(modes))
    return np.linalg.solve(modes @ modes.T + ridge, modes @ wanted).astype(np.float32)


def _light(look: Appearance) -> Floats:
    """Project key and fill onto nine harmonics, as the irradiance they cause."""
    count = 2000
    k = np.arange(count) + 0.5
    polar, turn = np.arccos(1 - 2 * k / count), np.pi * (1 + 5**0.5) * k
    n = np.stack(
        [np.sin(polar) * np.cos(turn), np.cos(polar), np.sin(polar) * np.sin(turn)], 1
    ).astype(np.float32)
    key = np.clip(n @ np.array(look.key, np.float32), 0, None)[:, None]
    sky = 0.78 - 0.22 * n[:, 1:2] - 0.10 * n[:, 2:]
    wanted = key * np.array(look.key_color) + sky * np.array(look.fill_color)
    solved, *_ = np.linalg.lstsq(harmonics(n).astype(np.float64), wanted, rcond=None)
    return np.asarray(solved, np.float32)


def _grain(rng: np.random.Generator) -> Reals:
    """Noise that is fine across strands and long along them."""
    fine = noise(rng, (64, 512), 0.6)
    fine = np.repeat(fine, 4, 0)
    smooth = np.cumsum(np.concatenate([fine, fine, fine]), 0)
    long = (smooth[256 + 20 : 512 + 20] - smooth[256 - 20 : 512 - 20]) / 40
    broad = np.repeat(noise(rng, (16, 512), 3.0), 16, 0)
    both = np.stack([long / max(float(long.std()), 1e-6), broad / float(broad.std())], -1)
    return np.asarray(both.clip(-2, 2) * 0.5, np.float32)


def _occlusion(body: Body, rest: Reals, hair: Hair | None) -> tuple[Reals, Reals]:
    """Share of directions around the normal from which each vertex can be seen, at rest."""
    window = (body.parts >= EYE_RIGHT) & (body.parts <= MOUTH)
    vertices, triangles = rest, body.triangles[~window]
    normal = normals(rest, triangles)
    if hair is not None:
        over = normals(hair.vertices, hair.triangles)
        vertices = np.concatenate([vertices, hair.vertices])
        normal = np.concatenate([normal, over])
        triangles = np.concatenate([triangles, hair.triangles + len(rest)])
    near = vertices[:, 1] < rest[:, 1].max() - 200
    seen, total = np.zeros(len(vertices)), np.full(len(vertices), 1e-6)
    k = np.arange(_PROBES) + 0.5
    polar, turn = np.arccos(1 - 2 * k / _PROBES), np.pi * (1 + 5**0.5) * k
    for p, t in zip(polar, turn, strict=True):
        toward = np.array([np.sin(p) * np.cos(t), np.cos(p), np.sin(p) * np.sin(t)])
        weight = np.clip(normal @ toward, 0, None)
        seen += weight * _visible(vertices, triangles, toward, near)
        total += weight
    share = np.clip(seen / total, 0, 1).astype(np.float32)
    # Full darkness never happens on skin: light bounces.
    share = 0.35 + 0.65 * share**0.8
    return share[: len(rest)], share[len(rest) :]


def _open_corners(ao: Reals, rest: Reals, neutral: Reals) -> Reals:
    """Lighten the folds beside the mouth, which are closed only at rest."""
    for corner in (61, 291):
        near = np.exp(-((np.linalg.norm(rest - neutral[corner], axis=1) / 13.0) ** 2))
        ao = ao + near * np.clip(0.86 - ao, 0, None)
    return np.asarray(ao, np.float32)


def _visible(vertices: Reals, triangles: Ints, toward: Reals, near: Reals) -> Reals:
    """(V,) True where nothing stands between a vertex and a direction."""
    side = np.cross([0.0, 0.31, 0.95], toward)
    side /= np.linalg.norm(side)
    up = np.cross(toward, side)
    flat = vertices @ np.stack([side, up, -toward], 1)
    low, high = flat[near].min(0), flat[near].max(0)
    scale = (_PROBE_SIZE - 2) / float((high - low)[:2].max())
    screen = flat - low
    screen[:, :2] = screen[:, :2] * scale + 1
    screen[:, 2] += 600 - 0 * low[2]
    screen = screen.astype(np.float32)
    ids, bary = rasterize(screen, triangles, (_PROBE_SIZE, _PROBE_SIZE), perspective=False)
    depth = np.where(ids >= 0, (screen[triangles[ids], 2] * bary).sum(-1), 1e9)
    column = np.clip(screen[:, 0].astype(int), 0, _PROBE_SIZE - 1)
    row = np.clip(screen[:, 1].astype(int), 0, _PROBE_SIZE - 1)
    # Soft test over a few millimetres hides the steps of the coarse map.
    return np.asarray(np.clip((depth[row, column] + 7.0 - screen[:, 2]) / 4.0, 0, 1))
