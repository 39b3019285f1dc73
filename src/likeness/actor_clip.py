"""Film a procedural actor into a video file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from likeness.actor import Actor, Motion, RenderConfig, frames
from likeness.actor.voice import speak
from likeness.decode import open_clip
from likeness.encode import EncodeConfig, encode
from likeness.encode.sound import write_sound
from likeness.provenance.manifest import RENDERED, Manifest
from likeness.provenance.permission import actor_entry
from likeness.types import AudioTrack, Clip, ColorTags, Progress, Timeline, silent

_SOUND_RATE = 16000
_BT709 = ColorTags(primaries=1, transfer=1, matrix=1, full_range=False)


def write_actor_clip(
    actor: Actor,
    motion: Motion,
    path: Path | str,
    config: RenderConfig | None = None,
    *,
    sound: bool = False,
    encoding: EncodeConfig | None = None,
    progress: Progress = silent,
) -> Clip:
    """Render a performance and write it, marked as synthetic; nobody's consent is needed.

    Args:
        actor: who performs.
        motion: what is performed.
        path: output as `encode` takes it, e.g. an .mp4 file.
        config: size, motion blur and camera noise.
        sound: lay a synthesized voice, in step with the jaw, under it (AAC).
        encoding: codec and quality.
        progress: called as ("film", done, total).

    Returns:
        The written clip.

    Raises:
        MediaError: the output cannot be written.
    """
    config = config or RenderConfig()
    path = Path(path)
    manifest = Manifest(
        title=path.name,
        action="render",
        settings={"actor": actor.seed, "motion": motion.seed, "frames": len(motion)},
        people=(actor_entry(actor.seed, "target"),),
        digital_source_type=RENDERED,
    )
    rate = Fraction(motion.fps).limit_denominator(1001)
    with TemporaryDirectory() as folder:
        plain = _facts(Path("actor"), len(motion), rate, config.size, ())
        voice = None
        if sound:
            file = Path(folder) / "voice.m4a"
            write_sound(speak(motion, _SOUND_RATE), _SOUND_RATE, file)
            voice = _facts(
                file, len(motion), rate, config.size, (AudioTrack(0, "aac", _SOUND_RATE, 1),)
            )
        timeline = Timeline.of(plain, sound=voice)
        with encode(path, plain, manifest, timeline, encoding or EncodeConfig()) as video:
            done = 0
            for batch in frames(actor, motion, config):
                video.append(batch)
                done += len(batch)
                progress("film", done, len(motion))
    return open_clip(path)


def _facts(
    path: Path, count: int, rate: Fraction, size: tuple[int, int], audio: tuple[AudioTrack, ...]
) -> Clip:
    """A clip that doesn't exist yet, as facts for the encoder."""
    return Clip(
        path=path,
        digest="",
        size=size,
        pts=np.arange(count, dtype=np.int64) * rate.denominator,
        time_base=Fraction(1, rate.numerator),
        last_duration=rate.denominator,
        color=_BT709,
        audio=audio,
    )
