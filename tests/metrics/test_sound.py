"""Lip and sound offsets on made-up speech."""

import numpy as np
import pytest

from likeness.errors import ContractError
from likeness.metrics import sound


def speech(seconds=8.0, rate=1000.0, seed=0):
    """Slow random loudness, as syllables have it, in [0,1]."""
    generator = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    wave = sum(
        generator.normal() * np.sin(2 * np.pi * (f * t + generator.random()))
        for f in np.arange(0.5, 6, 0.25)
    )
    return (wave - wave.min()) / np.ptp(wave)


def heard(loudness, rate=8000):
    """A noisy voice with this loudness (given at 1000 Hz)."""
    t = np.arange(int(len(loudness) / 1000 * rate)) / rate
    level = np.interp(t, np.arange(len(loudness)) / 1000, loudness)
    return level**2 * np.random.default_rng(5).normal(0, 0.3, len(t)), rate


def seen(loudness, delay, fps=25):
    """Mouth openness per frame at times (n,), lips later than the loudness by `delay` seconds."""
    times = np.arange(int(len(loudness) / 1000 * fps)) / fps
    return times, np.interp(times - delay, np.arange(len(loudness)) / 1000, loudness)


@pytest.mark.parametrize("delay", [-0.2, 0.0, 0.033, 0.3])
def test_offset_against_the_own_lips(delay):
    loudness = speech()
    envelope = sound.envelope(*heard(loudness))
    times, lips = seen(loudness, delay)
    found = sound.av_offset_ms(sound.at_rate(times, lips), envelope)
    assert found == pytest.approx(-1000 * delay, abs=12)


@pytest.mark.parametrize("delay", [-0.12, 0.0, 0.04])
def test_offset_against_a_reference_cancels_what_lips_do_first(delay):
    loudness = speech()
    envelope = sound.envelope(*heard(loudness))
    times, early = seen(loudness, -0.1)
    _, result = seen(loudness, -0.1 + delay)
    lips = [sound.at_rate(times, series) for series in (result, early)]
    found = sound.av_offset_ms(lips[0], envelope, lips[1], envelope)
    assert found == pytest.approx(-1000 * delay, abs=8)


def test_strangers_have_no_offset():
    times, lips = seen(speech(seed=1), 0.0)
    silence = np.zeros(8000)
    assert sound.av_offset_ms(sound.at_rate(times, lips), sound.envelope(silence, 1000)) is None
    noise = np.random.default_rng(0).normal(size=1600).astype(np.float32)
    assert sound.lag_seconds(sound.at_rate(times, lips), noise) is None
    assert sound.lag_seconds(noise[:150], noise[:150]) is None


def test_frames_without_a_face_are_bridged():
    times, lips = seen(speech(), 0.0)
    lips[30:34] = np.nan
    bridged = sound.at_rate(times, lips)
    assert np.isfinite(bridged).all()
    assert len(bridged) == int(times[-1] * sound.RATE)
    assert len(sound.at_rate(times, np.full(len(times), np.nan))) == 0


def test_envelope_follows_level_and_folds_channels():
    rate = 8000
    t = np.arange(2 * rate) / rate
    tone = np.sin(2 * np.pi * 200 * t) * np.where(t < 1, 0.1, 0.4)
    loudness = sound.envelope(np.stack([tone, tone], -1), rate)
    assert len(loudness) == 2 * sound.RATE
    # Four times the amplitude is twice the compressed loudness.
    assert loudness[300] / loudness[100] == pytest.approx(2, rel=0.01)
    assert loudness[100] == pytest.approx((0.1**2 / 2) ** 0.25, rel=0.01)
    with pytest.raises(ContractError, match="rate"):
        sound.envelope(tone, 0)
