"""Coding a sound track anew, packet by packet."""

from __future__ import annotations

import logging
from fractions import Fraction
from typing import cast

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from likeness.encode.containers import SoundCoding

log = logging.getLogger(__name__)


class Recoder:
    """Decodes the packets of a track and codes them for another container."""

    def __init__(self, source: AudioStream, output: OutputContainer, coding: SoundCoding) -> None:
        """Add a stream to `output`."""
        self._source = source
        self._output = output
        self._coding = coding
        self.stream = cast(
            AudioStream,
            output.add_stream(coding.coder, rate=coding.rate, layout=coding.layout),
        )
        if coding.bit_rate is not None:
            self.stream.bit_rate = coding.bit_rate
        elif source.codec_context.format.bytes > 2:
            # FLAC holds 16 or 24 bits.
            self.stream.codec_context.format = "s32"
        self._resampler = self._new_resampler()
        self._heard: tuple[str, str, int] | None = None
        self._skipped = 0

    def _new_resampler(self) -> av.AudioResampler:
        # It runs on FFmpeg's own counts of planes, whatever the number of channels.
        return av.AudioResampler(
            self.stream.codec_context.format, self._coding.layout, self._coding.rate
        )

    def take(self, packet: Packet[AudioStream], shift: Fraction) -> None:
        """Code the next packet; `shift` in seconds is added to its time."""
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            self._skipped += 1
            return
        for frame in frames:
            kind = (frame.format.name, frame.layout.name, frame.sample_rate)
            if self._heard not in (None, kind):
                # Channels or rate change in the middle: what is held comes out first.
                self._code(None, shift)
                self._resampler = self._new_resampler()
            self._heard = kind
            self._code(frame, shift)

    def finish(self, shift: Fraction) -> None:
        """Write what is still held."""
        if self._heard is not None:
            self._code(None, shift)
        self._mux(self.stream.encode(None), shift)
        if self._skipped:
            log.warning("the sound holds %d damaged packets", self._skipped)

    def _code(self, frame: AudioFrame | None, shift: Fraction) -> None:
        for piece in self._resampler.resample(frame):
            self._mux(self.stream.encode(piece), shift)

    def _mux(self, packets: list[Packet[AudioStream]], shift: Fraction) -> None:
        for packet in packets:
            ticks = round(shift / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks
            self._output.mux(packet)
