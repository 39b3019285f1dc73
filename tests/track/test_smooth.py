"""Smoothing: no lag, less jitter, whole blinks; measurements on known points."""

from __future__ import annotations

import tracemalloc

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.smoothing import local_quadratic, noise_level, smooth_signal
from likeness.track.measure import (
    INNER_LIPS,
    IRIS_CENTERS,
    LOWER_LIDS,
    UPPER_LIDS,
    eye_openness,
    iris_offsets,
    mouth_openness,
)

_FRAMES = 300


def _head_motion(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.arange(_FRAMES) / 25
    waves = [
        rng.uniform(1, 8) * np.sin(2 * np.pi * rng.uniform(0.1, 1.2) * time + rng.uniform(0, 6))
        for _ in range(6)
    ]
    return np.sum(waves, 0)


def _blinks(width: float) -> np.ndarray:
    time = np.arange(_FRAMES, dtype=float)
    return sum(-10 * np.exp(-(((time - at) / width) ** 2)) for at in range(30, _FRAMES, 60))


def test_jitter_falls_and_nothing_lags() -> None:
    clean = _head_motion(0)
    noisy = clean + np.random.default_rng(1).normal(0, 0.3, _FRAMES)
    smooth = smooth_signal(noisy[:, None])[:, 0]
    assert np.sqrt(np.mean((smooth - clean) ** 2)) < 0.6 * 0.3
    jitter = [np.mean(np.diff(x - clean, 2) ** 2) for x in (noisy, smooth)]
    assert jitter[1] < 0.1 * jitter[0]
    # A quarter frame of lag at this speed would already show.
    shifts = np.arange(-2, 2.01, 0.05)
    inner, time = np.arange(10, _FRAMES - 10), np.arange(_FRAMES)
    errors = [np.mean((np.interp(inner + s, time, smooth) - clean[inner]) ** 2) for s in shifts]
    assert abs(shifts[int(np.argmin(errors))]) <= 0.1


def test_blinks_keep_nine_tenths_of_their_depth() -> None:
    for width in (1.0, 1.5, 2.5):
        clean = _blinks(width)
        noisy = clean + np.random.default_rng(2).normal(0, 0.25, _FRAMES)
        smooth = smooth_signal(noisy[:, None])[:, 0]
        for at in range(30, _FRAMES, 60):
            depth = -smooth[at - 1 : at + 2].min()
            assert depth >= 0.9 * 10, (width, at, depth)


def test_noise_level_reads_the_noise_and_not_the_motion() -> None:
    noisy = _head_motion(3) + np.random.default_rng(4).normal(0, 0.3, _FRAMES)
    assert 0.2 < noise_level(noisy[:, None])[0] < 0.4


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(5, 40))
def test_smoothing_commutes_with_time_reversal_and_offset(seed: int, count: int) -> None:
    values = np.random.default_rng(seed).normal(0, 5, (count, 3))
    smooth = smooth_signal(values)
    assert np.allclose(smooth_signal(values[::-1])[::-1], smooth, atol=1e-4)
    assert np.allclose(smooth_signal(values + 7) - 7, smooth, atol=1e-3)


def test_straight_lines_pass_unchanged() -> None:
    line = np.linspace(0, 50, 40)[:, None]
    assert np.allclose(local_quadratic(line, 4), line, atol=1e-9)


def test_measures_on_known_points() -> None:
    points = np.zeros((1, 478, 3), np.float32)
    points[0, [33, 133, 362, 263], 0] = [0, 40, 80, 120]
    points[0, UPPER_LIDS, 1], points[0, LOWER_LIDS, 1] = -4, 6
    points[0, INNER_LIPS[:, 1], 1] = 30
    points[0, IRIS_CENTERS] = [[30, 5, 0], [100, 0, 0]]
    assert np.allclose(eye_openness(points), 0.25)
    assert np.allclose(mouth_openness(points), 0.25)
    assert np.allclose(iris_offsets(points), [[[0.5, 0.25], [0.0, 0.0]]])
    # Ratios don't depend on size, rotation or place.
    turn = np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]], np.float32)
    moved = 2.5 * points @ turn.T + 11
    assert np.allclose(eye_openness(moved), 0.25, atol=1e-5)
    assert np.allclose(iris_offsets(moved), iris_offsets(points), atol=1e-5)


def test_a_long_track_is_not_held_many_times() -> None:
    values = np.random.default_rng(3).normal(size=(3000, 478, 3)).astype(np.float32)
    tracemalloc.start()
    smooth_signal(values)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * values.nbytes
