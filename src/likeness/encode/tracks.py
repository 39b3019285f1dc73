"""Everything beside the picture: sound, subtitles, timecode and chapters of the input."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from likeness.channels import plain_channels
from likeness.encode.containers import (
    TIMECODE,
    coding_for,
    keeping,
    takes_sound,
    takes_subtitles,
)
from likeness.encode.recoding import Recoder
from likeness.errors import MediaError
from likeness.media_names import ffmpeg_name
from likeness.types import AudioTrack, Clip, Timeline

log = logging.getLogger(__name__)

_RUN_IN = Fraction(1, 10)
"""Most seconds by which a coder's first packet comes before the sound proper."""
_WITH_RUN_IN = frozenset({"aac", "mp3", "mp3float", "opus", "libopus", "vorbis", "libvorbis"})


@dataclass(frozen=True)
class Beside:
    """Which file lends what stands beside the picture."""

    path: Path
    audio: tuple[AudioTrack, ...]
    words: bool
    """Its subtitles, chapters and timecode go with the picture as well."""


def beside_of(like: Clip, timeline: Timeline) -> Beside | None:
    """Choose the file whose sound, subtitles, chapters and timecode an output gets.

    Sound comes from where the timeline says; the rest from the same file, if that is a clip, as it
    goes with what is heard; and from `like` where nothing is heard and the output runs on its time.
    """
    sound = timeline.sound
    if sound is not None and (sound.audio or isinstance(sound, Clip)):
        words = isinstance(sound, Clip) and sound.path.is_file()
        return Beside(sound.path, sound.audio, words) if words or sound.audio else None
    own = timeline.time_base == like.time_base and timeline.pts.tolist() == like.pts.tolist()
    return Beside(like.path, (), True) if own and like.path.is_file() else None


class Tracks:
    """Copies the packets of the input's tracks bit for bit, or codes anew what has to be."""

    def __init__(
        self, opened: ExitStack, beside: Beside | None, output: OutputContainer, suffix: str
    ) -> None:
        """Add a stream to `output` for each track; its header is not written yet."""
        self._output = output
        self._suffix = suffix
        self._beside = beside
        self._shift = Fraction(0)
        self._until: Fraction | None = None
        self._copies: dict[int, Stream] = {}
        self._recoders: dict[int, Recoder] = {}
        self._packets: Iterator[Packet[Any]] = iter(())
        self._waiting: Packet[Any] | None = None
        self._source: InputContainer | None = None
        self._has_run_in = False
        self._ended = False
        self.starts: Fraction | None = None
        """Seconds of the input's clock at which its sound begins; None without sound."""
        self.notes: list[str] = []
        """What could not be copied as it was, in sentences."""
        if beside is None:
            return
        self._source = opened.enter_context(
            av.open(
                ffmpeg_name(beside.path),
                "r",
                container_options={"protocol_whitelist": "file"},
                metadata_errors="replace",
            )
        )
        self._add_sound(beside)
        if beside.words:
            self._add_subtitles()
        chosen = [self._source.streams[index] for index in (*self._copies, *self._recoders)]
        if chosen:
            self._packets = self._source.demux(chosen)

    def _add_sound(self, beside: Beside) -> None:
        source = cast(InputContainer, self._source)
        starts = []
        for track in beside.audio:
            found = source.streams[track.index] if track.index < len(source.streams) else None
            if not isinstance(found, AudioStream):
                raise MediaError(f"stream {track.index} of {beside.path} is no sound any more")
            self._add_track(found, track)
            if found.start_time is not None and found.time_base is not None:
                starts.append((found.start_time * found.time_base, track.codec in _WITH_RUN_IN))
        if starts:
            first, run_in = min(starts)
            # A run-in before zero is hidden by the container: the sound proper begins at zero.
            self.starts = Fraction(0) if run_in and -_RUN_IN <= first < 0 else first
            self._has_run_in = run_in

    def _add_track(self, found: AudioStream, track: AudioTrack) -> None:
        copy: Stream | None = None
        if takes_sound(track.codec, self._suffix):
            try:
                copy = self._output.add_stream_from_template(found)
                self._copies[found.index] = copy
            except ValueError as error:
                log.debug("%s is not copied: %s", track.codec, error)
        if copy is None:
            plain_channels(found.codec_context)
            coding = coding_for(track, found.codec_context.layout.name, self._suffix)
            recoder = Recoder(found, self._output, coding)
            self._recoders[found.index] = recoder
            copy = recoder.stream
            keep = keeping(self._suffix, track.codec)
            self._note(
                f"{self._suffix} does not take {track.codec} sound in a way that plays everywhere: "
                f"it was coded anew as {coding.name}, {coding.layout}"
                + (f"; {keep} would keep it bit for bit" if keep else "")
            )
        _describe(found, copy)

    def _add_subtitles(self) -> None:
        source = cast(InputContainer, self._source)
        for found in source.streams:
            if found.type != "subtitle":
                continue
            codec = found.codec_context.name if found.codec_context else "unknown"
            if found.codec_context and takes_subtitles(codec, self._suffix):
                copy = self._output.add_stream_from_template(found)
                self._copies[found.index] = copy
                _describe(found, copy)
            else:
                self._note(
                    f"{self._suffix} does not hold {codec} subtitles: those of "
                    f"{source_name(self._beside)} are left out"
                )

    def _note(self, text: str) -> None:
        self.notes.append(text)
        log.warning("%s", text)

    def earliest(self, picture: Fraction, tick: Fraction) -> Fraction:
        """Return the moment of the input's clock that becomes zero.

        Args:
            picture: seconds at which the first frame is shown.
            tick: time base of the picture, in which the moment is a whole number.
        """
        if self.starts is None or self.starts >= picture:
            return picture
        lead = picture - self.starts
        if self._has_run_in and lead <= _RUN_IN:
            # As in any MP4: the run-in lies before zero, where nobody hears it.
            return picture
        return self.starts // tick * tick

    def begin(self, zero: Fraction, until: Fraction | None) -> None:
        """Set the clock, and write chapters and timecode; called before the first packet.

        Args:
            zero: from `earliest`.
            until: seconds of the input's clock from which on nothing is copied.
        """
        self._shift, self._until = -zero, until
        if self._source is None or self._beside is None or not self._beside.words:
            return
        chapters = [c for chapter in self._source.chapters() if (c := self._moved(chapter))]
        if chapters:
            self._output.set_chapters(chapters)
        timecode = _timecode_of(self._source)
        if timecode and self._suffix in TIMECODE:
            self._output.metadata["timecode"] = timecode
        elif timecode:
            self._note(f"{self._suffix} holds no timecode: {timecode} is left out")

    def _moved(self, chapter: Any) -> Any:
        base = chapter["time_base"]
        if self._until is not None and chapter["start"] * base >= self._until:
            return None
        ends = chapter["end"] * base
        ends = ends if self._until is None else min(ends, self._until)
        start, end = (
            max(0, round((time + self._shift) / base)) for time in (chapter["start"] * base, ends)
        )
        if end <= start:
            return None
        return {**chapter, "start": start, "end": end}

    def copy_until(self, seconds: Fraction | None) -> None:
        """Write the packets up to a time of the output's clock, or all that are left."""
        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = None
            if packet is None:
                break
            start = packet.dts if packet.dts is not None else packet.pts
            if packet.size == 0 or start is None or self._overrun(packet):
                continue
            if seconds is not None and start * packet.time_base + self._shift > seconds:
                self._waiting = packet
                return
            if recoder := self._recoders.get(packet.stream_index):
                recoder.take(packet, self._shift)
            else:
                self._copy(packet)
        if not self._ended:
            self._ended = True
            for recoder in self._recoders.values():
                recoder.finish(self._shift)

    def _copy(self, packet: Packet[Any]) -> None:
        ticks = round(self._shift / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts + ticks
        packet.dts = None if packet.dts is None else packet.dts + ticks
        packet.stream = self._copies[packet.stream_index]
        self._output.mux(packet)

    def _overrun(self, packet: Packet[Any]) -> bool:
        """Tell whether a packet starts where the sound has been cut off."""
        if self._until is None or packet.pts is None:
            return False
        return packet.pts * packet.time_base >= self._until


def source_name(beside: Beside | None) -> str:
    """Name the file for people."""
    return beside.path.name if beside else "the input"


def _describe(found: Stream, copy: Stream) -> None:
    """Say the language and what a track is for; titles and handlers name people and devices."""
    language = found.metadata.get("language", "")
    if language.isalpha() and len(language) == 3:
        copy.metadata["language"] = language
    copy.disposition = found.disposition


def _timecode_of(source: InputContainer) -> str | None:
    tagged = [stream.metadata for stream in source.streams] + [source.metadata]
    for metadata in tagged:
        for key, value in metadata.items():
            if key.lower() == "timecode":
                return str(value)
    return None
