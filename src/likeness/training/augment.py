"""Keyframes that training turns, shifts and scales, so that little footage shows much motion.

In a short clip the nearest keyframe is hardly ever far, and a network that has only seen short ways
makes little of long ones. The person in a keyframe is a layer of its own: turned by a few degrees,
it is a keyframe of another pose, and the way to the wanted face is longer by exactly that much.
"""

from __future__ import annotations

import numpy as np

from likeness.types import Floats

_TURN = np.deg2rad(6)
_GROWTH = 0.07
_SHIFT = 0.04
"""Standard deviations: of the angle, of the logarithm of the size, and in sides of the crop."""
_MOST = 2.0
"""Standard deviations at most."""


def random_turns(
    random: np.random.Generator, count: int, slots: int, side: int, share: float
) -> Floats:
    """Draw how keyframes are moved.

    Args:
        random: where chance comes from.
        count: N samples.
        slots: K keyframes of each; the last lends the body and stays as it is.
        side: side of the crop.
        share: of the samples whose keyframes are moved.

    Returns:
        (N,K,2,3) similarities in crop pixels, about the middle of the crop.
    """
    shape = (count, slots)
    told = np.clip(random.normal(size=(4, *shape)), -_MOST, _MOST)
    moved = random.random((count, 1)) < share
    amount = np.where(moved & (np.arange(slots) < slots - 1), 1.0, 0.0)
    turn, growth = amount * told[0] * _TURN, np.exp(amount * told[1] * _GROWTH)
    turns = np.empty((*shape, 2, 3), np.float32)
    turns[..., 0, 0] = turns[..., 1, 1] = growth * np.cos(turn)
    turns[..., 1, 0] = growth * np.sin(turn)
    turns[..., 0, 1] = -turns[..., 1, 0]
    middle = np.full(2, side / 2)
    shift = np.moveaxis(amount * told[2:] * _SHIFT * side, 0, -1)
    turns[..., 2] = middle + shift - turns[..., :2] @ middle
    return turns
