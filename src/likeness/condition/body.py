"""The body: which keyframe lends shoulders and neck.

Nothing in FaceParams says where the torso is, and one pose of the head goes with several. A
generator that has to guess blends them half transparent. So one keyframe is chosen for the body
alone. While training, it is the one whose body looks most like the wanted frame's, and the
generator learns to take the body from there. At run time it is the one whose head is posed most
like the wanted one, and kept for as long as that holds: a switch costs as much as it would show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from likeness.compiled import njit
from likeness.types import Floats, Ints, check

_CELLS = 16
"""Cells along a side of the crop in which bodies are compared."""
_STEP = 0.03
"""RMS difference of color that is one visible step."""
_SWITCH = 1.0
"""Price of any switch, in squared visible steps of one frame."""
_SHOWN = 2.0
"""Price of a switch per squared visible step between the two bodies."""


@dataclass(frozen=True, eq=False)
class Bodies:
    """What N frames show around the head."""

    colors: Floats
    """(N,C,3) mean color of each cell."""
    counted: Floats
    """(N,C) 1 where the cell lies off the head, 0 on it."""

    def __len__(self) -> int:
        return len(self.colors)

    @staticmethod
    def joined(parts: Sequence[Bodies]) -> Bodies:
        """Return the frames of all parts, in order."""
        return Bodies(
            np.concatenate([part.colors for part in parts]),
            np.concatenate([part.counted for part in parts]),
        )

    def steadily(self) -> Floats:
        """(N,D) coordinates in visible steps, of the cells that no head ever covers."""
        free = self.counted.min(0) > 0
        flat = self.colors[:, free].reshape(len(self), -1)
        coordinates: Floats = flat / (_STEP * np.sqrt(max(flat.shape[1], 1)))
        return coordinates

    def apart(self, others: Bodies) -> Floats:
        """(N,M) squared visible steps between bodies, over cells that neither head covers."""
        both = self.counted @ others.counted.T
        mine = self.colors * self.counted[..., None]
        theirs = others.colors * others.counted[..., None]
        squares = np.square(mine).sum(2) @ others.counted.T
        squares += self.counted @ np.square(theirs).sum(2).T
        squares -= 2 * mine.reshape(len(self), -1) @ theirs.reshape(len(others), -1).T
        steps: Floats = squares.clip(0) / (3 * both.clip(1)) / _STEP**2
        return steps


def bodies(pictures: torch.Tensor, heads: Floats) -> Bodies:
    """Describe what frames show around the head.

    Args:
        pictures: (N,3,S,S) RGB in [0,1].
        heads: (N,P,2) crop pixels of points around the head (the first ring of the portrait mesh).
    """
    side = pictures.shape[-1]
    check(side >= _CELLS, f"crops are {side} pixels wide, expected {_CELLS} or more")
    cells = functional.adaptive_avg_pool2d(pictures, _CELLS).flatten(2).permute(0, 2, 1)
    low, high = heads.min(1) * (_CELLS / side), heads.max(1) * (_CELLS / side)
    at = np.arange(_CELLS)
    across = (at[None] + 1 > low[:, :1]) & (at[None] < high[:, :1])
    # Hair stands above the ring; it goes with the head.
    down = at[None] < high[:, 1:]
    head = down[:, :, None] & across[:, None, :]
    counted = (~head).reshape(len(pictures), -1).astype(np.float32)
    return Bodies(cells.contiguous().numpy().astype(np.float32), counted)


def switch_prices(apart: Floats) -> NDArray[np.float64]:
    """Return (G,G) what it costs to change from one body to another, in squared visible steps."""
    switch = _SWITCH + _SHOWN * apart.astype(np.float64)
    np.fill_diagonal(switch, 0)
    return switch


@njit(cache=True, nogil=True)
def _run_forward(
    unlike: Floats, switch: NDArray[np.float64], total: NDArray[np.float64], came: NDArray[np.int16]
) -> None:  # pragma: no cover - compiled
    """Write for each frame and body from which body one comes, and to (G,) what the ways cost."""
    least = np.empty(len(total), np.float64)
    for frame in range(1, len(unlike)):
        least[:] = np.inf
        for before in range(len(total)):
            so_far, prices, origin = total[before], switch[before], came[frame]
            for body in range(len(total)):
                way = so_far + prices[body]
                if way < least[body]:
                    least[body], origin[body] = way, before
        for body in range(len(total)):
            total[body] = least[body] + unlike[frame, body]
        total -= total.min()


def choose_body_keyframes(unlike: Floats, apart: Floats) -> Ints:
    """Choose a body per frame: near in pose, seldom changed (Viterbi's algorithm).

    Minimizes sum_f unlike[f, b_f] + sum_f switch(b_f, b_f+1), with switch zero for the same body.

    Args:
        unlike: (N,G) squared distance of each frame's pose from each keyframe's.
        apart: (G,G) squared visible steps between the bodies of keyframes.

    Returns:
        (N,) keyframe per frame.
    """
    switch = switch_prices(apart)
    total = unlike[0].astype(np.float64)
    came: NDArray[np.int16] = np.zeros(unlike.shape, np.int16)
    _run_forward(unlike.astype(np.float32), switch, total, came)
    chosen = np.zeros(len(unlike), np.int64)
    chosen[-1] = total.argmin()
    for frame in range(len(unlike) - 1, 0, -1):
        chosen[frame - 1] = came[frame, chosen[frame]]
    return chosen
