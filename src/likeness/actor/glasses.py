"""Glasses for an actor: two rims, a bridge and temples, drawn over a rendered frame."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from likeness.actor.actor import FOCAL, Actor, stage
from likeness.actor.motion import Motion
from likeness.actor.surface import Reals
from likeness.face3d.camera import pixels
from likeness.types import Floats

_STEPS = 28
_FORWARD = 9.0
"""Millimetres from the front of the eyeball to the lens."""
_EAR = (12.0, 66.0)
"""Millimetres beyond the outer rim, and behind it, where a temple meets the ear."""


@dataclass(frozen=True)
class Glasses:
    """A pair of glasses."""

    width: float = 23.0
    """Half width of a lens in millimetres."""
    height: float = 18.0
    """Half height."""
    square: float = 3.0
    """Exponent of the rim's shape: 2 is an ellipse, more is squarer."""
    thickness: float = 2.6
    """Of the rim, in millimetres."""
    color: tuple[float, float, float] = (0.07, 0.06, 0.06)

    @staticmethod
    def from_seed(seed: int) -> Glasses:
        """Draw a pair."""
        rng = np.random.default_rng((seed, 83))
        colors = ((0.07, 0.06, 0.06), (0.24, 0.13, 0.07), (0.35, 0.33, 0.30), (0.35, 0.06, 0.07))
        return Glasses(
            width=float(rng.uniform(21, 26)),
            height=float(rng.uniform(16, 21)),
            square=float(rng.uniform(2.0, 4.5)),
            thickness=float(rng.uniform(1.8, 3.8)),
            color=colors[int(rng.integers(len(colors)))],
        )


def wear(picture: Floats, glasses: Glasses, actor: Actor, motion: Motion, index: int) -> Floats:
    """Draw glasses over one rendered frame.

    Args:
        picture: (H,W,3) frame `index` of the motion.
        glasses: what is worn.
        actor: who wears it.
        motion: what the actor does.
        index: which frame it is.

    Returns:
        (H,W,3) with rims, bridge and the nearer temple; nothing covers them.
    """
    size = picture.shape[0], picture.shape[1]
    state = stage(actor, motion)
    turn, shift = state.rotation[index], state.translation[index]
    focal = FOCAL * min(size)
    cover = np.zeros(size, np.float32)
    for line in _lines(glasses, actor, turn):
        flat = pixels(np.asarray(line @ turn.T + shift, np.float32), focal, size)
        half = 0.5 * glasses.thickness * focal / float(flat[:, 2].mean())
        np.maximum(cover, _stroke(flat[:, :2], half, size), out=cover)
    color = np.array(glasses.color, np.float32)
    return np.asarray(picture + cover[..., None] * (color - picture), np.float32)


def _lines(glasses: Glasses, actor: Actor, turn: Floats) -> list[Reals]:
    """Polylines (P,3) in head space."""
    eyes = actor.model.eyes(actor.look.shape)
    front = float(eyes[:, 2].mean()) - actor.model.eye_radius - _FORWARD
    angle = np.linspace(0, 2 * np.pi, _STEPS + 1)
    shape = 2 / glasses.square
    across = glasses.width * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** shape
    down = glasses.height * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** shape + 3.0
    lines: list[Reals] = []
    # Lenses lie a little farther apart than the eyes do, and follow the curve of the face.
    for x, y, _ in eyes:
        outward = np.sign(x) * 1.5
        bent = front + 0.06 * np.maximum(np.sign(x) * across, 0)
        lines.append(np.stack([x + outward + across, y + down, bent], 1))
    inner = sorted(x + np.sign(x) * 1.5 - np.sign(x) * glasses.width for x, _, _ in eyes)
    height = float(eyes[:, 1].mean())
    bow = np.linspace(0, 1, 7)
    lines.append(
        np.stack(
            [
                inner[0] + (inner[1] - inner[0]) * bow,
                height - 2.5 * np.sin(np.pi * bow),
                np.full(7, front),
            ],
            1,
        )
    )
    for x, y, _ in eyes:
        side = np.sign(x)
        # A temple is seen where its side of the head is turned toward the camera.
        if (turn @ np.array([side, 0.0, -0.35]))[2] < 0:
            outer = x + side * (glasses.width + 1.5)
            ends = [[outer, y - 4, front + 2], [outer + side * _EAR[0], y - 4, front + _EAR[1]]]
            lines.append(np.array(ends))
    return lines


def _stroke(points: Floats, half: float, size: tuple[int, int]) -> Floats:
    """(H,W) how much of each pixel a line of width 2 * `half` covers."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32) + 0.5
    nearest = np.full(size, 1e9, np.float32)
    for a, b in pairwise(points):
        along = b - a
        length = float(along @ along) + 1e-9
        t = np.clip(((x - a[0]) * along[0] + (y - a[1]) * along[1]) / length, 0, 1)
        away = (x - a[0] - t * along[0]) ** 2 + (y - a[1] - t * along[1]) ** 2
        np.minimum(nearest, away, out=nearest)
    return np.asarray(np.clip(half + 0.5 - np.sqrt(nearest), 0, min(1.0, 2 * half)), np.float32)
