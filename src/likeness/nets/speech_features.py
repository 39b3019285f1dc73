"""What the speech network hears: 28 numbers a hundred times a second.

Suwajanakorn, Seitz, Kemelmacher-Shlizerman, *Synthesizing Obama* (SIGGRAPH 2017), section 4.1:
13 mel cepstra and the logarithm of the energy, and how these change to the next frame. The
parameters of the cepstra are Sphinx III's (40 filters from 133.3 to 6855.5 Hz). Ours differ in
that samples are scaled by the loudness of their speech, so that a quiet recording is no other
voice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from likeness.types import Bools, Floats, check

RATE = 16000
"""Samples per second."""
FRAMES_PER_SECOND = 100
HOP = RATE // FRAMES_PER_SECOND
"""Samples from one frame to the next: 10 ms."""
LENGTH = 400
"""Samples of a frame: 25 ms."""
CEPSTRA = 13
FEATURES = 2 * (CEPSTRA + 1)
FILTERS = 40
LOWEST, HIGHEST = 133.3333, 6855.4976
"""Hertz: outer ends of the first and the last filter."""
_TRANSFORM = 512
_PREEMPHASIS = 0.97
_LOUDNESS = 3000.0
"""Root mean square of scaled speech, in units of a 16-bit sample."""
_FLOOR = 1.0
_LOUD = 3.0
"""Natural logarithm of the power under that of speech from which on a frame is loud: 13 dB."""
_SPEECH_DB = 25.0
"""Frames this much under the loudest are no speech."""
_VOICED = 0.45
"""Autocorrelation at the pitch, as a share of the energy, from which on a frame is voiced."""
_PITCH = (70, 400)

Reals = NDArray[np.float64]


def speech_features(samples: Floats) -> Floats:
    """Describe a sound.

    Args:
        samples: (S,) mono in [-1,1] at RATE.

    Returns:
        (T,28): 13 cepstra, log energy, and their differences to the next frame. Frame t covers
        samples [t * HOP - LENGTH / 2, ... + LENGTH), so that its middle is at t / 100 seconds.
    """
    frames = _frames(_scaled(samples))
    spectrum = mel_spectrum(frames)
    cepstra = fft.dct(np.log(np.maximum(spectrum, _FLOOR)), type=2, norm="ortho", axis=1)
    energy = np.log1p(np.square(frames).mean(1, keepdims=True))
    static = np.concatenate([cepstra[:, :CEPSTRA], energy], 1)
    change = np.diff(static, axis=0, append=static[-1:])
    both: Floats = np.concatenate([static, change], 1).astype(np.float32)
    return both


def voice_mean(features: Floats) -> Floats | None:
    """Return (14,) mean cepstra and energy of (T,28) features where it is loud.

    A microphone, a room or another mean of the mouth's resonances adds a constant to all of them.
    None where less than half a second is loud.
    """
    loud = features[:, CEPSTRA] > np.log1p(_LOUDNESS**2) - _LOUD
    if loud.sum() < FRAMES_PER_SECOND // 2:
        return None
    mean: Floats = features[loud, : CEPSTRA + 1].mean(0)
    return mean


def frame_seconds(count: int) -> Reals:
    """Return (T,) seconds of the middle of each frame."""
    return np.arange(count) / FRAMES_PER_SECOND


def mel_spectrum(frames: Reals) -> Reals:
    """Return (T,40) energies of (T,LENGTH) samples in the mel filters."""
    emphasized = frames - _PREEMPHASIS * np.concatenate([frames[:, :1], frames[:, :-1]], 1)
    power = np.abs(np.fft.rfft(emphasized * np.hamming(LENGTH), _TRANSFORM)) ** 2
    return np.asarray(power @ mel_filters().T)


def mel_filters() -> Reals:
    """Return (40, 257): triangles of unit area, evenly spaced and wide on the mel scale."""
    ends = _hertz(np.linspace(_mel(LOWEST), _mel(HIGHEST), FILTERS + 2))
    bins = np.arange(_TRANSFORM // 2 + 1) * RATE / _TRANSFORM
    low, middle, high = ends[:-2, None], ends[1:-1, None], ends[2:, None]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    height = 2 / (high - low) * RATE / _TRANSFORM
    return np.asarray(np.clip(np.minimum(rising, falling), 0, None) * height)


def voiced(samples: Floats) -> Bools:
    """Tell for each of T frames whether somebody speaks with a voice there.

    A frame counts if it is loud against the loudest and periodic at a pitch of 70 to 400 Hz, by
    autocorrelation of 40 ms. Music does, too; hiss, wind and silence don't.
    """
    frames = _frames(np.asarray(samples, np.float64) * 32768, 640)
    centered = (frames - frames.mean(1, keepdims=True)) * np.hanning(640)
    energy = np.square(centered).sum(1)
    spectrum = np.abs(np.fft.rfft(centered, 2048)) ** 2
    likeness = np.fft.irfft(spectrum)[:, RATE // _PITCH[1] : RATE // _PITCH[0]]
    # The window takes away from later lags; without giving it back, low voices would count less.
    shape = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(640), 2048)) ** 2)
    shape = shape[RATE // _PITCH[1] : RATE // _PITCH[0]] / shape[0]
    periodic = (likeness / np.maximum(shape, 0.2)).max(1) > _VOICED * np.maximum(energy, 1e-9)
    return np.asarray(periodic & _loud(energy))


def _loud(energy: Reals) -> Bools:
    """Frames near enough to the loudest; none at all where everything is digital silence."""
    loudest = float(np.percentile(energy, 98)) if len(energy) else 0.0
    loud: Bools = energy > max(loudest * 10 ** (-_SPEECH_DB / 10), 1.0)
    return loud


def _scaled(samples: Floats) -> Reals:
    """Samples in 16-bit units, scaled so that what is loud has one loudness in every recording."""
    units = np.asarray(samples, np.float64) * 32768
    energy = np.square(_frames(units)).mean(1)
    loud = energy[_loud(energy)]
    if len(loud) == 0:
        return units
    scaled: Reals = units * (_LOUDNESS / np.sqrt(loud.mean()))
    return scaled


def _frames(samples: Reals, length: int = LENGTH) -> Reals:
    """Cut (S,) into (T,length), one frame per HOP, the first centered on the first sample."""
    check(samples.ndim == 1, f"samples have shape {samples.shape}, expected (any,)")
    count = max(1, -(-len(samples) // HOP))
    padded = np.zeros((count - 1) * HOP + length)
    kept = samples[: len(padded) - length // 2]
    padded[length // 2 : length // 2 + len(kept)] = kept
    frames: Reals = np.lib.stride_tricks.sliding_window_view(padded, length)[::HOP]
    return frames


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: Reals) -> Reals:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
