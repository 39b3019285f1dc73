"""How well sound and lips agree: loudness in four bands against the opening of the mouth.

Convention:
    Positive offsets mean that the sound comes late, after the lips. A frame counts for the middle
    of the time for which it is shown.

Loudness alone is a poor witness: on five seconds of real speech its correlation with the lips has
several peaks of equal height. Bands disagree about the wrong lags and agree about the right one, so
their correlations are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from likeness.types import Floats, check

Reals = NDArray[np.float64]

RATE = 200.0
"""Samples per second at which series are compared: 5 ms steps, refined by a parabola."""
LONGEST_LAG = 1.0
"""Seconds of offset searched to each side."""
BANDS = ((100.0, 400.0), (400.0, 1000.0), (1000.0, 3000.0), (3000.0, 7500.0))
"""Hertz: voicing, first formant, second and third formant, friction."""
_FLOOR = 1e-2
"""Power under this share of a band's mean counts as silence; its noise must not vote."""
_SMOOTHING = 0.04
"""Seconds: the deviation of the Gaussian under which series are differentiated."""
_CLEAR = 0.5
"""Mean correlation that takes nothing from the confidence."""
_LEAST_CORRELATION = 0.1
_LEAST_CONFIDENCE = 0.05
_SAME_SOUND = 0.5
"""Mean correlation from which on two sounds are recordings of the same."""
_PEAK_WIDTH = 0.12
"""Seconds around the highest peak in which no second one is looked for."""
_WINDOW = 0.04


@dataclass(frozen=True, slots=True)
class Offset:
    """How late the sound comes after the lips."""

    ms: float
    confidence: float
    """In [0,1]: 1 - runner-up / peak of the correlation over lags, less where the peak is low.
    Strangers can reach 0.3; longer speech tells more."""
    against: str
    """"reference" where the step was told from the reference's lips and sound, else "own lips"."""


def envelope(samples: Floats, rate: int) -> Floats:
    """Loudness of a sound per band at RATE, as the logarithm of power in windows of 40 ms.

    Args:
        samples: (k,) or (k, channels) in [-1,1].
        rate: samples per second.

    Returns:
        (B,m) logarithms from the first sample on; a band beyond the sound's rate is constant.

    Raises:
        ContractError: the rate is not positive.
    """
    check(rate > 0, f"the sample rate is {rate}, expected > 0")
    mono = np.asarray(samples, np.float64).reshape(len(samples), -1).mean(1)
    count = int(len(mono) / rate * RATE)
    middle = (np.arange(count) + 0.5) * rate / RATE
    reach = rate * _WINDOW / 2
    first = np.clip(np.round(middle - reach), 0, len(mono)).astype(int)
    last = np.clip(np.round(middle + reach), 0, len(mono)).astype(int)
    rows = np.zeros((len(BANDS), count), np.float32)
    for row, (low, high) in zip(rows, BANDS, strict=True):
        highest = min(high, 0.45 * rate)
        if low >= highest or count == 0:
            continue
        sections = signal.butter(3, [low, highest], "bandpass", fs=rate, output="sos")
        # Once forward, once backward: what delays a band would count as an offset.
        total = np.concatenate(
            [[0.0], np.cumsum(signal.sosfiltfilt(sections, mono, padlen=0) ** 2)]
        )
        power = (total[last] - total[first]) / np.maximum(last - first, 1)
        row[:] = np.log(np.maximum(power, 0) + _FLOOR * power.mean() + 1e-12)
    return rows


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

    Args:
        late, early: (m,) or (B,m), at RATE, both starting at the same moment.

    Returns:
        Seconds within LONGEST_LAG; None when the two have too little in common.
    """
    found = _best(late, early)
    return None if found is None else found[0]


def sync_offset(
    lips: Floats,
    sound: Floats,
    reference_lips: Floats | None = None,
    reference_sound: Floats | None = None,
) -> Offset | None:
    """Tell how late the sound comes after the lips.

    With a reference of the same sound, lips are compared with the reference's lips and sound with
    its sound: what a person's lips do before the sound starts then cancels, and 0 means in step
    with the reference. Without one, or where the reference says something else, the sound is
    compared with the lips of the same clip. Natural speech then gives 0 to 50 ms, because mouths
    open before they sound.

    Args:
        lips, reference_lips: (m,) mouth openness at RATE (`at_rate` of `lips.middles`).
        sound, reference_sound: (B,m) `envelope`.

    Returns:
        The offset; None when it cannot be told.
    """
    if reference_lips is not None and reference_sound is not None:
        of_sound, of_lips = _best(sound, reference_sound), _best(lips, reference_lips)
        if of_sound and of_lips and of_sound[1] >= _SAME_SOUND:
            return Offset(
                1000 * (of_sound[0] - of_lips[0]), min(of_sound[2], of_lips[2]), "reference"
            )
    found = _best(sound, lips)
    return None if found is None else Offset(1000 * found[0], found[2], "own lips")


def av_offset_ms(
    lips: Floats,
    sound: Floats,
    reference_lips: Floats | None = None,
    reference_sound: Floats | None = None,
) -> float | None:
    """Return the milliseconds of `sync_offset`, whose arguments these are; None as there."""
    found = sync_offset(lips, sound, reference_lips, reference_sound)
    return None if found is None else found.ms


def correlation(late: Floats, early: Floats) -> tuple[Reals, Reals]:
    """Correlate the speeds of two series over lags; rows of bands are averaged.

    Slow drift and different levels drop out of the speeds.

    Args:
        late, early: (m,) or (B,m) at RATE.

    Returns:
        (L,) lags in seconds and (L,) mean correlation in [-1,1]; empty where the two overlap by
        less than a second at some lag.
    """
    a, b = np.atleast_2d(late), np.atleast_2d(early)
    length = min(a.shape[1], b.shape[1])
    reach = int(LONGEST_LAG * RATE)
    if length < reach + RATE:
        return np.empty(0), np.empty(0)
    a, b = np.broadcast_arrays(_speed(a[:, :length]), _speed(b[:, :length]))
    lags = np.arange(-reach, reach + 1)
    scores = [
        np.mean([_similarity(x, y) for x, y in zip(*_shifted(a, b, lag), strict=True)])
        for lag in lags
    ]
    return lags / RATE, np.array(scores)


def _shifted(a: Floats, b: Floats, lag: int) -> tuple[Floats, Floats]:
    length = a.shape[1]
    return (
        a[:, max(0, lag) : length + min(0, lag)],
        b[:, max(0, -lag) : length - max(0, lag)],
    )


def _best(late: Floats, early: Floats) -> tuple[float, float, float] | None:
    """Lag in seconds, correlation and confidence of the highest peak, refined by a parabola."""
    lags, scores = correlation(late, early)
    if len(lags) == 0:
        return None
    best = int(np.argmax(scores))
    if scores[best] < _LEAST_CORRELATION or best in (0, len(scores) - 1):
        return None
    below, peak, above = scores[best - 1 : best + 2]
    curvature = below - 2 * peak + above
    shift = 0.5 * (below - above) / curvature if curvature < 0 else 0.0
    alone = float(np.clip(1 - _runner_up(scores, best) / peak, 0, 1))
    confidence = alone * min(1.0, float(peak) / _CLEAR)
    if confidence < _LEAST_CONFIDENCE:
        return None
    return float(lags[best] + shift / RATE), float(peak), confidence


def _runner_up(scores: Reals, best: int) -> float:
    """The highest value away from the peak."""
    width = int(_PEAK_WIDTH * RATE)
    away: Sequence[Reals] = (scores[: max(0, best - width)], scores[best + width + 1 :])
    return max((float(part.max()) for part in away if len(part)), default=0.0)


def _speed(series: Floats) -> Floats:
    slope: Floats = ndimage.gaussian_filter1d(
        np.asarray(series, np.float64), _SMOOTHING * RATE, axis=-1, order=1
    )
    return slope


def _similarity(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 1e-12 else 0.0
