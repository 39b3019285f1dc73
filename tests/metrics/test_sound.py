"""Lip and sound offsets on made-up speech."""

import functools

import numpy as np
import pytest

from likeness.actor import Motion
from likeness.actor.voice import speak
from likeness.decode import open_clip
from likeness.decode.sound import read_sound
from likeness.errors import ContractError
from likeness.metrics import lips, sound


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
    lips = sound.at_rate(times, lips)
    for seed in range(4):
        noise = np.random.default_rng(seed).normal(0, 0.2, 8 * 16000)
        found = sound.sync_offset(lips, sound.envelope(noise, 16000))
        assert found is None or found.confidence < 0.25
    assert sound.lag_seconds(lips[:150], lips[:150]) is None


def test_frames_without_a_face_are_bridged():
    times, lips = seen(speech(), 0.0)
    lips[30:34] = np.nan
    bridged = sound.at_rate(times, lips)
    assert np.isfinite(bridged).all()
    assert len(bridged) == int(times[-1] * sound.RATE)
    assert len(sound.at_rate(times, np.full(len(times), np.nan))) == 0


def test_envelope_follows_level_per_band_and_folds_channels():
    rate = 16000
    t = np.arange(2 * rate) / rate
    tone = np.sin(2 * np.pi * 200 * t) * np.where(t < 1, 0.1, 0.4)
    loudness = sound.envelope(np.stack([tone, tone], -1), rate)
    assert loudness.shape == (len(sound.BANDS), 2 * sound.RATE)
    # Sixteen times the power, above a floor of a hundredth of the mean.
    power = np.array([0.1**2, 0.4**2]) / 2
    expected = np.log(power + 0.01 * power.mean())
    np.testing.assert_allclose(loudness[0, [100, 300]], expected, atol=0.02)
    assert (loudness[1:, 100].max(0) < expected[0] - 4).all()
    with pytest.raises(ContractError, match="rate"):
        sound.envelope(tone, 0)


@pytest.mark.parametrize("shift", [-200, -90, 0, 60, 200])
def test_shifts_of_an_actors_voice_are_recovered(shift):
    motion = Motion.from_seed(7, 6.0)
    samples, late = speak(motion), round(shift * 16)
    moved = np.concatenate([np.zeros(max(0, late)), samples[max(0, -late) :]])
    shown = (np.arange(len(motion)) + 0.5) / motion.fps
    lips = sound.at_rate(shown, motion.column("jawOpen"))
    found = sound.sync_offset(lips, sound.envelope(moved, 16000))
    assert found is not None
    assert found.ms == pytest.approx(shift, abs=20)
    assert found.confidence > 0.3


@functools.cache
def lips_of_real_speech(path):
    return lips.openness(open_clip(path))


@pytest.mark.parametrize("shift", [-200, -100, 0, 100, 200])
def test_shifts_of_real_speech_are_recovered(shared_data, shift):
    path = shared_data / "clips" / "man_speech_dim_5s.mp4"
    if not path.exists():
        pytest.skip(f"no {path.name} among the test data")
    samples, late = read_sound(path), shift * 16
    moved = np.concatenate([np.zeros(max(0, late)), samples[max(0, -late) :]])
    opened = lips_of_real_speech(str(path))
    own = sound.sync_offset(opened, sound.envelope(samples, 16000))
    found = sound.sync_offset(opened, sound.envelope(moved, 16000))
    assert own is not None
    assert found is not None
    # Whether the recording itself is in step is not known; natural speech gives 0 to 50 ms.
    assert own.ms == pytest.approx(20, abs=30)
    assert found.ms - own.ms == pytest.approx(shift, abs=20)


def test_another_text_is_compared_with_its_own_lips():
    motions = [Motion.from_seed(seed, 6.0) for seed in (7, 8)]
    sounds = [sound.envelope(speak(motion), 16000) for motion in motions]
    shown = (np.arange(150) + 0.5) / 25
    lips = [sound.at_rate(shown, motion.column("jawOpen")) for motion in motions]
    found = sound.sync_offset(lips[0], sounds[0], lips[1], sounds[1])
    assert found is not None
    assert found.against == "own lips"
    same = sound.sync_offset(lips[0], sounds[0], lips[0], sounds[0])
    assert same is not None
    assert same.against == "reference"
    assert same.ms == pytest.approx(0, abs=1e-3)
