"""Who is seen in a clip, and what the trained detector says of each of them.

The other signals watch one face, the largest. A forger may have changed somebody else: so the next
largest faces are shown to the trained detector too, each by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from likeness.types import Clip, FaceTrack, Window
from likeness.verify.learned import LearnedSignal
from likeness.verify.signal import Scene, SignalReading

_MOST = 4
"""Faces that are judged beside the largest."""
_LEAST = 0.05
"""Room that a face takes, over that of the largest, from which it is judged."""


@dataclass(frozen=True, eq=False)
class Judged:
    """A face that was followed through a shot, and what the trained detector says of it."""

    track: FaceTrack
    reading: SignalReading

    def json(self) -> Mapping[str, Any]:
        """Return JSON values: frames from the first to behind the last, and the median box."""
        boxes = self.track.boxes[self.track.observed]
        return {
            "frames": [self.track.window.start, self.track.window.stop],
            "box": [round(float(side), 1) for side in np.median(boxes, 0)],
            "score": self.reading.score,
            "probability": self.reading.numbers.get("probability"),
            "finding": self.reading.finding,
        }


class Others:
    """Shows the trained detector every large face but the first while the clip goes by."""

    def __init__(self, clip: Clip, tracks: Sequence[FaceTrack]) -> None:
        """Choose whom to watch.

        Args:
            clip: what is examined.
            tracks: all faces, the one that takes most room first.
        """
        least = _LEAST * room(tracks[0]) if tracks else 0.0
        self._tracks = [one for one in tracks[1:] if room(one) >= least][:_MOST]
        self._signals = [LearnedSignal(Scene(clip, one)) for one in self._tracks]

    def look(self, window: Window, frames: torch.Tensor) -> None:
        """Take in the next (n,3,H,W) frames."""
        for signal in self._signals:
            signal.look(window, frames)

    def read(self) -> tuple[Judged, ...]:
        """Say what was seen, by the room that faces take."""
        readings = [signal.read() for signal in self._signals]
        return tuple(
            Judged(one, replace(reading, title=f"{reading.title}, face {number}"))
            for number, (one, reading) in enumerate(zip(self._tracks, readings, strict=True), 2)
        )


def room(face: FaceTrack) -> float:
    """Area of a face in square pixels, summed over the frames in which it was seen."""
    sides = face.boxes[face.observed, 2:] - face.boxes[face.observed, :2]
    return float(np.maximum(sides, 0).prod(1).sum())
