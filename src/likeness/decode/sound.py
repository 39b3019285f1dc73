"""Sound in: facts and samples of a sound file or of a clip's first audio track.

A minute of mono samples at 16 kHz is 4 MB, less than the track of a face over the same time, so
samples are handed out whole.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from likeness.channels import plain_channels
from likeness.decode.container import NO_PICTURE, open_container
from likeness.decode.limits import LONGEST_GAP, MOST_SAMPLES, check_length, check_sound
from likeness.errors import ContractError, MediaError
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
    with open_container(path, "sound") as container:
        tracks, first = [], _first_track(container, path)
        for stream in container.streams.audio:
            context = stream.codec_context
            if context is not None:
                count = plain_channels(context)
                tracks.append(AudioTrack(stream.index, context.name, context.sample_rate, count))
        seconds = _seconds(container, first)
    return Sound(path, digest_of(path), tuple(tracks), seconds)


def has_pictures(path: Path | str) -> bool:
    """Tell whether a file holds moving pictures; the cover of a song doesn't count.

    Raises:
        MediaError: the file is missing or no medium.
    """
    with open_container(Path(path), "sound") as container:
        return any(not s.disposition & NO_PICTURE for s in container.streams.video)


def _seconds(container: InputContainer, stream: AudioStream) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1_000_000


def clock_start(container: InputContainer) -> Fraction:
    """Return the moment, on a file's own clock, at which its first picture or sound appears.

    The clock of a transport stream, or of a recording that was cut out of a longer one, starts
    anywhere. What starts within a second of zero counts as zero: that is a coder's run-in, or one
    track that sets in after another.
    """
    streams = [*container.streams.video, *container.streams.audio]
    starts = [
        stream.start_time * stream.time_base
        for stream in streams
        if stream.start_time is not None and stream.time_base is not None
    ]
    first = min(starts, default=Fraction(0))
    return first if abs(first) >= 1 else Fraction(0)


def read_sound(
    source: Path | str | Clip | Sound, rate: int = SPEECH_RATE, since: Fraction | None = None
) -> Floats:
    """Decode the audio track that a player would play as mono.

    Args:
        source: path of a sound file or clip; or a clip or sound as it was recorded, whose file must
            then still be the recorded one.
        rate: samples per second of the answer; the sound is resampled to it.
        since: seconds on the file's clock at which the answer begins, such as a clip's first time
            stamp; by default `clock_start`, which is zero for most.

    Returns:
        (S,) samples in [-1,1], the first at `since`; silence where the file has gaps. Empty where
        the track is.

    Raises:
        MediaError: the file is missing or no medium, is not the recorded one, holds no sound that
            can be decoded, or asks for more than `limits` allow: by its rate, its channels, its
            length or a gap.
    """
    if isinstance(source, Clip | Sound):
        expect_content(source.path, source.digest)
        source = source.path
    path = Path(source)
    with open_container(path, "sound") as container:
        stream = _first_track(container, path)
        origin = clock_start(container) if since is None else since
        mono = _Mono(path, rate, _seconds(container, stream))
        for frame in _frames(container, stream):
            mono.add(frame, origin)
        mono.flush()
    return mono.samples()


def _first_track(container: InputContainer, path: Path) -> AudioStream:
    """Return the track that a player would play, if its rate and channels are those of a recording.

    Among those that can be decoded, one marked as default goes before others, then the first.
    """
    known = [stream for stream in container.streams.audio if stream.codec_context is not None]
    if known:
        chosen = next((s for s in known if s.disposition & Disposition.default), known[0])
        context = chosen.codec_context
        check_sound(context.sample_rate, plain_channels(context), path)
        return chosen
    found = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
    raise MediaError(
        f"{path} holds no sound that can be decoded (found: {found}); expected a sound file such "
        "as .wav or .m4a, or a clip with sound"
    )


class _Mono:
    """Collects frames of any rate, layout and format as mono samples, each at its place in time."""

    def __init__(self, path: Path, rate: int, expected: float) -> None:
        self._path = path
        self._rate = rate
        # What a file says of its length is a hint: where it was too little, samples are copied.
        self._held = np.zeros(int(min(max(expected, 1), LONGEST_GAP) * rate) + 1, np.float32)
        self._length = 0
        self._resampler: av.AudioResampler | None = None
        self._kind: tuple[str, str, int] | None = None
        self._ends: float | None = None
        """Seconds from the origin at which sound goes on if there is no gap."""
        self._at = 0
        """Where the next sample that comes out of the resampler lies."""

    def add(self, frame: AudioFrame, origin: Fraction) -> None:
        """Take the next frame."""
        channels = frame.layout.nb_channels
        check_sound(frame.sample_rate, channels, self._path)
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        starts = self._ends if frame.time is None else frame.time - float(origin)
        starts = 0.0 if starts is None else starts
        jump = abs(starts - (self._ends or 0.0))
        if not jump <= LONGEST_GAP:
            raise MediaError(
                f"the sound of {self._path} stands still for {jump / 60:.0f} minutes from "
                f"{self._ends or 0:.1f} seconds on; expected gaps of at most "
                f"{LONGEST_GAP / 60:.0f} minutes; cut out the part that is needed"
            )
        # A resampler takes one kind of sound; where layout or rate change, another goes on.
        if self._ends is None or jump > _GAP or kind != self._kind:
            self.flush()
            self._resampler = av.AudioResampler("flt", rate=self._rate)
            self._kind, self._at = kind, round(starts * self._rate)
            self._ends = starts
        self._put(frame)
        self._ends = (self._ends or 0.0) + frame.samples / frame.sample_rate

    def flush(self) -> None:
        """Take what the resampler still holds."""
        if self._resampler is not None:
            self._put(None)

    def samples(self) -> Floats:
        """Return what was collected."""
        return self._held[: self._length]

    def _put(self, frame: AudioFrame | None) -> None:
        if self._resampler is None:
            return
        for part in self._resampler.resample(frame):
            piece = _mono_of(part)
            # What lies before zero, such as a coder's run-in, is left out.
            kept = piece[max(0, -self._at) :]
            start = max(0, self._at)
            self._at += len(piece)
            self._make_room(start + len(kept))
            self._held[start : start + len(kept)] = kept

    def _make_room(self, length: int) -> None:
        check_length(length, self._rate, self._path)
        self._length = max(self._length, length)
        if length > len(self._held):
            larger = np.zeros(min(max(2 * len(self._held), length), MOST_SAMPLES), np.float32)
            larger[: len(self._held)] = self._held
            self._held = larger


def _mono_of(frame: AudioFrame) -> Floats:
    """Return the mean of all channels; the resampler's own way down is louder and may clip.

    Only packed samples may be looked at: PyAV counts the planes of a planar frame until it finds an
    empty one, and with eight channels or more it reads beyond their end.
    """
    channels = frame.layout.nb_channels
    if frame.format.is_planar or frame.format.name != "flt":
        raise ContractError(f"sound came as {frame.format.name}, expected packed flt")
    packed = np.frombuffer(memoryview(frame.planes[0]), np.float32, frame.samples * channels)
    mono: Floats = packed.reshape(-1, channels).mean(1, dtype=np.float32)
    return mono


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """Decode a track, stepping over damaged packets, up to where the file is cut off."""
    damaged = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            break
        except av.error.FFmpegError:
            damaged += 1
            break
        try:
            yield from packet.decode()
        except av.error.EOFError:
            break
        except av.error.FFmpegError:
            damaged += 1
    if damaged:
        log.warning("the sound of %s holds %d damaged packets", container.name, damaged)
