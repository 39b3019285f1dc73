"""Sound in: facts and samples of a sound file or of a clip's first audio track.

A minute of mono samples at 16 kHz is 4 MB, less than the track of a face over the same time, so
samples are handed out whole.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from likeness.decode.container import open_container
from likeness.errors import MediaError
from likeness.provenance.digests import digest_of, expect_content
from likeness.types import AudioTrack, Clip, Floats, Sound

log = logging.getLogger(__name__)

SPEECH_RATE = 16000
"""Samples per second at which speech is looked at."""
_GAP = 0.01
"""Seconds between where sound should go on and where it does, from which on it is a gap."""


def open_sound(path: Path | str) -> Sound:
    """Read the facts of a sound file, or of the sound of a clip.

    Raises:
        MediaError: the file is missing or no medium, or holds no sound that can be decoded.
    """
    path = Path(path)
    with open_container(path) as container:
        tracks, first = [], None
        for stream in container.streams.audio:
            context = stream.codec_context
            if context is not None:
                tracks.append(
                    AudioTrack(stream.index, context.name, context.sample_rate, context.channels)
                )
                first = first or stream
        if first is None:
            raise MediaError(
                f"{path} holds no sound (found: "
                f"{', '.join(sorted({s.type for s in container.streams})) or 'nothing'}); expected "
                "a sound file such as .wav or .m4a, or a clip with sound"
            )
        seconds = _seconds(container, first)
    return Sound(path, digest_of(path), tuple(tracks), seconds)


def has_pictures(path: Path | str) -> bool:
    """Tell whether a file holds moving pictures; the cover of a song doesn't count.

    Raises:
        MediaError: the file is missing or no medium.
    """
    with open_container(Path(path)) as container:
        return any(not s.disposition & Disposition.attached_pic for s in container.streams.video)


def _seconds(container: InputContainer, stream: AudioStream) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1_000_000


def read_sound(source: Path | str | Clip | Sound, rate: int = SPEECH_RATE) -> Floats:
    """Decode the first audio track as mono.

    Args:
        source: path of a sound file or clip; or a clip or sound as it was recorded, whose file must
            then still be the recorded one.
        rate: samples per second of the answer; the sound is resampled to it.

    Returns:
        (S,) samples in [-1,1], the first at time zero of the file; silence where the file has
        gaps. Empty where the track is.

    Raises:
        MediaError: the file is missing or no medium, is not the recorded one, or holds no sound
            that can be decoded.
    """
    if isinstance(source, Clip | Sound):
        expect_content(source.path, source.digest)
        source = source.path
    path = Path(source)
    runs: list[tuple[int, list[Floats]]] = []
    with open_container(path) as container:
        if not container.streams.audio:
            raise MediaError(f"{path} holds no sound; expected a sound file, or a clip with sound")
        resampler, ends = av.AudioResampler("fltp", rate=rate), -np.inf
        for frame in _frames(container, container.streams.audio[0]):
            starts = ends if frame.time is None else float(frame.time)
            if abs(starts - ends) > _GAP:
                if runs:
                    runs[-1][1].extend(_arrays(resampler, None))
                resampler = av.AudioResampler("fltp", rate=rate)
                ends = starts if np.isfinite(starts) else 0.0
                runs.append((round(ends * rate), []))
            runs[-1][1].extend(_arrays(resampler, frame))
            ends += frame.samples / frame.sample_rate
        if runs:
            runs[-1][1].extend(_arrays(resampler, None))
    return _laid_out([(at, np.concatenate(parts)) for at, parts in runs if parts])


def _laid_out(pieces: list[tuple[int, Floats]]) -> Floats:
    """Put pieces at their places; what lies before zero, such as a coder's run-in, is left out."""
    samples = np.zeros(max((at + len(piece) for at, piece in pieces), default=0), np.float32)
    for at, piece in pieces:
        kept = piece[max(0, -at) :]
        samples[max(0, at) : max(0, at) + len(kept)] = kept
    return samples


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """Decode a track, stepping over damaged packets, up to where the file is cut off."""
    damaged = 0
    try:
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except av.error.InvalidDataError:
                damaged += 1
    except (av.error.InvalidDataError, av.error.EOFError):
        damaged += 1
    if damaged:
        log.warning("the sound of %s holds %d damaged packets", container.name, damaged)


def _arrays(resampler: av.AudioResampler, frame: AudioFrame | None) -> list[Floats]:
    # The mean of all channels; the resampler's own way down to mono is louder and may clip.
    return [part.to_ndarray().mean(0).astype(np.float32) for part in resampler.resample(frame)]
