"""Which signals there are, and what they come to together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from likeness.verify.background import BackgroundSignal
from likeness.verify.blink import BlinkSignal
from likeness.verify.head_pose import HeadPoseSignal
from likeness.verify.learned import LearnedSignal
from likeness.verify.signal import Scene, Signal, SignalReading
from likeness.verify.spectrum import SpectrumSignal

SIGNALS: tuple[Callable[[Scene], Signal], ...] = (
    BlinkSignal,
    HeadPoseSignal,
    SpectrumSignal,
    BackgroundSignal,
    LearnedSignal,
)
"""All of them, in the order of the answer."""

CALIBRATED = False
"""Whether scores have error rates: they would need many recordings and many fakes of each kind."""

WEAK, CLEAR = 0.25, 0.6
"""Scores from which a sign is called weak, and clear."""

BLIND_SPOTS = (
    "All scores rest on what a few recordings show and on the literature; how often they are wrong "
    "was not measured. The absence of signs proves nothing.",
    "Only the face that takes most room over time is judged by all signals, in one shot; the next "
    "four by the trained detector alone. The sound and what is said are not looked at.",
    "The trained detector has seen few people and only blended faces. It mostly can't tell, and "
    "finds little but faces that are softer than their surroundings: a careful forgery passes all "
    "signals.",
)
"""What even all signals together can't see."""


def combine(readings: Sequence[SignalReading]) -> float | None:
    """Return the largest of the scores: each signal knows its own kind of forgery.

    A mean would let three signals that look elsewhere outvote the one that sees something.
    None where no signal applied.
    """
    scores = [reading.score for reading in readings if reading.score is not None]
    return max(scores, default=None)


def strength(score: float | None) -> str:
    """Put a score into words; the best that is said is that no sign was found.

    >>> strength(0.1), strength(0.7), strength(None)
    ('no sign found', 'clear sign', 'could not be judged')
    """
    if score is None:
        return "could not be judged"
    if score < WEAK:
        return "no sign found"
    return "clear sign" if score >= CLEAR else "weak sign"
