"""Sound out: samples as a file, and sound that a container cannot copy, coded anew."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream

from likeness.channels import plain_channels
from likeness.encode.containers import can_copy
from likeness.errors import MediaError
from likeness.media_names import ffmpeg_name
from likeness.outputs import atomic_file, cause_of
from likeness.provenance.digests import digest_of, expect_content
from likeness.types import AudioTrack, Floats, Sound

_CODERS = {".webm": ("libopus", "matroska", 48000)}
_AAC = ("aac", "ipod", None)
_BITS_PER_CHANNEL = 96000
_LARGEST_RATE = 96000

__all__ = ["can_copy", "recode", "write_sound"]


def recode(sound: Sound, folder: Path, suffix: str) -> Sound:
    """Code the first track anew, into a file whose packets a container can take over.

    Args:
        sound: what to code.
        folder: where the file is written.
        suffix: ending of the container that shall hold it: .webm gets Opus, the others AAC.

    Returns:
        The new file, with the sound at the same moments.

    Raises:
        MediaError: the sound cannot be decoded, or the file not written.
    """
    coder, kind, fixed_rate = _CODERS.get(suffix.lower(), _AAC)
    track = sound.audio[0]
    rate = fixed_rate or min(track.sample_rate, _LARGEST_RATE)
    channels = min(track.channels, 2)
    if sound.digest:
        expect_content(sound.path, sound.digest)
    output = folder / f"sound.{'m4a' if kind == 'ipod' else 'mka'}"
    try:
        with ExitStack() as opened:
            source = opened.enter_context(
                av.open(ffmpeg_name(sound.path), "r", metadata_errors="replace")
            )
            written = opened.enter_context(av.open(ffmpeg_name(Path(output)), "w", format=kind))
            layout = "mono" if channels == 1 else "stereo"
            stream = cast(AudioStream, written.add_stream(coder, rate=rate, layout=layout))
            stream.bit_rate = _BITS_PER_CHANNEL * channels
            resampler = av.AudioResampler(stream.format, layout, rate)
            wanted = cast(AudioStream, source.streams[track.index])
            plain_channels(wanted.codec_context)
            for frame in source.decode(wanted):
                _code(written, stream, resampler, frame)
            _code(written, stream, resampler, None)
            written.mux(stream.encode(None))
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise MediaError(
            f"the sound of {sound.path.name} cannot be coded as {coder} ({error}); give it as .wav "
            "or .m4a, or choose .mkv, which holds any"
        ) from error
    coded = AudioTrack(0, "opus" if coder == "libopus" else coder, rate, channels)
    return Sound(output, digest_of(output), (coded,), sound.seconds)


def _code(
    written: av.container.OutputContainer,
    stream: AudioStream,
    resampler: av.AudioResampler,
    frame: av.AudioFrame | None,
) -> None:
    for piece in resampler.resample(frame):
        written.mux(stream.encode(piece))


def write_sound(
    samples: Floats, rate: int, output: Path | str, bits_per_second: int = 96000
) -> None:
    """Encode mono samples as AAC in an .m4a file.

    Args:
        samples: (S,) in [-1, 1].
        rate: samples per second.
        output: file to write; replaced where it exists.
        bits_per_second: coded rate.

    Raises:
        MediaError: the file cannot be written.
    """
    try:
        with (
            atomic_file(Path(output)) as file,
            av.open(ffmpeg_name(file), "w", format="ipod") as container,
        ):
            stream = container.add_stream("aac", rate=rate, layout="mono")
            stream.bit_rate = bits_per_second
            planes = np.ascontiguousarray(samples, np.float32)[None]
            frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="mono")
            frame.sample_rate = rate
            frame.pts = 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{output} cannot be written: {cause_of(error)}") from error
