"""Blinks: how often, how long, how completely the eyes close.

After "In Ictu Oculi" (Li, Chang and Lyu 2018), which found that generated faces blink too rarely,
but with plain statistics in place of a network. What is usual comes from the literature:

- rate: people who read blink least, at mean rates from 1.4 a minute on (Doughty 2001, lower limit
  of the reading rate); people in conversation most, 32.4 a minute with a deviation of 12.4 between
  people (Chidi-Egboka et al. 2023), so that 57 is two deviations above;
- duration: a tenth to half a second from the lids' first to their last motion (Stern, Walrath and
  Goldstein 1984);
- completeness: 47 % of spontaneous blinks close the eye fully (Ousler et al. 2014).

Counts are compared with these by exact Poisson and binomial tails, so a short clip without a blink
says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from likeness.track import eye_openness
from likeness.types import Floats, Window
from likeness.verify.signal import NO_FACE, PICTURE, Curve, Scene, SignalReading, ramp, surprise

FEWEST_PER_MINUTE = 1.4
MOST_PER_MINUTE = 57.0
SHORTEST, LONGEST = 0.1, 0.5
COMPLETE_SHARE = 0.47
"""Share of blinks that close the eye fully."""
_BEGINS = 0.25
"""Closure at which a blink begins and ends: below it is what lids do when the gaze moves."""
_BLINK = 0.5
"""Closure that a blink reaches at least."""
_COMPLETE = 0.75
"""Closure that counts as full: landmarks of shut lids don't quite touch."""
_EASE = 0.05
"""Seconds that the lids need on either side between rest and `_BEGINS`."""
_SLOWEST_RATE = 14.0
"""Frames per second below which blinks fall between frames."""
_BLIND = (
    "A face that was driven by a real performance blinks as that person did, so usual blinks prove "
    "nothing; people who read, stare or act blink unusually. Blinks of a face that is small, "
    "turned away or behind glasses are miscounted, and clips below a minute or two hardly count."
)


@dataclass(frozen=True, eq=False)
class Blinks:
    """B blinks of one face, in the N frames in which it was seen."""

    frames: Floats
    """(B,2) first and last frame of each, fractions of a frame included."""
    depth: Floats
    """(B,) largest closure, 1 is shut."""
    closure: Floats
    """(N,) share of the usual opening that is closed, per frame."""


class BlinkSignal:
    """Judges blinks from the track alone."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def look(self, window: Window, frames: torch.Tensor) -> None:
        """Nothing: the track holds all that is needed."""

    def read(self) -> SignalReading:
        """Compare rate, duration and completeness with what people do."""
        scene, track = self._scene, self._scene.track
        if track is None:
            return _without(NO_FACE)
        if len(scene.clip) == 1:
            return _without(PICTURE)
        rate = float(scene.clip.fps)
        # What was filled in between two sightings is no evidence of lids or of time.
        seen = np.flatnonzero(track.observed)
        if rate < _SLOWEST_RATE or len(seen) < 2 * rate:
            return _without(
                f"blinks need 2 seconds of a face at {_SLOWEST_RATE:.0f} frames a second, found "
                f"{len(seen) / rate:.1f} s at {rate:.1f}"
            )
        return _judge(scene, find_blinks(eye_openness(track.landmarks[seen]), rate), rate)


def find_blinks(openness: Floats, rate: float) -> Blinks:
    """Find dips of the eyes' openness below half of what is usual around them.

    Args:
        openness: (N,2) from `track.eye_openness`.
        rate: frames per second.
    """
    from scipy.ndimage import percentile_filter

    both = np.asarray(openness, np.float64).mean(1)
    # The upper fifth of three seconds: the eyes' opening, also while blinks follow one another.
    usual = percentile_filter(both, 80, size=max(3, round(3 * rate)), mode="nearest")
    closure = np.clip(1 - both / np.maximum(usual, 1e-6), 0, 1)
    dips = np.flatnonzero(np.diff(np.r_[False, closure > _BEGINS, False].astype(np.int8)))
    found = [
        (_crossing(closure, begin - 1), _crossing(closure, end - 1), closure[begin:end].max())
        for begin, end in dips.reshape(-1, 2)
        if closure[begin:end].max() >= _BLINK
    ]
    table = np.array(found, np.float32).reshape(-1, 3)
    return Blinks(table[:, :2], table[:, 2], closure.astype(np.float32))


def _crossing(closure: Floats, left: int) -> float:
    """Where the straight line from frame `left` to the next one passes `_BEGINS`."""
    if left < 0 or left + 1 >= len(closure):
        return float(np.clip(left, 0, len(closure) - 1))
    a, b = closure[left], closure[left + 1]
    return float(left + (_BEGINS - a) / (b - a)) if a != b else float(left)


def _judge(scene: Scene, blinks: Blinks, rate: float) -> SignalReading:
    from scipy.stats import binom, poisson

    assert scene.track is not None  # noqa: S101 - the caller asked
    minutes = len(blinks.closure) / rate / 60
    duration = np.diff(blinks.frames, axis=1)[:, 0] / rate + 2 * _EASE
    # Eyes that stay shut for longer are no blinks, and say nothing about them.
    kept = duration <= 2 * LONGEST
    count, complete = int(kept.sum()), int((blinks.depth[kept] >= _COMPLETE).sum())
    odd = int(((duration[kept] < SHORTEST) | (duration[kept] > LONGEST)).sum())
    parts = {
        "rarely": surprise(float(poisson.cdf(count, FEWEST_PER_MINUTE * minutes))),
        "often": surprise(float(poisson.sf(count - 1, MOST_PER_MINUTE * minutes))),
        "incompletely": surprise(float(binom.cdf(complete, count, COMPLETE_SHARE))),
        "too briefly or slowly": ramp(odd / count, 0.5, 1.0) if count >= 3 else 0.0,
    }
    score = max(parts.values())
    unusual = [name for name, part in parts.items() if part > 0]
    said = f"{_counted(count, complete)} in {60 * minutes:.1f} s"
    verdict = f"; the eyes close {' and '.join(unusual)}" if unusual else "; nothing unusual"
    frames = np.arange(len(scene.track)) + scene.track.start
    closure = np.full(len(frames), np.nan, np.float32)
    closure[scene.track.observed] = blinks.closure
    return SignalReading(
        "blink",
        "Blinks",
        score,
        said + verdict + ".",
        _BLIND,
        {
            "blinks": count,
            "per_minute": count / minutes,
            "median_seconds": float(np.median(duration[kept])) if count else None,
            "complete_share": complete / count if count else None,
        },
        (
            Curve(
                "How far the eyes are closed",
                scene.seconds(frames),
                {"closure": closure},
                ("seconds", "closure"),
                over_time=True,
                limits=(-0.05, 1.05),
            ),
        ),
    )


def _counted(count: int, complete: int) -> str:
    if count == 0:
        return "No blink"
    if count == 1:
        return f"1 blink, {'complete' if complete else 'not complete'},"
    return f"{count} blinks, {complete} of them complete,"


def _without(reason: str) -> SignalReading:
    return SignalReading("blink", "Blinks", None, f"Not applicable: {reason}.", _BLIND)
