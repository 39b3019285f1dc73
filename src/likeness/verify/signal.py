"""What a forensic signal is: something that watches a clip once and says what it saw.

A signal is fed the clip's frames in order, in constant memory, and answers a `SignalReading`: a
score, a plain sentence, curves, and what it can't see. A score is a degree of surprise, not a
probability: 0 is what camera recordings usually show, 1 far outside of that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from likeness.types import Clip, FaceTrack, Floats, Ints, Window, check

NO_FACE = "no face was found"
PICTURE = "a single picture has no course in time"
_LUMA = torch.tensor([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True, eq=False)
class Scene:
    """What all signals know before the first frame."""

    clip: Clip
    track: FaceTrack | None
    """The face that is judged; None where none was found."""

    def seconds(self, frames: Ints) -> Floats:
        """Return the times in seconds at which frames of the clip are shown."""
        ticks = self.clip.pts[frames] - self.clip.pts[0]
        seconds: Floats = (ticks * float(self.clip.time_base)).astype(np.float32)
        return seconds

    def landmarks(self, frame: int) -> Floats | None:
        """Return (478,3) landmarks of a frame of the clip; None where no face was seen."""
        track = self.track
        if track is None or not track.start <= frame < track.window.stop:
            return None
        row = frame - track.start
        return track.landmarks[row] if track.observed[row] else None


@dataclass(frozen=True, eq=False)
class Curve:
    """Named series over a common axis, ready to be drawn."""

    title: str
    x: Floats
    """(n,)."""
    series: Mapping[str, Floats]
    """(n,) each; NaN leaves a gap."""
    axes: tuple[str, str]
    """Labels of the horizontal and vertical axis."""
    usual: tuple[float, float] | None = None
    """Range on the vertical axis that is usual for camera recordings."""
    over_time: bool = False
    """The horizontal axis is the clip's time in seconds."""
    limits: tuple[float, float] | None = None
    """Ends of the vertical axis, where noise must not be drawn large."""


@dataclass(frozen=True, eq=False)
class SignalReading:
    """What one signal has to say about a file."""

    name: str
    """Key in the answer."""
    title: str
    score: float | None
    """0 nothing unusual, 1 far outside of what recordings show; None where it does not apply."""
    finding: str
    """What was measured, as a plain sentence; where there is no score, why."""
    blind_spot: str
    """What this signal can't see."""
    numbers: Mapping[str, float | int | None] = field(default_factory=dict)
    curves: tuple[Curve, ...] = ()
    picture: torch.Tensor | None = None
    """(3,h,w) in [0,1], where the signal has a map to show."""
    caption: str = ""
    """What the picture shows."""

    def __post_init__(self) -> None:
        score = self.score
        check(score is None or 0 <= score <= 1, f"{self.name} scores {score}, expected [0, 1]")
        check(bool(self.blind_spot), f"{self.name} names no blind spot")


class Signal(Protocol):
    """Something that watches a clip; `signals.SIGNALS` lists those that there are."""

    def look(self, window: Window, frames: torch.Tensor) -> None:
        """Take in the next (n,3,H,W) RGB frames in [0,1]; fed in order, each once."""
        ...

    def read(self) -> SignalReading:
        """Say what was seen."""
        ...


def ramp(value: float, usual: float, far: float) -> float:
    """Return 0 up to `usual`, 1 from `far` on, straight between.

    >>> ramp(1.5, 1.0, 2.0)
    0.5
    """
    return float(np.clip((value - usual) / (far - usual), 0, 1))


def surprise(p_value: float) -> float:
    """Turn a p-value into a score: 0 down to 1 in 20, then half for each power of ten.

    >>> surprise(0.3), round(surprise(0.005), 3), surprise(1e-9)
    (0.0, 0.5, 1.0)
    """
    return ramp(-math.log10(max(p_value, 1e-12) / 0.05), 0.0, 2.0)


def luma_of(frames: torch.Tensor) -> Floats:
    """Return (n,H,W) luma of (n,3,H,W) RGB frames, in [0,1] (ITU-R BT.709 weights)."""
    luma: Floats = torch.einsum("c,nchw->nhw", _LUMA, frames).numpy()
    return luma
