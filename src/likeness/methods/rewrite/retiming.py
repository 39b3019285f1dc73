"""Which frame of the target is shown when: heads rest in pauses and move in speech.

Suwajanakorn et al. (Synthesizing Obama, 2017), section 4.4: a person who goes on nodding after the
sentence is over looks wrong. The target's frames are played in order, each once or twice, so that
little motion falls into pauses:

    G(i,j)   = [silent i] V(j) - [onset i] 2 V(j)
    F(i,j,0) = min(F(i-1,j-1,0), F(i-1,j-1,1)) + G(i,j)
    F(i,j,1) = F(i-1,j,0) + 2 V(j) + G(i,j)

with V(j) how much the target moves and blinks in frame j, and state 1 a repeated frame.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_closing

from likeness.errors import MediaError
from likeness.track.measure import eye_openness
from likeness.types import Bools, FaceTrack, Floats, Ints

_EYES = (33, 263)
_LOUD = 1e-3
"""Mean square of a voiced frame's samples, in [-1,1]."""
_PAUSE = 0.5
"""Seconds of silence that are still part of speech."""
_SHUT = 0.6
"""Openness of a blinking eye, relative to the clip's usual."""


def motion(track: FaceTrack) -> Floats:
    """Return V, (N,): mean speed of landmarks, in distances between the eyes, and 1 more in blinks.

    Args:
        track: the target's.
    """
    xy = track.landmarks[:, :468, :2]
    apart = np.linalg.norm(xy[:, _EYES[0]] - xy[:, _EYES[1]], axis=-1)
    speed = np.linalg.norm(np.diff(xy, axis=0), axis=-1).mean(1) / np.maximum(apart[1:], 1e-6)
    opened = eye_openness(track.landmarks).mean(1)
    blinks = opened < _SHUT * np.median(opened)
    return np.asarray(np.concatenate([[0.0], speed]) + blinks, np.float32)


def voiced(power: Floats, fps: float) -> Bools:
    """Tell which of N frames are speech.

    Args:
        power: (N,) mean square of the samples under each frame.
        fps: frames per second.

    Returns:
        (N,): loud frames; pauses shorter than half a second are joined.
    """
    loud = power > _LOUD
    if not loud.any():
        return loud
    reach = max(3, round(_PAUSE * fps))
    padded = np.pad(loud, reach)
    closed = binary_closing(padded, np.ones(reach))[reach:-reach]
    return np.asarray(closed | loud)


def retime(speech: Bools, moves: Floats) -> Ints:
    """Choose a frame of the target for every frame of the output.

    Args:
        speech: (N,) which output frames are voiced.
        moves: (M,) V of the target's frames.

    Returns:
        (N,) increasing by 0 or 1; no frame more than twice.

    Raises:
        MediaError: the target has fewer than half as many frames.
    """
    count, frames = len(speech), len(moves)
    if count > 2 * frames:
        raise MediaError(
            f"the target has {frames} frames for {count} of the output; expected at least half as "
            "many: use a longer target clip or a shorter driver"
        )
    v = moves.astype(np.float64)
    first = np.where(speech[0], 0.0, v)
    once, twice = first, np.full(frames, np.inf)
    came_twice = np.zeros((count, frames), bool)
    for i in range(1, count):
        onset = i >= 3 and speech[i - 2] and not speech[i - 3]
        cost = (0.0 if speech[i] else v) - (2 * v if onset else 0.0)
        came_twice[i, 1:] = twice[:-1] < once[:-1]
        stepped = np.concatenate([[np.inf], np.minimum(once, twice)[:-1]]) + cost
        once, twice = stepped, once + 2 * v + cost
    return _backtrack(once, twice, came_twice)


def _backtrack(once: Floats, twice: Floats, came_twice: Bools) -> Ints:
    path = np.zeros(len(came_twice), np.int64)
    repeated = bool(twice.min() < once.min())
    j = int((twice if repeated else once).argmin())
    for i in range(len(path) - 1, -1, -1):
        path[i] = j
        if repeated:
            repeated = False
        elif i:
            repeated = bool(came_twice[i, j])
            j -= 1
    return path
