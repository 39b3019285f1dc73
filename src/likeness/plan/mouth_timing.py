"""When a mouth does what: closures that survive another frame rate, and rest after the speech."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from likeness.controls import Values
from likeness.face3d.model import FaceModel
from likeness.fit.parts import mouth_columns
from likeness.fit.transfer import rest_frame
from likeness.track.measure import INNER_LIPS
from likeness.types import Bools, FaceParams, Floats

_EASE = 0.3
"""Seconds in which a mouth comes to rest."""
_CLOSURE = 1.0
"""Millimetres by which lips have to come nearer than before and after to count as closing."""


def lip_gap(params: FaceParams, model: FaceModel) -> Floats:
    """Return (N,) millimetres between the inner lips, which their expression alone decides.

    Pose and tracking noise of single points drop out. Below zero they press each other.
    """
    upper, lower = (model.landmark_vertices[INNER_LIPS[:, side]] for side in (0, 1))
    still = model.neutral(params.shape)
    apart = (still[lower, 1] - still[upper, 1]).mean()
    moved = (model.expression[:, lower, 1] - model.expression[:, upper, 1]).mean(1)
    gap: Floats = apart + params.expression @ moved
    return gap


def keep_closures(at: Values, gap: Floats) -> Values:
    """Move the moments that are sampled so that none falls beside the instant of a lip closure.

    Between two frame rates, a closure of one frame lies between two samples, and what is
    interpolated there is a mouth half open. The sample next to it takes the closure itself: that
    is off by half a frame at most, which nobody sees, and an open m is seen by everybody.

    Args:
        at: (M,) fractional frames, not decreasing, that are sampled of a performance.
        gap: (N,) `lip_gap` of the performance.

    Returns:
        (M,) not decreasing, each moved by less than half the distance to its neighbor.
    """
    moved = at.copy()
    # The tightest last: it wins where two closures are next to one sample.
    for frame in sorted(_closures(gap), key=lambda frame: -float(gap[frame])):
        nearest = int(np.abs(at - frame).argmin())
        after = at[nearest + 1] if nearest + 1 < len(at) else np.inf
        before = at[nearest - 1] if nearest else -np.inf
        if before < frame < after:
            moved[nearest] = frame
    return np.maximum.accumulate(moved)


def _closures(gap: Floats) -> list[int]:
    """Frames in which lips are nearer than for two frames around by at least `_CLOSURE`."""
    found = []
    for frame in range(1, len(gap) - 1):
        around = gap[max(0, frame - 2) : frame], gap[frame + 1 : frame + 3]
        lowest = gap[frame] < gap[frame - 1] and gap[frame] <= gap[frame + 1]
        if lowest and min(part.max() for part in around) - gap[frame] >= _CLOSURE:
            found.append(frame)
    return found


def resting_after(
    params: FaceParams,
    seconds: Values,
    end: float,
    target: FaceParams,
    observed: Bools | None = None,
) -> tuple[FaceParams, int]:
    """Let the mouth come to rest after the speech.

    Args:
        params: M frames.
        seconds: (M,) when they are shown, on the clock of `end`.
        end: when the speech is over.
        target: the target's clip, whose rest is taken.
        observed: frames of it in which the face was seen.

    Returns:
        M frames, and how many of them are shown after the end.
    """
    since = np.clip((seconds - end) / _EASE, 0, 1)
    share = (since * since * (3 - 2 * since)).astype(np.float32)[:, None]
    columns = mouth_columns(params)
    rest = target.expression[rest_frame(target, observed), columns]
    expression = params.expression.copy()
    expression[:, columns] += share * (rest - expression[:, columns])
    return replace(params, expression=expression), int((seconds >= end - 1e-6).sum())
