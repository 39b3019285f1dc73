"""Motion measures on drawn faces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.errors import ContractError
from likeness.metrics import motion
from likeness.metrics.summary import bootstrap_interval, mean, ratio_of_roots
from likeness.track.measure import eye_openness


def test_landmark_error_is_the_mean_distance_in_the_picture_plane(face):
    real = np.stack([face()] * 2)
    moved = real.copy()
    moved[1, :, 0] += 3
    moved[1, :, 1] -= 4
    moved[1, :, 2] += 100
    moved[:, 468:] += 50
    assert motion.landmark_error(moved, real) == pytest.approx([0, 5], abs=1e-4)
    with pytest.raises(ContractError, match="1 and 2"):
        motion.landmark_error(moved[:1], real)


def test_gaze_error_is_the_angle_between_directions():
    real = np.zeros((3, 2, 2), np.float32)
    result = real.copy()
    result[1, :, 0] = np.radians(10)
    result[2, 0, 1] = np.radians(6)
    assert motion.gaze_error_deg(result, real) == pytest.approx([0, 10, 3], abs=1e-4)


@settings(max_examples=20)
@given(st.floats(-0.6, 0.6), st.floats(-0.4, 0.4), st.floats(0.5, 3))
def test_gaze_from_irises_does_not_depend_on_place_or_scale(face, along, down, scale):
    gaze = motion.gaze_from_landmarks(face(gaze=(along, down))[None])
    wanted = np.arcsin([1.25 * along, 1.25 * down])
    assert gaze[0] == pytest.approx(np.stack([wanted, wanted]), abs=1e-4)
    moved = motion.gaze_from_landmarks(face(gaze=(along, down), scale=scale, place=(9, 5))[None])
    assert moved == pytest.approx(gaze, abs=1e-3)


def blinking(face, closed, count=60):
    return np.stack([face(openness=0.02 if t in closed else 0.3) for t in range(count)])


def test_blinks_that_are_followed_correlate(face):
    real = eye_openness(blinking(face, {10, 11, 12, 40, 41, 42}))
    assert real[[0, 11], 0] == pytest.approx([0.3, 0.02], abs=0.005)
    late = eye_openness(blinking(face, {11, 12, 13, 41, 42, 43}))
    elsewhere = eye_openness(blinking(face, {25, 26, 27, 55, 56, 57}))
    assert motion.blink_correlation(real, real) == pytest.approx(1)
    found = motion.blink_correlation(late, real)
    assert found is not None
    assert 0.5 < found < 0.8
    missed = motion.blink_correlation(elsewhere, real)
    assert missed is not None
    assert missed < 0


def test_eyes_that_never_blink_give_nothing_to_follow(face):
    blinks = eye_openness(blinking(face, {10, 11, 12}))
    still = eye_openness(blinking(face, set()))
    assert motion.blink_correlation(blinks, still) is None
    assert motion.blink_correlation(still, blinks) == 0
    noise = np.random.default_rng(0).normal(0, 0.005, still.shape)
    assert motion.blink_correlation(blinks, still + noise) is None


def test_gain_tells_a_mouth_that_opens_by_half_from_one_that_follows():
    real = np.sin(np.linspace(0, 9, 60)).astype(np.float32)
    real[7] = np.nan
    assert motion.gain(0.5 * real + 3, real) == pytest.approx(0.5, abs=1e-6)
    assert motion.gain(real, real) == pytest.approx(1)
    assert motion.gain(np.full(60, 0.2, np.float32), real) == pytest.approx(0, abs=1e-9)
    assert motion.gain(real, np.full(60, 0.2, np.float32), still=0.01) is None


def test_correlation_skips_lost_faces():
    a = np.array([0, 1, np.nan, 3, 4.0])
    assert motion.correlation(2 * a + 1, np.array([0, 1, 7, 3, 4.0])) == pytest.approx(1)
    assert motion.correlation(a, np.full(5, np.nan)) is None
    assert motion.mouth_correlation(-np.arange(5.0), np.arange(5.0)) == pytest.approx(-1)


def test_closed_eyes_are_found_by_each_persons_own_openness(face):
    openness = eye_openness(blinking(face, {10, 11, 12}))
    openness[20] = np.nan
    assert np.flatnonzero(motion.closed_eyes(openness)).tolist() == [10, 11, 12, 20]
    assert motion.closed_eyes(np.full((3, 2), np.nan)).all()


def test_jitter_is_the_noise_and_not_the_motion():
    t = np.arange(400)[:, None, None]
    path = 50 * np.sin(t / 30 + np.arange(40).reshape(1, 20, 2))
    noise = np.random.default_rng(0).normal(0, 0.4, path.shape)
    assert motion.jitter(path) == pytest.approx(0, abs=0.01)
    assert motion.jitter(path + noise) == pytest.approx(0.4, rel=0.05)
    # The whole face trembling together is as much jitter as points trembling apart.
    assert motion.jitter(path + noise[:, :1, :1]) == pytest.approx(0.4, rel=0.12)
    noise[200] += 80
    assert motion.jitter(path + noise) == pytest.approx(0.4, rel=0.07)
    assert motion.jitter(path[:3]) is None


def test_jumps_are_found_and_fast_turns_are_not(face):
    x = np.concatenate([np.linspace(50, 52, 20), np.linspace(53, 80, 20), np.linspace(80, 81, 20)])
    track = np.stack([face(place=(v, 64)) for v in x])
    assert motion.jumps(track).tolist() == []
    track[45:] += 12
    assert motion.jumps(track).tolist() == [45]
    assert motion.jumps(track[:1]).tolist() == []


def test_nearest_frames_agree_with_a_plain_search(face):
    generator = np.random.default_rng(0)
    training = np.stack([face(place=(64 + 5 * generator.normal(), 64)) for _ in range(30)])
    training[4] = np.nan
    wanted = training[[7, 2, 29]] + generator.normal(0, 0.3, (3, 478, 3)).astype(np.float32)
    assert motion.nearest_frames(training, wanted).tolist() == [7, 2, 29]
    with pytest.raises(ContractError, match="no training frame"):
        motion.nearest_frames(training[4:5], wanted)


def test_nearest_frames_hear_the_irises(face):
    training = np.stack([face(gaze=(0.5, 0)), face(gaze=(-0.5, 0))])
    assert motion.nearest_frames(training, face(gaze=(-0.4, 0))[None]).tolist() == [1]


def test_interval_holds_the_mean_as_often_as_it_says():
    generator = np.random.default_rng(0)
    hits = 0
    for seed in range(100):
        low, high = bootstrap_interval(generator.normal(5, 1, 400), resamples=200, seed=seed)
        hits += low < 5 < high
    assert 85 <= hits <= 100
    assert high - low == pytest.approx(4 / np.sqrt(400), rel=0.5)


def test_interval_widens_when_frames_resemble_each_other():
    generator = np.random.default_rng(1)
    alike = np.repeat(generator.normal(0, 1, 40), 10)
    low, high = bootstrap_interval(alike)
    assert high - low > 0.4
    mixed = bootstrap_interval(generator.permutation(alike))
    assert high - low > 2 * (mixed[1] - mixed[0])
    assert bootstrap_interval(np.array([1.0, np.nan])) is None
    assert bootstrap_interval(alike) == (low, high)
    with pytest.raises(ContractError, match="share"):
        bootstrap_interval(alike, share=2)


def test_interval_of_any_statistic():
    generator = np.random.default_rng(3)
    pairs = np.abs(generator.normal(1, 0.2, (300, 2)))
    pairs[:, 0] *= 0.8
    low, high = bootstrap_interval(pairs, lambda rows: ratio_of_roots(rows[:, 0], rows[:, 1]))
    assert low < np.sqrt(0.8) < high
    assert high - low < 0.1
    assert bootstrap_interval(pairs, lambda _: None) is None
    gaps = pairs.copy()
    gaps[::3, 1] = np.nan
    assert bootstrap_interval(gaps, lambda rows: float(len(rows))) == (200.0, 200.0)


def test_summaries_skip_the_unknown():
    assert mean(np.array([1, np.nan, 3])) == 2
    assert mean(np.array([np.nan])) is None
    assert ratio_of_roots(np.array([1.0, np.nan]), np.array([4.0, 9])) == pytest.approx(0.5)
    assert ratio_of_roots(np.array([np.nan]), np.array([4.0])) is None
