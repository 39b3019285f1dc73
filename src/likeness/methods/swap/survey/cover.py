"""Things before faces, for networks that have to learn to leave them there.

FaceShifter cuts hands and objects out of other data sets. Here they are drawn: bars, such as
fingers, sticks and frames of glasses, and blobs, shaded across and grainy, of any color.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likeness.types import Bools, Floats

_MOST = 3
"""Things before one face."""


def cover(
    random: np.random.Generator, pictures: Sequence[Tensor], chosen: Bools
) -> tuple[Tensor, ...]:
    """Lay the same things over pictures that lie alike.

    Args:
        random: where they come from.
        pictures: each (N,3,S,S) RGB in [0,1].
        chosen: (N,) over which rows.

    Returns:
        The pictures; rows that were not chosen are as they came.
    """
    count, side = len(pictures[0]), pictures[0].shape[-1]
    color = np.zeros((count, 3, side, side), np.float32)
    alpha = np.zeros((count, 1, side, side), np.float32)
    for row in np.flatnonzero(chosen):
        for _ in range(int(random.integers(1, _MOST + 1))):
            thing, shape = _thing(random, side)
            color[row] = thing * shape + color[row] * (1 - shape)
            alpha[row, 0] = np.maximum(alpha[row, 0], shape)
    laid, where = torch.from_numpy(color), torch.from_numpy(alpha)
    # Where nothing lies, the color is black already.
    over = [torch.where(where > 0, torch.lerp(one, laid / where.clamp(min=1e-3), where), one)
            for one in pictures]  # fmt: skip
    return tuple(one.clamp(0, 1) for one in over)


def _thing(random: np.random.Generator, side: int) -> tuple[Floats, Floats]:
    """Return color (3,S,S) and shape (S,S) from 0 to 1 of one thing."""
    y, x = ((np.mgrid[:side, :side] + 0.5) / side).astype(np.float32)
    turn, (u, v) = random.uniform(0, np.pi), random.uniform(0.15, 0.85, 2)
    along = (x - u) * np.cos(turn) + (y - v) * np.sin(turn)
    across = (y - v) * np.cos(turn) - (x - u) * np.sin(turn)
    if random.random() < 0.6:
        half, length = random.uniform(0.015, 0.08), random.uniform(0.2, 0.9)
        across = across + random.uniform(-1, 1) * along**2
        out = np.maximum(np.abs(across) / half, np.abs(along) / length)
    else:
        a, b = random.uniform(0.06, 0.22, 2)
        half, out = b, np.sqrt((along / a) ** 2 + (across / b) ** 2)
    shape = np.clip((1 - out) * half * side + 0.5, 0, 1)
    shade = 1 + 0.35 * random.uniform(-1, 1) * np.clip(across / half, -1, 1)
    base: NDArray[np.float64] = random.uniform(0.05, 0.95, 3)
    color = base[:, None, None] * shade + random.normal(0, 0.02, (1, side, side))
    return np.clip(color, 0, 1).astype(np.float32), shape.astype(np.float32)
