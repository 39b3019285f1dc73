"""What a face does over time, wherever it comes from: a shot, a parameter file, a phone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from likeness.controls import Values
from likeness.fit.resample import Extrapolation, positions, resample
from likeness.provenance.manifest import Ingredient
from likeness.types import Bools, FaceParams, Shot, Timeline, check


@dataclass(frozen=True, eq=False)
class Performance:
    """N frames of params, and when they are shown."""

    params: FaceParams
    """N frames."""
    timeline: Timeline
    """Of the same N frames, with the performance's own sound."""
    guessed: Bools
    """(N,) True where no face was seen, so that the motion had to be guessed."""
    ingredient: Ingredient
    """What it is made from, for manifests."""
    cut_after: Bools | None = None
    """(N,) True in the last frame that shows the face before the picture cuts; None is nowhere."""

    def __post_init__(self) -> None:
        n = len(self.timeline)
        found = (len(self.params), len(self.guessed))
        check(found == (n, n), f"a timeline of {n} frames came with {found} params and facts")

    def __len__(self) -> int:
        return len(self.timeline)

    @property
    def seconds(self) -> Values:
        """(N,) when each frame is shown, counted from the first."""
        ticks = self.timeline.pts - self.timeline.pts[0]
        return np.asarray(ticks * float(self.timeline.time_base), np.float64)

    @property
    def lasting(self) -> float:
        """Seconds for which the last frame is shown."""
        return float(self.timeline.last_duration * self.timeline.time_base)

    def positions(self, seconds: Values, extrapolation: Extrapolation) -> Values:
        """Return (M,) fractional frame numbers of moments on another timeline."""
        return positions(self.seconds, seconds, extrapolation)

    def over(self, seconds: Values, extrapolation: Extrapolation) -> FaceParams:
        """Return (M) params at moments of another timeline, whatever the two frame rates are."""
        return resample(self.params, self.positions(seconds, extrapolation))

    def frame_at(self, moment: str) -> int:
        """Return the frame that a person means by "120" (a frame) or "4.8s" (seconds).

        Raises:
            ValueError: it is neither.
        """
        if moment.endswith("s"):
            return int(np.abs(self.seconds - float(moment[:-1])).argmin())
        return int(moment)


def performance_of(shot: Shot, role: str) -> Performance:
    """Return what a shot's person does in the whole clip; before and after the track they hold.

    Args:
        shot: clip, track and params.
        role: target or driver, for manifests.
    """
    frames = np.arange(len(shot.clip)) - shot.track.start
    inside = frames.clip(0, len(shot.track) - 1)
    unseen = (frames != inside) | ~shot.track.observed[inside]
    params = resample(shot.params, inside.astype(np.float64))
    ingredient = Ingredient(role, shot.clip.path.name, shot.clip.digest)
    cut = (frames == inside) & shot.track.cuts[inside]
    return Performance(params, Timeline.of(shot.clip, shot.clip), unseen, ingredient, cut)


BLEND = 0.4
"""Seconds over which motion blends across a gap in which a face is not seen."""


def absent(own: Performance) -> Bools:
    """Tell in which of N frames a face is away, (N,); see `away`."""
    return away(~own.guessed, own.seconds, own.cut_after)


def away(observed: Bools, seconds: Values, cut_after: Bools | None = None) -> Bools:
    """Tell in which of N frames a face is away for longer than a tracker blinks, (N,).

    Args:
        observed: (N,) frames in which it was seen.
        seconds: (N,) when they are shown, increasing.
        cut_after: (N,) frames after which the picture cuts: what follows is no blink, however
            short, because the camera looks elsewhere.
    """
    gone = np.zeros(len(observed), bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[True], observed, [True]]).astype(np.int8)))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        ends = seconds[stop] if stop < len(seconds) else seconds[-1] + BLEND
        cut = cut_after is not None and start > 0 and bool(cut_after[start - 1])
        gone[start:stop] = cut or ends - seconds[start] > BLEND
    return gone


def absences(performance: Performance) -> tuple[str, ...]:
    """Say in words in which frames a face is away, and what its motion does there."""
    gone = away(~performance.guessed, performance.seconds)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], gone, [False]]).astype(np.int8)))
    if not len(edges):
        return ()
    runs = [f"{a} to {b - 1}" for a, b in zip(edges[::2], edges[1::2], strict=True)]
    named = ", ".join(runs[:4]) + (f" and {len(runs) - 4} more runs" if len(runs) > 4 else "")
    return (
        f"nobody is seen in frames {named} of {performance.ingredient.name}: the last motion is "
        f"held there and blends into the next over {BLEND:g} s",
    )


def silenced(timeline: Timeline) -> Timeline:
    """Return the timeline without sound."""
    return replace(timeline, sound=None)
