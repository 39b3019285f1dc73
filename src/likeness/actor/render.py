"""Frames of an actor, and what is true in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from likeness.actor import anatomy
from likeness.actor.actor import DISTANCE, FOCAL, Actor, Staging, params_of, stage
from likeness.actor.background import WALL, cast_shadow, paint_plate
from likeness.actor.motion import Motion
from likeness.actor.shade import (
    CHANNELS,
    HAIR_CHANNELS,
    IRRADIANCE,
    LASHES,
    LIPS,
    NORMAL,
    SEAM,
    UV,
    shade_body,
    shade_hair,
)  # fmt: skip
from likeness.actor.surface import normals
from likeness.compiled import njit
from likeness.face3d.camera import pixels
from likeness.face3d.light import irradiance
from likeness.face3d.raster import Ids, rasterize
from likeness.geometry import gaze_direction
from likeness.types import Bools, FaceParams, Floats, Ints, Window, check


@dataclass(frozen=True)
class RenderConfig:
    """How an actor is filmed."""

    size: tuple[int, int] = (256, 256)
    """(H, W) in pixels."""
    samples: int = 2
    """Samples per pixel along each axis."""
    shutter: float = 0.0
    """Share of the frame time that the shutter is open; 0 freezes motion."""
    exposures: int = 5
    """Moments averaged while the shutter is open."""
    noise: float = 0.0
    """Deviation of camera noise at full brightness, e.g. 0.01."""

    def __post_init__(self) -> None:
        check(min(self.size) >= 16, f"size is {self.size}, expected at least 16 pixels each way")
        check(1 <= self.samples <= 4, f"samples is {self.samples}, expected 1 to 4")
        check(0 <= self.shutter <= 1, f"shutter is {self.shutter}, expected 0 to 1")
        check(self.exposures >= 1, f"exposures is {self.exposures}, expected 1 or more")
        check(self.noise >= 0, f"noise is {self.noise}, expected >= 0")


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of a rendered performance without looking at it."""

    params: FaceParams
    landmarks: Floats
    """(N,478,3) pixels, in the tracker's order; z as in FaceTrack."""
    plate: torch.Tensor
    """(3,H,W) the wall without the actor and the shadow."""


@dataclass(frozen=True, eq=False)
class Rendered:
    """One frame with its masks. All (1,H,W) in [0,1]; soft at edges."""

    image: torch.Tensor
    """(3,H,W)."""
    face: torch.Tensor
    """Skin, eyes and mouth of the tracker's mesh, where not covered by hair."""
    head: torch.Tensor
    """Face, scalp, ears and hair."""
    person: torch.Tensor
    """Head, neck and torso."""
    shadow: torch.Tensor
    """Light on the wall, 1 where the plate is unchanged."""


def frames(
    actor: Actor, motion: Motion, config: RenderConfig | None = None, length: int = 16
) -> Iterator[torch.Tensor]:
    """Render a motion as (n,3,H,W) float32 RGB tensors of up to `length` frames."""
    config = config or RenderConfig()
    film = Film(actor, motion, config)
    for start in range(0, len(motion), length):
        stop = min(start + length, len(motion))
        yield torch.stack([film.shoot(index).image for index in range(start, stop)])


def render(
    actor: Actor, motion: Motion, index: int, config: RenderConfig | None = None
) -> Rendered:
    """Render one frame; `Film` is faster for many."""
    return Film(actor, motion, config or RenderConfig()).shoot(index)


def truth(actor: Actor, motion: Motion, config: RenderConfig | None = None) -> Truth:
    """Return parameters, landmarks and plate of a performance without rendering it."""
    film = Film(actor, motion, config or RenderConfig())
    return Truth(
        params_of(actor, motion, film.config.size),
        film.landmarks(Window(0, len(motion))),
        torch.from_numpy(film.plate).permute(2, 0, 1).contiguous(),
    )


class Film:
    """An actor, a motion and a camera: renders any frame, the same bits each time."""

    def __init__(self, actor: Actor, motion: Motion, config: RenderConfig) -> None:
        self.actor, self.motion, self.config = actor, motion, config
        self.staging = stage(actor, motion)
        self.focal = FOCAL * min(config.size)
        self.plate = paint_plate(actor.look, config.size)
        self._lids = _near_eyes(actor)
        body, hair = actor.body, actor.hair
        self._eyes = actor.model.eyes(actor.look.shape)
        self._casters = body.triangles[:: 5 if hair is None else 7]
        self._hairs = None if hair is None else hair.triangles[::3]

    def shoot(self, index: int) -> Rendered:
        """Render frame `index`.

        Raises:
            ContractError: there is no such frame.
        """
        check(0 <= index < len(self.motion), f"frame {index} of {len(self.motion)} does not exist")
        config = self.config
        if config.shutter > 0 and config.exposures > 1:
            moments = index + config.shutter * (np.arange(config.exposures) / config.exposures)
            shots = [self._expose(_between(self.staging, float(m))) for m in moments]
            planes = np.mean(shots, axis=0, dtype=np.float32)
        else:
            planes = self._expose(_between(self.staging, float(index)))
        image = planes[..., :3]
        if config.noise > 0:
            rng = np.random.default_rng((self.actor.seed, self.motion.seed, index))
            grain = rng.standard_normal(image.shape, np.float32)
            image = image + grain * config.noise * (0.35 + 0.65 * np.sqrt(image.clip(0, 1)))
        image = np.clip(image, 0, 1)
        face, head, person, shadow = (
            torch.from_numpy(np.ascontiguousarray(planes[None, ..., k])) for k in range(3, 7)
        )
        picture = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return Rendered(picture, face, head, person, shadow)

    def landmarks(self, window: Window) -> Floats:
        """Return (n,478,3) true landmarks of a window, in pixels."""
        out = np.empty((len(window), 478, 3), np.float32)
        for row, index in enumerate(window):
            state = _between(self.staging, float(index))
            head = self._head(state)[:468]
            irises = self.actor.model.irises(self.actor.look.shape, state.gaze)[0]
            points = np.concatenate([head, irises]) @ state.rotation[0].T + state.translation[0]
            flat = pixels(points, self.focal, self.config.size)
            middle = float(state.translation[0, 2])
            flat[:, 2] = (flat[:, 2] - middle) * self.focal / middle
            out[row] = flat
        return out

    def _head(self, state: Staging) -> Floats:
        """(V,3) body at rest in head space, with this expression."""
        actor = self.actor
        face = actor.model.vertices(actor.look.shape, state.expression)[0]
        points = actor.body.rest(face, actor.neutral)
        # Lids slide over the eyeballs instead of cutting through them.
        for side in range(2):
            near = self._lids[side]
            offset = points[near] - self._eyes[side]
            far = np.linalg.norm(offset, axis=1, keepdims=True)
            reach = actor.model.eye_radius + 0.5
            points[near] = self._eyes[side] + offset * np.maximum(reach / far, 1.0)
        return points

    def _expose(self, state: Staging) -> Floats:
        """(H,W,7): RGB, face, head, person, shadow of one moment."""
        actor, config = self.actor, self.config
        n = config.samples
        size = config.size[0] * n, config.size[1] * n
        focal = self.focal * n
        rest = self._head(state)
        camera = _pose(rest, actor.body.weights, state)
        hair = actor.hair
        strands = None if hair is None else _pose(hair.vertices, hair.weights, state)
        shadow = self._shadow(camera, strands)
        ground = self.plate * shadow[..., None]
        rgb = np.repeat(np.repeat(ground, n, 0), n, 1)
        depth, label = np.empty(size, np.float32), np.empty(size, np.int64)
        screen = pixels(camera, focal, size)
        ids, bary = rasterize(screen, actor.body.triangles, size)
        self._shade(state, camera, screen, ids, bary, rgb, depth, label)
        alpha = np.zeros(size, np.float32)
        if hair is not None and strands is not None:
            flat = pixels(strands, focal, size)
            attributes = self._hair_attributes(strands)
            tones = np.array([actor.look.hair, actor.look.key_color], np.float32)
            # The inside of the shell first: it shows between the tips of what hangs before it.
            inside = _turned_away(flat, hair.triangles)
            for faces in (hair.triangles[inside], hair.triangles[~inside]):
                ids, bary = rasterize(flat, faces, size)
                shade_hair(
                    ids, bary, faces, strands, attributes, actor.grain,
                    np.array(actor.look.key, np.float32), tones, hair.tips, depth, rgb, alpha,
                )  # fmt: skip
        return np.asarray(_develop(rgb, label, alpha, shadow, n))

    def _shadow(self, camera: Floats, strands: Floats | None) -> Floats:
        points, faces = camera, self._casters
        if strands is not None and self._hairs is not None:
            faces = np.concatenate([faces, self._hairs + len(points)])
            points = np.concatenate([points, strands])
        key = np.array(self.actor.look.key, np.float32)
        return cast_shadow(points, faces, self.focal, self.config.size, key, DISTANCE + WALL)

    def _shade(
        self, state: Staging, camera: Floats, screen: Floats, ids: Ids, bary: Floats,
        rgb: Floats, depth: Floats, label: Ints,
    ) -> None:  # fmt: skip
        """Fill `rgb`, `depth` and `label` for the opaque surfaces."""
        actor, look = self.actor, self.actor.look
        body = actor.body
        normal = normals(camera, body.triangles)
        attributes = np.empty((len(camera), CHANNELS), np.float32)
        lit = irradiance(normal, actor.light) * actor.occlusion[:, None]
        # Blood under the skin keeps shadows warm.
        attributes[:, IRRADIANCE : IRRADIANCE + 3] = lit + (1 - actor.occlusion[:, None]) * (
            np.array([0.10, 0.03, 0.02], np.float32)
        )
        attributes[:, NORMAL : NORMAL + 3] = normal
        attributes[:, UV : UV + 2] = body.uv
        attributes[:, LIPS], attributes[:, LASHES] = body.lips, body.lashes
        attributes[:, SEAM] = body.seam
        focal = self.focal * self.config.samples
        rotation, translation = state.rotation[0], state.translation[0]
        view = np.array(
            [focal, rgb.shape[1] / 2, rgb.shape[0] / 2, focal / translation[2], *look.key],
            np.float32,
        )
        level = float(irradiance(np.array([0, 0, -1], np.float32) @ rotation.T, actor.light).mean())
        tones = np.array(
            [look.lips, look.key_color, look.skin, [look.lashes, 0, min(level, 1.0)]], np.float32
        )
        head = np.concatenate([rotation.T, -(rotation.T @ translation)[:, None]], 1)
        shade_body(
            ids, bary, body.triangles, body.parts, camera, attributes, actor.head_texture,
            actor.torso_texture, view, tones, actor.light, self._eye_table(state),
            _eye_turns(state), np.ascontiguousarray(head, np.float32), self._mouth_table(state),
            _rims(screen), rgb, depth, label,
        )  # fmt: skip

    def _eye_table(self, state: Staging) -> Floats:
        look, model = self.actor.look, self.actor.model
        centers = self._eyes @ state.rotation[0].T + state.translation[0]
        sizes = [model.eye_radius, model.iris_radius, 2.1]
        rest = [*sizes, *look.iris, float(look.seed % 7)]
        return np.array([[*c, *rest] for c in centers], np.float32)

    def _mouth_table(self, state: Staging) -> Floats:
        """Where teeth and tongue are: upper fixed to the skull, lower to the jaw."""
        neutral = self.actor.neutral
        face = self.actor.model.vertices(self.actor.look.shape, state.expression)[0]
        jaw = (face - neutral)[[18, 200]].mean(0)
        line = 0.5 * (neutral[13, 1] + neutral[14, 1])
        front = float(neutral[13, 2]) + 6.0
        wide, deep = 0.52 * float(neutral[291, 0] - neutral[61, 0]), 34.0
        x = float(neutral[13, 0])
        drop = np.array([jaw[0], jaw[1], 0.35 * jaw[2]])
        table = [x, front + deep, wide, deep, line + 1.2, *drop, line + 0.6, x, line + 7.5,
                 front + 26.0]  # fmt: skip
        depth = float(np.linalg.norm(state.translation[0])) + front
        return np.array([*table, depth], np.float32)

    def _hair_attributes(self, strands: Floats) -> Floats:
        actor, hair = self.actor, self.actor.hair
        assert hair is not None  # noqa: S101 - the caller has looked
        normal = normals(strands, hair.triangles)
        shell = hair.rows * hair.columns
        grid = strands[:shell].reshape(hair.rows, hair.columns, 3)
        tangent = np.zeros_like(strands)
        tangent[:shell] = np.gradient(grid, axis=0).reshape(-1, 3)
        tangent[shell:] = [0.0, 1.0, 0.1]
        attributes = np.empty((len(strands), HAIR_CHANNELS), np.float32)
        attributes[:, :3] = irradiance(normal, actor.light) * actor.hair_occlusion[:, None]
        attributes[:, 3:6], attributes[:, 6:9] = normal, tangent
        attributes[:, 9:11], attributes[:, 11] = hair.strand, hair.end
        return attributes


def _near_eyes(actor: Actor) -> tuple[Ints, Ints]:
    """Vertices of the lids, whose motion is confined to the outside of the eyeballs."""
    rest = actor.body.rest(actor.neutral, actor.neutral)
    rest = rest[: actor.body.smooth.matrix.shape[0]]
    found = []
    for center in actor.model.eyes(actor.look.shape):
        offset = rest - center
        flat = np.linalg.norm(offset[:, :2], axis=1)
        found.append(np.flatnonzero((offset[:, 2] < 2) & (flat < 15)))
    return found[0], found[1]


def _between(staging: Staging, moment: float) -> Staging:
    """One moment, interpolated between frames; held after the last."""
    low = min(int(moment), len(staging) - 1)
    high = min(low + 1, len(staging) - 1)
    t = np.float32(moment - low)

    def mix(values: Floats) -> Floats:
        return values[low : low + 1] * (1 - t) + values[high : high + 1] * t

    def turn(values: Floats) -> Floats:
        if t == 0:
            return values[low : low + 1]
        # Half a frame turns by a degree at most: orthonormalizing the mean is exact enough.
        u, _, v = np.linalg.svd(mix(values))
        return np.asarray(u @ v, np.float32)

    return Staging(
        turn(staging.rotation), mix(staging.translation), turn(staging.torso_rotation),
        mix(staging.torso_translation), mix(staging.expression), mix(staging.gaze),
    )  # fmt: skip


def _pose(points: Floats, weights: Floats, state: Staging) -> Floats:
    head = points @ state.rotation[0].T + state.translation[0]
    torso = points @ state.torso_rotation[0].T + state.torso_translation[0]
    share = weights[:, None]
    return np.ascontiguousarray(share * head + (1 - share) * torso, np.float32)


def _turned_away(screen: Floats, triangles: Ints) -> Bools:
    """(F,) True where a triangle shows its inside."""
    a, b, c = (screen[triangles[:, k], :2] for k in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    return np.asarray(area > 0)


def _eye_turns(state: Staging) -> Floats:
    """(2,3,3) eye from camera: the third row is minus the direction of sight."""
    turns = []
    for ahead in gaze_direction(state.gaze[0]):
        z = -ahead
        x = np.cross([0.0, 1.0, 0.0], z)
        x /= np.linalg.norm(x)
        turns.append(np.stack([x, np.cross(z, x), z]) @ state.rotation[0].T)
    return np.array(turns, np.float32)


def _rims(screen: Floats) -> Floats:
    """(3,2,11,2) lids and lips in samples; short rings repeat their last point."""
    rims = np.empty((3, 2, 11, 2), np.float32)
    rings = [
        (anatomy.UPPER_LIDS[0], anatomy.LOWER_LIDS[0]),
        (anatomy.UPPER_LIDS[1], anatomy.LOWER_LIDS[1]),
        (anatomy.INNER_LIPS_UPPER, anatomy.INNER_LIPS_LOWER),
    ]
    for index, pair in enumerate(rings):
        for side, ring in enumerate(pair):
            padded = list(ring) + [ring[-1]] * (11 - len(ring))
            rims[index, side] = screen[padded, :2]
    return rims


@njit(cache=True, nogil=True)
def _develop(rgb: Floats, label: Ints, alpha: Floats, shadow: Floats, n: int) -> Floats:
    """Average samples into pixels, and labels into masks."""
    height, width = shadow.shape
    out = np.zeros((height, width, 7), np.float32)
    share = np.float32(1.0 / (n * n))
    for row in range(height):
        for column in range(width):
            for i in range(n):
                for j in range(n):
                    y, x = row * n + i, column * n + j
                    for c in range(3):
                        out[row, column, c] += rgb[y, x, c]
                    part, hair = label[y, x], alpha[y, x]
                    face = 1.0 - hair if 0 <= part <= 3 else 0.0
                    head = 1.0 if 0 <= part <= 4 or part == 7 else hair
                    out[row, column, 3] += face
                    out[row, column, 4] += head
                    out[row, column, 5] += 1.0 if part >= 0 else hair
            for c in range(6):
                out[row, column, c] *= share
            out[row, column, 6] = shadow[row, column]
    return out
