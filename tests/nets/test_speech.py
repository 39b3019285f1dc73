"""What the speech network hears, against what is known in closed form, and when it answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from likeness.actor import Motion
from likeness.actor.voice import speak
from likeness.errors import ConfigError
from likeness.nets import speech_features as heard
from likeness.nets.speech import Speech, SpeechConfig

RATE = heard.RATE


def tone(hertz: float, seconds: float = 1.0, level: float = 0.3) -> np.ndarray:
    return level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)


def test_filters_are_triangles_of_unit_area_between_the_published_ends() -> None:
    filters = heard.mel_filters()
    assert filters.shape == (40, 257)
    hertz = np.arange(257) * RATE / 512
    used = hertz[filters.sum(0) > 0]
    assert used.min() > 133.3333
    assert used.max() < 6855.4976
    # Wide filters are sampled finely enough for their area to show.
    np.testing.assert_allclose(filters[25:].sum(1), 1, atol=0.03)
    centers = filters[10:] @ hertz / filters[10:].sum(1)
    mel = 2595 * np.log10(1 + centers / 700)
    np.testing.assert_allclose(np.diff(mel), np.diff(mel).mean(), rtol=0.1)


@pytest.mark.parametrize("hertz", [500.0, 1000.0, 3000.0, 5000.0])
def test_a_tone_is_loudest_in_its_own_filter(hertz: float) -> None:
    frames = np.lib.stride_tricks.sliding_window_view(tone(hertz) * 32768, 400)[::160]
    loudest = heard.mel_spectrum(frames).argmax(1)
    filters = heard.mel_filters()
    nearest = filters[:, round(hertz * 512 / RATE)].argmax()
    assert (np.abs(loudest - nearest) <= 1).all()


def test_energy_is_the_logarithm_of_one_plus_the_mean_square() -> None:
    features = heard.speech_features(tone(400.0, 2.0))
    assert features.shape == (200, 28)
    # Whatever its level was, speech is scaled to a root mean square of 3000.
    middle = features[20:-20, heard.CEPSTRA]
    np.testing.assert_allclose(middle, np.log1p(3000.0**2), atol=0.02)


def test_differences_point_to_the_next_frame() -> None:
    features = heard.speech_features(speak(Motion.from_seed(2, 2.0)))
    static, change = features[:, :14], features[:, 14:]
    np.testing.assert_allclose(change[:-1], static[1:] - static[:-1], atol=1e-4)
    assert (change[-1] == 0).all()


def test_the_first_cepstrum_is_the_mean_log_of_the_filters() -> None:
    samples = speak(Motion.from_seed(2, 1.0))
    frames = heard._frames(heard._scaled(samples))
    logs = np.log(np.maximum(heard.mel_spectrum(frames), 1))
    features = heard.speech_features(samples)
    np.testing.assert_allclose(features[:, 0], logs.sum(1) / np.sqrt(40), rtol=1e-5)


@given(st.floats(0.05, 1.0), st.integers(0, 30))
def test_level_changes_nothing_and_delay_only_shifts(gain: float, frames: int) -> None:
    samples = 0.9 * speak(Motion.from_seed(4, 1.5))
    one = heard.speech_features(samples)
    other = heard.speech_features(gain * np.concatenate([np.zeros(frames * heard.HOP), samples]))
    np.testing.assert_allclose(other[frames + 2 : -2], one[2:-2], atol=0.02)


def test_an_impulse_is_heard_at_its_moment() -> None:
    samples = np.zeros(RATE)
    samples[RATE // 2] = 0.5
    energy = heard.speech_features(samples)[:, heard.CEPSTRA]
    loud = np.flatnonzero(energy > energy.max() - 1)
    assert heard.frame_seconds(len(energy))[loud].mean() == pytest.approx(0.5, abs=0.006)


def test_voices_are_told_from_hiss_and_silence() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE)
    assert heard.voiced(tone(150.0)).mean() > 0.9
    assert heard.voiced(speak(Motion.from_seed(3, 4.0))).mean() > 0.4
    assert heard.voiced(noise).mean() < 0.02
    assert not heard.voiced(np.zeros(RATE)).any()


def test_the_network_waits_for_its_delay_and_no_longer() -> None:
    torch.manual_seed(0)
    network = Speech(SpeechConfig(3, ("jawOpen", "mouthPucker"), hidden=8, delay=20))
    network.basis.copy_(torch.randn(3, 2))
    features = torch.randn(120, 28)
    changed = features.clone()
    changed[60] += 3
    moved = (network.mouth(features) - network.mouth(changed)).abs().amax(1) > 1e-6
    # What is heard at step 60 is known from step 40 on, and nothing before.
    assert int(torch.nonzero(moved)[0]) == 40
    assert moved[40:44].all()
    assert network.mouth(features).shape == (120, 2)


def test_a_network_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected"):
        SpeechConfig(0, ("jawOpen",))
