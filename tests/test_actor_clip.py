"""Filming the actor: a marked file with the right pictures and sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from likeness.actor import Actor, Motion, RenderConfig, render
from likeness.actor.voice import speak
from likeness.actor_clip import write_actor_clip
from likeness.decode import Decoder
from likeness.types import Window


def test_clip_has_pictures_sound_and_manifest(tmp_path: Path) -> None:
    actor, motion = Actor.from_seed(2), Motion.from_seed(3, 0.8)
    config = RenderConfig(size=(96, 96))
    clip = write_actor_clip(actor, motion, tmp_path / "a.mp4", config, sound=True)
    assert (len(clip), clip.size, clip.fps) == (20, (96, 96), 25)
    assert [track.codec for track in clip.audio] == ["aac"]
    assert (tmp_path / "a.mp4.manifest.json").exists()
    with Decoder(clip) as decoder:
        picture = decoder.read(Window(12, 13))[0]
    wanted = render(actor, motion, 12, config).image
    assert float((picture - wanted).abs().mean()) < 0.02


def test_voice_follows_the_jaw() -> None:
    motion = Motion.from_seed(3, 8.0)
    samples = speak(motion, 16000)
    assert len(samples) == 8 * 16000
    loud = np.sqrt((samples.reshape(-1, 640) ** 2).mean(1))
    assert np.corrcoef(loud, motion.column("jawOpen"))[0, 1] > 0.8
    assert np.array_equal(samples, speak(motion, 16000))
