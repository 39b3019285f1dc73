"""What the target's clip has shown, and a plain account of what goes beyond it.

A generator draws nothing that its clip never showed, so values are held within the seen range; what
was held back is counted by frame and named in words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.controls import Values, controls_of, near_turn
from likeness.fit.parts import part_of
from likeness.types import Bools, FaceParams, Ints

_LEAST = 0.01
"""Share of frames below which nobody is bothered with words."""
_NAMED = 6
"""Values that are named one by one; the rest is counted."""
_WORDS = {
    "yaw": "head turn (yaw)",
    "pitch": "nod (pitch)",
    "roll": "head tilt (roll)",
    "x_mm": "head position sideways",
    "y_mm": "head position up and down",
    "z_mm": "distance from the camera",
    "gaze_right_yaw": "look sideways",
    "gaze_left_yaw": "look sideways",
    "gaze_right_pitch": "look up and down",
    "gaze_left_pitch": "look up and down",
    "browDown": "lowered brows",
    "browInnerUp": "raised inner brows",
    "browOuterUp": "raised outer brows",
    "cheekPuff": "puffed cheeks",
    "cheekSquint": "raised cheeks",
    "eyeBlink": "closed lids",
    "eyeSquint": "squint",
    "eyeWide": "wide eyes",
    "jawOpen": "open mouth",
    "jawForward": "jaw forward",
    "mouthClose": "lips closed over an open jaw",
    "mouthDimple": "dimples",
    "mouthFrown": "frown",
    "mouthFunnel": "rounded lips",
    "mouthPucker": "pucker",
    "mouthPress": "pressed lips",
    "mouthSmile": "smile",
    "mouthStretch": "stretched mouth",
    "noseSneer": "wrinkled nose",
}


@dataclass(frozen=True, eq=False)
class Seen:
    """In which frames faces were seen; None is in all of them."""

    driver: Bools | None = None
    """(N,) of the driver."""
    target: Bools | None = None
    """(T,) of the target's clip, whose rest and seen range are taken."""


@dataclass(frozen=True, eq=False)
class SeenRange:
    """The range of each of K controls in the target's clip."""

    low: Values
    """(K,)."""
    high: Values
    """(K,)."""

    @staticmethod
    def of(target: FaceParams, observed: Bools | None = None) -> SeenRange:
        """Read the range off a clip; single outliers of tracking don't count.

        Args:
            target: N frames.
            observed: (N,) frames in which the face was seen; the clip has shown nothing in others.
        """
        values = controls_of(target)[seen_rows(len(target), observed)]
        values = near_turn(values, values[0])
        low, high = np.percentile(values, [0.2, 99.8], axis=0)
        return SeenRange(low, high)

    def sides(self, values: Values, margin: float = 0.0) -> NDArray[np.int8]:
        """(N,K) 1 where a value is above the range, -1 below, 0 within.

        Args:
            values: (N,K) controls.
            margin: how far beyond still counts as within, in units of the range.
        """
        values = near_turn(values, (self.low + self.high) / 2)
        slack = margin * (self.high - self.low) + 1e-4
        above, below = values > self.high + slack, values < self.low - slack
        return above.astype(np.int8) - below.astype(np.int8)

    def held(self, values: Values, margin: float = 0.0) -> Values:
        """Return (N,K) controls clamped to the range and its margin."""
        values = near_turn(values, (self.low + self.high) / 2)
        slack = margin * (self.high - self.low)
        return np.clip(values, self.low - slack, self.high + slack)


def seen_rows(count: int, observed: Bools | None) -> Ints:
    """Return which of `count` frames are evidence: those in which a face was seen.

    What was filled in says nothing of a person: neither of their rest nor of their range. Where
    nothing at all was seen, there is nothing better than what was filled in.
    """
    if observed is None or not observed.any():
        return np.arange(count)
    return np.flatnonzero(observed)


def shares(sides: NDArray[np.int8], names: Sequence[str], concerned: Bools) -> dict[str, float]:
    """Return the share of frames in which each control was outside; only those that ever were.

    Args:
        sides: (N,K) of frames in which a face was seen.
        names: of the K controls.
        concerned: (K,) which of them are asked about.
    """
    outside = (sides != 0).mean(0)
    return {
        name: float(share)
        for name, share, concerns in zip(names, outside, concerned, strict=True)
        if concerns and share > 0
    }


def warnings_of(sides: NDArray[np.int8], names: Sequence[str], concerned: Bools) -> tuple[str, ...]:
    """Say in plain words what went beyond the target's clip, most frequent first.

    Left and right of one expression are one thing to say, and so are the detail modes of one part.

    >>> sides = np.array([[1], [0]], np.int8)
    >>> warnings_of(sides, ["mouthSmileLeft"], np.array([True]))
    ("smile above anything in the target's clip in 50 % of frames",)
    """
    found: dict[tuple[str, str], Bools] = {}
    for column in np.flatnonzero(concerned):
        what = in_words(names[column])
        detail = names[column].startswith("detail")
        for side, word in ((1, "above"), (-1, "below")):
            key = what, "beyond" if detail else word
            outside = sides[:, column] == side
            found[key] = found[key] | outside if key in found else outside
    told = [(float(frames.mean()), *key) for key, frames in found.items()]
    told = sorted((fact for fact in told if fact[0] >= _LEAST), key=lambda fact: -fact[0])
    lines = [
        f"{what} {word} anything in the target's clip in {share:.0%} of frames".replace("%", " %")
        for share, what, word in told[:_NAMED]
    ]
    if len(told) > _NAMED:
        lines.append(f"and {len(told) - _NAMED} more, each in fewer frames")
    return tuple(lines)


def in_words(name: str) -> str:
    """Name a control for people.

    >>> in_words("mouthSmileLeft"), in_words("mouthRollLower"), in_words("detail_nose_0x")
    ('smile', 'mouth roll lower', 'fine detail of the nose')
    """
    if name.startswith("detail"):
        return f"fine detail of the {part_of(name) or 'face'}"
    if name in _WORDS:
        return _WORDS[name]
    for side in ("Left", "Right"):
        if name.removesuffix(side) in _WORDS:
            return _WORDS[name.removesuffix(side)]
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
