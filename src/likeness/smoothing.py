"""Take the jitter out of signals without delaying them: symmetric filters that adapt.

Each column is filtered by local quadratics (Savitzky and Golay 1964) of several lengths. Symmetric
windows have zero phase, so nothing lags. Where a long window disagrees with the measured signal by
more than the signal's own noise, a shorter one takes over (the bias-variance choice of Lepski
1991), down to the measurement itself; so blinks and plosives keep their depth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, uniform_filter1d
from scipy.signal import savgol_coeffs

from likeness.types import Bools, Floats

Values = NDArray[np.float64]

_HALF_WIDTHS = (7, 4, 2)
_FEWEST = 5
"""Samples that noise can be told from."""
_BATCH = 128
"""Columns that are held as doubles at once."""
_TRUST = 0.8
"""Misfits below this many noise deviations are taken for noise."""


def smooth_signal(
    values: Floats, strength: float | Values = 1.0, limit: float | Values = np.inf
) -> Floats:
    """Smooth (N,...) signals along their first axis with zero lag.

    Args:
        values: (N,...) samples at even times.
        strength: factor on the noise level; larger smooths faster motion too.
        limit: largest noise deviation that is believed, in the units of `values`. Both are one for
            all columns or one for each.

    Returns:
        (N,...) float32.
    """
    flat = values.reshape(len(values), -1)
    strengths, limits = (np.broadcast_to(one, flat.shape[1:]) for one in (strength, limit))
    result = np.empty(flat.shape, np.float32)
    for begin in range(0, flat.shape[1], _BATCH):
        some = slice(begin, begin + _BATCH)
        columns = np.asarray(flat[:, some], np.float64)
        result[:, some] = _smooth_columns(columns, strengths[some], limits[some])
    return result.reshape(values.shape)


def smooth_seen(
    values: Floats,
    observed: Bools | None,
    strength: float | Values = 1.0,
    limit: float | Values = np.inf,
) -> Floats:
    """Smooth the samples that were seen, as if there were no others.

    What was filled in between is no measurement: a straight line would pass for a signal without
    noise. It is moved along with its neighbors, so that nothing jumps.

    Args:
        values: (N,...) samples.
        observed: (N,) which of them were measured; None is all.
        strength, limit: as in `smooth_signal`.

    Returns:
        (N,...) float32.
    """
    if observed is None or observed.all():
        return smooth_signal(values, strength, limit)
    seen = np.flatnonzero(observed)
    if len(seen) < _FEWEST:
        return values.astype(np.float32)
    result = np.asarray(values, np.float32).copy()
    smooth = smooth_signal(values[seen], strength, limit)
    moved = smooth - result[seen]
    result[seen] = smooth
    missing = np.flatnonzero(~observed)
    right = np.searchsorted(seen, missing).clip(0, len(seen) - 1)
    left = np.where(missing < seen[right], np.maximum(right - 1, 0), right)
    span = np.maximum(seen[right] - seen[left], 1)
    share = ((missing - seen[left]) / span).clip(0, 1).astype(np.float32)
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    result[missing] += (1 - share) * moved[left] + share * moved[right]
    return result


def _smooth_columns(flat: Values, strength: Values, limit: Values) -> Values:
    noise = strength * np.minimum(noise_level(flat), limit)
    result = flat.copy()
    # From short to long: each longer window replaces the answer so far where it fits the data.
    for half in reversed([h for h in _HALF_WIDTHS if 2 * h + 1 <= len(flat)]):
        long = local_quadratic(flat, half)
        misfit = _misfit(flat - long, half) / np.maximum(noise, 1e-9)
        trust = _fade(misfit)
        result = trust * long + (1 - trust) * result
    return result


def noise_level(values: Values) -> Values:
    """Estimate each column's noise deviation from third differences in its calm stretches.

    Third differences of white noise have variance 1 + 9 + 9 + 1 = 20 times its own; steady motion
    hardly enters them. Lively faces move most of the time, so the level is the lower fifth of the
    local levels over 15 frames, not their median; 1.25 makes that right for white noise alone.

    Args:
        values: (N,K) with N >= 5.

    Returns:
        (K,) deviations.
    """
    third = np.diff(values, 3, axis=0)
    length = min(15, len(third) - 1 + len(third) % 2)
    squares = uniform_filter1d(third**2, length, axis=0, mode="nearest")
    # The filter's running sum can end a hair below zero where a curve stands still.
    local = np.sqrt(np.maximum(squares, 0) / 20.0)
    deviation: Values = 1.25 * np.quantile(local, 0.2, axis=0)
    return deviation


def local_quadratic(values: Values, half: int) -> Values:
    """Filter (N,K) columns by least-squares quadratics over 2 half + 1 samples.

    Ends are extended by point reflection, which continues straight lines.
    """
    kernel = savgol_coeffs(2 * half + 1, 2)
    head = 2 * values[:1] - values[half:0:-1]
    tail = 2 * values[-1:] - values[-2 : -half - 2 : -1]
    padded = np.concatenate([head, values, tail])
    count = len(values)
    smoothed = np.zeros_like(values)
    for i, weight in enumerate(kernel):
        smoothed += weight * padded[i : i + count]
    return smoothed


def _misfit(residual: Values, half: int) -> Values:
    """Local size of (N,K) residuals: what lasts over three frames counts, and spreads sideways.

    Averaging over three frames sets a blink apart from white noise; the running maximum covers the
    whole of the event with the short window, not only its peak.
    """
    mean = gaussian_filter1d(residual, 0.7, axis=0, mode="nearest")
    spread: Values = maximum_filter1d(np.abs(mean), 2 * max(1, half // 2) + 1, axis=0)
    return spread


def _fade(misfit: Values) -> Values:
    """Return 1 below `_TRUST`, 0 above twice that, smooth between."""
    x = np.clip(2 - misfit / _TRUST, 0, 1)
    weight: Values = x * x * (3 - 2 * x)
    return weight
