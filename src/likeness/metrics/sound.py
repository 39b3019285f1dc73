"""How well sound and lips agree: loudness against the opening of the mouth.

Positive offsets mean that the sound comes late, after the lips.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from likeness.types import Floats, check

RATE = 200.0
"""Samples per second at which series are compared: 5 ms steps, refined by a parabola."""
LONGEST_LAG = 0.5
"""Seconds of offset searched to each side."""
_LEAST_CORRELATION = 0.2
_SMOOTHING = 0.04


def envelope(samples: Floats, rate: int) -> Floats:
    """Loudness of a sound at RATE: root mean square in a window of 40 ms, then its square root.

    Args:
        samples: (k,) or (k, channels) in [-1,1].
        rate: samples per second.

    Returns:
        (m,) loudness from the first sample on.

    Raises:
        ContractError: the rate is not positive.
    """
    check(rate > 0, f"the sample rate is {rate}, expected > 0")
    square = np.asarray(samples, np.float64).reshape(len(samples), -1) ** 2
    total = np.concatenate([[0.0], np.cumsum(square.mean(1))])
    count = int(len(samples) / rate * RATE)
    middle = (np.arange(count) + 0.5) * rate / RATE
    reach = rate * _SMOOTHING / 2
    first = np.clip(np.round(middle - reach), 0, len(samples)).astype(int)
    last = np.clip(np.round(middle + reach), 0, len(samples)).astype(int)
    power = (total[last] - total[first]) / np.maximum(last - first, 1)
    # Compressed as hearing does, lest a few loud vowels decide.
    loudness: Floats = np.maximum(power, 0) ** 0.25
    return loudness.astype(np.float32)


def at_rate(times: Floats, values: Floats) -> Floats:
    """Resample a series to RATE, linearly, frames without a value bridged.

    Args:
        times: (n,) seconds, increasing, from 0 at the start of the clip.
        values: (n,); NaN where unknown.

    Returns:
        (m,) from time 0 to the last time stamp; empty when no value is known.
    """
    known = np.isfinite(values)
    if not known.any():
        return np.empty(0, np.float32)
    grid = (np.arange(int(times[-1] * RATE)) + 0.5) / RATE
    return np.interp(grid, times[known], values[known]).astype(np.float32)


def lag_seconds(late: Floats, early: Floats) -> float | None:
    """How much later the first series shows the events of the second.

    The peak of the normalized cross-correlation of the two speeds (slow drift and different levels
    drop out), refined by a parabola through the peak and its neighbors.

    Args:
        late, early: (m,), (k,) at RATE, both starting at the same moment.

    Returns:
        Seconds within LONGEST_LAG; None when the two have too little in common (peak below 0.2, at
        the end of the range, or less than a second of overlap).
    """
    length = min(len(late), len(early))
    reach = int(LONGEST_LAG * RATE)
    if length < 2 * reach + RATE:
        return None
    a, b = (_speed(series[:length]) for series in (late, early))
    middle = b[reach:-reach]
    scores = np.empty(2 * reach + 1)
    for index in range(2 * reach + 1):
        scores[index] = _similarity(a[index : index + len(middle)], middle)
    best = int(np.argmax(scores))
    if scores[best] < _LEAST_CORRELATION or best in (0, 2 * reach):
        return None
    below, peak, above = scores[best - 1 : best + 2]
    curvature = below - 2 * peak + above
    shift = 0.5 * (below - above) / curvature if curvature < 0 else 0.0
    return float((best - reach + shift) / RATE)


def av_offset_ms(
    lips: Floats,
    sound: Floats,
    reference_lips: Floats | None = None,
    reference_sound: Floats | None = None,
) -> float | None:
    """How late the sound comes after the lips.

    With a reference, the lips are compared with the reference's lips and the sound with its sound:
    what a person's lips do before the sound starts then cancels, and 0 means in step with the
    reference. Without one, loudness is compared with the lips of the same clip; natural speech then
    gives about 50 to 150 ms, because mouths open before they sound.

    Args:
        lips, reference_lips: mouth openness at RATE (`at_rate`).
        sound, reference_sound: `envelope`.

    Returns:
        Milliseconds; None when it cannot be told.
    """
    if reference_lips is None or reference_sound is None:
        lag = lag_seconds(sound, lips)
        return None if lag is None else 1000 * lag
    late_sound, late_lips = lag_seconds(sound, reference_sound), lag_seconds(lips, reference_lips)
    if late_sound is None or late_lips is None:
        return None
    return 1000 * (late_sound - late_lips)


def _speed(series: Floats) -> Floats:
    slope: Floats = ndimage.gaussian_filter1d(
        np.asarray(series, np.float64), _SMOOTHING * RATE, order=1
    )
    return slope


def _similarity(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 1e-12 else 0.0
