"""Measure filters of a driver's motion: jitter taken away against blinks and closures blunted.

An actor's true motion gets jitter as trackers have it; each filter takes it out. Told are the
jitter left (deviation of second differences of the error, against none removed), how far blinks
stay from their true peak, how far the jaw stays from closed in its true closures, and how late the
motion comes.

Run: python benchmarks/steadiness.py [SEED ...]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import argrelmax, argrelmin, savgol_filter

from likeness.actor import Actor, Motion, RenderConfig, truth
from likeness.controls import control_names, controls_of, with_controls
from likeness.fit.denoise import denoise
from likeness.types import FaceParams

Values = NDArray[np.float64]

JITTER = {"yaw": 0.15, "pitch": 0.15, "roll": 0.1, "x_mm": 0.3, "y_mm": 0.3, "z_mm": 2.0}
"""Deviations in degrees and millimetres; gaze 0.5 degrees, weights 0.015."""


def one_euro(values: Values, rate: float = 25.0, floor: float = 1.0, slope: float = 3.0) -> Values:
    """Casiez, Roussel and Vogel 2012: a causal low-pass whose cutoff grows with speed."""

    def share(cutoff: Values | float) -> Values:
        tau = 1 / (2 * np.pi * np.asarray(cutoff))
        return np.asarray(1 / (1 + tau * rate))

    scale = np.maximum(values.std(0), 1e-9)
    scaled, out = values / scale, np.empty_like(values)
    out[0], speed = scaled[0], np.zeros(values.shape[1])
    for i in range(1, len(values)):
        speed = speed + share(1.0) * ((scaled[i] - scaled[i - 1]) * rate - speed)
        out[i] = out[i - 1] + share(floor + slope * np.abs(speed)) * (scaled[i] - out[i - 1])
    return out * scale


def filters(params: FaceParams) -> dict[str, Callable[[Values], Values]]:
    """Return the filters that are compared, on (N,K) controls."""

    def ours(strength: float) -> Callable[[Values], Values]:
        return lambda values: controls_of(denoise(with_controls(params, values), strength))

    return {
        "none": lambda values: values,
        "mean of 5": lambda values: uniform_filter1d(values, 5, axis=0),
        "quadratic of 7": lambda values: savgol_filter(values, 7, 2, axis=0),
        "one euro (causal)": one_euro,
        "ours, 0.5": ours(0.5),
        "ours, 1": ours(1.0),
        "ours, 2": ours(2.0),
    }


def measure(seed: int) -> dict[str, list[float]]:
    """Return by filter: jitter left, jitter of the pose, blink and closure errors, lag."""
    motion = Motion.from_seed(seed, 40.0)
    params = truth(Actor.from_seed(seed), motion, RenderConfig(size=(128, 128))).params
    names, true = control_names(params), controls_of(params)
    moving = true.std(0) > 1e-6
    level = np.array(
        [JITTER.get(name, 0.5 if name.startswith("gaze") else 0.015) for name in names]
    )
    noise = np.random.default_rng((seed, 7)).normal(0, 1, true.shape) * level * moving
    blink, jaw = (true[:, names.index(name)] for name in ("eyeBlinkLeft", "jawOpen"))
    shut = [i for i in argrelmax(blink, order=2)[0] if blink[i] > 0.7]
    closed = [i for i in argrelmin(jaw, order=1)[0] if jaw[i] < 0.08 and jaw[i - 3 : i + 4].max() > 0.15]  # fmt: skip # noqa: E501
    results = {}
    for name, apply in filters(replace(params)).items():
        found = apply(true + noise)
        error = (found - true)[:, moving] / level[moving]
        second = np.diff(error, 2, axis=0).std(0) / np.sqrt(6)
        blinks = np.abs(found[:, names.index("eyeBlinkLeft")] - blink)[shut]
        gaps = (found[:, names.index("jawOpen")] - jaw)[closed]
        lags = range(-4, 5)
        alike = [np.corrcoef(np.roll(found[:, 0], -lag)[9:-9], true[9:-9, 0])[0, 1] for lag in lags]
        results[name] = [
            float(second.mean()),
            float(second[:6].mean()),
            float(blinks.mean()),
            float(blinks.max()),
            float(np.abs(gaps).mean()),
            float(gaps.max()),
            float(lags[int(np.argmax(alike))]),
        ]
    print(f"actor {seed}: {len(shut)} blinks, {len(closed)} closures")
    return results


if __name__ == "__main__":
    measured = [measure(int(seed)) for seed in sys.argv[1:] or ["2", "5", "8"]]
    head = ("jitter", "of pose", "blink", "worst", "closure", "worst", "lag")
    print(f"{'filter':<20}" + "".join(f"{name:>10}" for name in head))
    for name in measured[0]:
        mean = np.mean([each[name] for each in measured], 0)
        print(f"{name:<20}" + "".join(f"{value:>10.3f}" for value in mean))
