"""One person's shots as one shot: what the face does while it is away.

Cuts and gaps follow one rule, which commands print where it applies:

- A gap of up to 0.4 s is bridged: the motion blends from the last frame before to the first after.
- In a longer gap the last pose is held, and blends into the next one over the gap's last 0.4 s.
- At a cut without a gap nothing is changed: the motion jumps where the picture does.

Frames of a gap count as not observed, so that nothing is learned or measured from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from likeness.controls import Values
from likeness.fit.resample import resample
from likeness.plan.performance import BLEND
from likeness.types import Bools, FaceParams, FaceTrack, Floats, Ints, Shot, check


def joined(shots: Sequence[Shot]) -> Shot:
    """Return one shot from the first frame in which a person is seen to the last.

    Args:
        shots: of one clip and one person, none at the same time as another. Params have the
            identity of the first: fit the others with it as `known` for exact results.

    Raises:
        ContractError: the shots are of several clips or overlap.
    """
    ordered = sorted(shots, key=lambda shot: shot.track.start)
    check(len({shot.clip.digest for shot in ordered}) == 1, "the shots are of several clips")
    if len(ordered) == 1:
        return ordered[0]
    known = np.concatenate([np.arange(s.track.start, s.track.window.stop) for s in ordered])
    check(bool(np.all(np.diff(known) > 0)), "the shots overlap, so they show several people")
    clip, first = ordered[0].clip, int(known[0])
    every = np.arange(first, int(known[-1]) + 1)
    seconds = (clip.pts - clip.pts[0]) * float(clip.time_base)
    at = _places(known, every, seconds)
    there = np.isin(every, known)
    return Shot(clip, _track(ordered, at, there, first), resample(_params(ordered), at))


def _places(known: Ints, every: Ints, seconds: Values) -> Values:
    """(M,) where the frames `every` lie between the K known ones, by the rule of gaps."""
    at = np.interp(every, known, np.arange(len(known), dtype=np.float64))
    for k in np.flatnonzero(np.diff(known) > 1):
        before, after = int(known[k]), int(known[k + 1])
        gap = np.arange(before + 1, after)
        left = seconds[after] - seconds[gap]
        span = min(BLEND, float(seconds[after] - seconds[before]))
        share = np.clip(1 - left / span, 0, 1)
        at[gap - every[0]] = k + share * share * (3 - 2 * share)
    return np.asarray(at, np.float64)


def _params(shots: Sequence[Shot]) -> FaceParams:
    """All params one after the other, with the identity of the first shot."""
    parts = [shot.params for shot in shots]
    return replace(
        parts[0],
        **{
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("expression", "rotation", "translation", "light", "gaze")
        },
    )


def _track(shots: Sequence[Shot], at: Values, there: Bools, first: int) -> FaceTrack:
    def blended(name: str) -> Floats:
        values = np.concatenate([getattr(shot.track, name) for shot in shots])
        low = np.floor(at).astype(np.int64)
        high = np.minimum(low + 1, len(values) - 1)
        share = (at - low).reshape(-1, *[1] * (values.ndim - 1))
        return np.asarray(values[low] + share * (values[high] - values[low]), np.float32)

    observed, cut_after = np.zeros(len(at), bool), np.zeros(len(at), bool)
    observed[there] = np.concatenate([shot.track.observed for shot in shots])
    cut_after[there] = np.concatenate([shot.track.cuts for shot in shots])
    return FaceTrack(
        start=first,
        boxes=blended("boxes"),
        landmarks=blended("landmarks"),
        scores=np.asarray(blended("scores") * observed, np.float32),
        observed=observed,
        identity=shots[0].track.identity,
        cut_after=cut_after,
    )
