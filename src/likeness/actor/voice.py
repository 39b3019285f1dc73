"""A voice that opens and closes with the mouth: sound for tests of lip synchrony."""

from __future__ import annotations

import numpy as np

from likeness.actor.motion import Motion
from likeness.actor.surface import Reals
from likeness.types import Floats

_HARMONICS = 28


def speak(motion: Motion, rate: int = 16000) -> Floats:
    """Synthesize a vowel-like voice for a motion.

    Loudness follows jawOpen (closures are silent), the first formant rises with the jaw, the second
    with the smile and falls with puckered lips.

    Args:
        motion: performance; its first frame sounds at time zero.
        rate: samples per second.

    Returns:
        (len(motion) / fps * rate,) mono samples in [-1, 1].
    """
    count = round(len(motion) / motion.fps * rate)
    moment = np.arange(count) / rate
    frame = (np.arange(len(motion)) + 0.5) / motion.fps

    def curve(name: str) -> Reals:
        return np.interp(moment, frame, motion.column(name))

    jaw = curve("jawOpen")
    spread = curve("mouthSmileLeft") - curve("mouthPucker") - 0.6 * curve("mouthFunnel")
    rng = np.random.default_rng((motion.seed, 41))
    base = float(rng.uniform(100, 210))
    glide = 1 + 0.06 * np.sin(2 * np.pi * 0.45 * moment) + 0.02 * np.sin(2 * np.pi * 5.1 * moment)
    phase = 2 * np.pi * np.cumsum(base * glide) / rate
    first, second = 280 + 700 * np.clip(jaw * 1.6, 0, 1), 1250 + 900 * np.clip(spread, -0.8, 0.9)
    voice = np.zeros(count)
    for k in range(1, _HARMONICS + 1):
        pitch = k * base * glide
        formants = 1 / (1 + ((pitch - first) / 90) ** 2) + 0.5 / (1 + ((pitch - second) / 130) ** 2)
        voice += (formants + 0.3 / (1 + ((pitch - 2700) / 220) ** 2)) / k**0.5 * np.sin(k * phase)
    loud = np.clip((jaw - 0.025) / 0.35, 0, 1) ** 0.8
    breath = rng.normal(size=count) * 0.02 * np.clip(jaw * 8, 0, 1)
    samples = voice * loud * 0.25 + breath * loud
    return np.clip(samples, -1, 1).astype(np.float32)
