"""Sound in and out: facts, samples at their moments, what a container copies and what it can't."""

from __future__ import annotations

import wave
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.decode import open_clip
from likeness.decode.sound import has_pictures, open_sound, read_sound
from likeness.encode import encode
from likeness.encode.containers import can_copy
from likeness.errors import MediaError
from likeness.provenance.manifest import Manifest
from likeness.types import Timeline


def clicks(path: Path, rate: int = 48000, seconds: float = 2.0) -> Path:
    """A stereo wave file with clicks at 0.5 s (both sides) and 1.25 s (left)."""
    samples = np.zeros((int(rate * seconds), 2), np.int16)
    samples[rate // 2 : rate // 2 + rate // 1000] = 20000
    samples[int(1.25 * rate) : int(1.25 * rate) + rate // 1000, 0] = 30000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def moments(samples: np.ndarray, rate: int = 16000) -> tuple[float, float]:
    """Seconds of the middle of the first and of the last click."""
    loud = np.flatnonzero(np.abs(samples) > 0.2 * np.abs(samples).max())
    first, last = loud[loud < rate], loud[loud >= rate]
    return float(first.mean()) / rate, float(last.mean()) / rate


def test_facts_and_samples_of_a_sound_file(tmp_path: Path) -> None:
    path = clicks(tmp_path / "clicks.wav")
    sound = open_sound(path)
    assert (sound.audio[0].codec, sound.audio[0].sample_rate, sound.audio[0].channels) == (
        *("pcm_s16le", 48000),
        2,
    )
    assert sound.seconds == pytest.approx(2.0)
    assert not has_pictures(path)
    samples = read_sound(path)
    assert len(samples) == 32000
    assert moments(samples) == pytest.approx((0.5005, 1.2505), abs=2e-4)
    # Mono is the mean of both sides.
    assert np.abs(samples[8000:8016]).max() == pytest.approx(20000 / 32768, rel=0.25)
    assert np.abs(samples[20000:20016]).max() == pytest.approx(15000 / 32768, rel=0.25)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_sound_that_is_coded_anew_stays_at_its_moments(
    plain_clip: Path, tmp_path: Path, suffix: str
) -> None:
    sound = open_sound(clicks(tmp_path / "clicks.wav"))
    assert not can_copy(sound, suffix)
    assert can_copy(sound, ".mkv")
    assert can_copy(sound, ".mov")
    output = tmp_path / f"coded{suffix}"
    like = replace(open_clip(plain_clip), path=tmp_path / "nothing beside.mp4")
    timeline = Timeline(np.arange(50), Fraction(1, 25), 1, sound)
    with encode(output, like, Manifest(title="coded", action="dub"), timeline) as video:
        video.append(torch.zeros(50, 3, *like.size))
    assert can_copy(open_sound(output), suffix)
    assert moments(read_sound(output)) == pytest.approx((0.5005, 1.2505), abs=2e-3)


def test_sound_of_a_clip_is_read_in_its_own_time(plain_clip: Path) -> None:
    sound, clip = open_sound(plain_clip), open_clip(plain_clip)
    assert [track.index for track in sound.audio] == [track.index for track in clip.audio]
    assert sound.digest == clip.digest
    assert has_pictures(plain_clip)
    samples = read_sound(plain_clip)
    assert len(samples) / 16000 == pytest.approx(clip.seconds, abs=0.1)
    spectrum = np.abs(np.fft.rfft(samples[4000:20000]))
    assert np.argmax(spectrum) == pytest.approx(440, abs=1)


def test_what_holds_no_sound_is_told(tmp_path: Path, make_clip: Callable[..., Path]) -> None:
    silent = make_clip(tmp_path / "silent.mp4", np.zeros((5, 32, 32, 3), np.uint8))
    for read in (open_sound, read_sound):
        with pytest.raises(MediaError, match="holds no sound"):
            read(silent)
        with pytest.raises(MediaError, match="does not exist"):
            read(tmp_path / "none.wav")


def test_a_timeline_cuts_sound_and_copies_the_rest_bit_for_bit(
    plain_clip: Path, tmp_path: Path, packets: Callable[..., list[list[tuple[int | None, bytes]]]]
) -> None:
    clip, output = open_clip(plain_clip), tmp_path / "short.mp4"
    timeline = replace(
        Timeline.of(clip, open_sound(plain_clip)),
        pts=clip.pts[:25],
        sound_until=Fraction(1),
    )
    with encode(output, clip, Manifest(title="short", action="dub"), timeline) as video:
        video.append(torch.zeros(25, 3, *clip.size))
    whole, cut = packets(plain_clip), packets(output)
    assert len(cut) == len(whole) == 2
    for before, after in zip(whole, cut, strict=True):
        kept = [packet for packet in before if packet[0] is not None and packet[0] < 1_000_000]
        assert [data for _, data in after] == [data for _, data in kept]
        assert len(after) < len(before)
