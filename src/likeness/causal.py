"""Take the jitter out of signals as they come, without looking ahead.

The filter of Casiez, Roussel and Vogel (CHI 2012, "1 euro filter"): a low pass of first order whose
cutoff rises with the speed of the signal. What stands still is held still; what moves is followed
with a delay that shrinks as it moves faster, so that blinks and plosives are not blunted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_SLOWEST = 1.5
"""Hertz of the cutoff where nothing moves: higher follows more closely and trembles more."""
_SLOPE = 0.15
"""Hertz of cutoff per deviation of jitter per second."""
_SPEED = 2.0
"""Hertz at which the speed itself is smoothed."""


class OneEuro:
    """A filter for K values at a time."""

    def __init__(self, jitter: Values) -> None:
        """Begin without a past.

        Args:
            jitter: (K,) usual deviation of each value where nothing moves, in its own units.
        """
        self._jitter = np.asarray(jitter, np.float64)
        self._last: tuple[float, Values, Values, Values] | None = None
        """When it was, what was measured, what was answered, how fast it moves."""

    def __call__(self, values: Values, seconds: float) -> Values:
        """Return (K,) what is measured at a moment, smoothed by what came before.

        Args:
            values: (K,).
            seconds: when; later than the last.
        """
        if self._last is None or seconds <= self._last[0]:
            self._last = seconds, values, values, np.zeros_like(values)
            return values
        before, measured, answered, speed = self._last
        step = seconds - before
        now = (values - measured) / step
        speed = speed + _share(_SPEED, step) * (now - speed)
        cutoff = _SLOWEST + _SLOPE * np.abs(speed) / self._jitter
        answer: Values = answered + _share(cutoff, step) * (values - answered)
        self._last = seconds, values, answer, speed
        return answer

    def forget(self) -> None:
        """Begin anew: after a gap, what was before tells nothing."""
        self._last = None


def _share(cutoff: float | Values, step: float) -> float | Values:
    """Return how much of the way to a new value is gone in a step, by a low pass of first order."""
    return 1 / (1 + 1 / (2 * np.pi * np.maximum(cutoff, 1e-9) * step))
