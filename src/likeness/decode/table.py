"""Time stamps of every frame of a clip, in order of display."""

from __future__ import annotations

import logging
from array import array
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from likeness.decode.container import cause, frames_of, open_container, video_stream
from likeness.decode.limits import check_frames
from likeness.errors import MediaError
from likeness.types import Bools, Ints

log = logging.getLogger(__name__)

_ONE_FRAME_PER_PACKET = {
    "h264",
    "hevc",
    "vp9",
    "av1",
    "ffv1",
    "prores",
    "dnxhd",
    "mjpeg",
    "rawvideo",
    "png",
    "huffyuv",
    "ffvhuff",
    "utvideo",
}


_NO_DISPLAY_TIMES = {"avi", "h264", "hevc", "m4v", "obu"}
"""Containers that store frames in coding order only: what they report as time is a guess."""

_UNKNOWN = -(2**62)
_LATEST = 2**60
"""Ticks beyond which a time stamp means nothing, and sums with it would overflow."""


@dataclass(frozen=True, eq=False)
class Table:
    """Time stamps of a clip's frames, as the decoder will report them, in order of display."""

    raw_pts: Ints
    """(T,) not decreasing; meaningless where `counted`."""
    pts: Ints
    """(T,) repaired: strictly increasing."""
    key_pts: Ints
    """(K,) time stamps of key frames, increasing."""
    key_dts: Ints
    """(K,) where to seek for each of them."""
    time_base: Fraction
    last_duration: int
    counted: bool
    """The decoder reports no usable time stamps: frames are told by counting from the start."""


@dataclass(frozen=True, eq=False, slots=True)
class _Packets:
    """What a demuxer says of a stream's packets, in order of decoding; (n,) each."""

    pts: Ints
    dts: Ints
    duration: Ints
    key: Bools

    def chosen(self, which: Ints | Bools) -> _Packets:
        """Return some of the packets, or all in another order."""
        return _Packets(self.pts[which], self.dts[which], self.duration[which], self.key[which])


def table_of(path: Path) -> Table:
    """Read the time stamps of every frame, by demuxing where that is safe, else by decoding.

    Raises:
        MediaError: There is no frame, or there are too many.
    """
    with open_container(path) as container:
        stream = video_stream(container, path)
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        time_base = stream.time_base or 1 / rate
        packets = _read_packets(container, stream, path)
        trusted = (
            stream.codec_context.name in _ONE_FRAME_PER_PACKET
            and container.format.name not in _NO_DISPLAY_TIMES
        )
    if not len(packets.pts):
        raise MediaError(f"{path} holds no frames: it is truncated or damaged")
    if not trusted or bool(np.any(np.abs(packets.pts) > _LATEST)):
        return _counted_table(path, packets, time_base, rate)
    keys = np.flatnonzero(packets.key)
    if len(keys):
        # What is shown before the first key frame cannot be decoded.
        packets = packets.chosen(packets.pts >= packets.pts[keys[0]])
    packets = packets.chosen(np.argsort(packets.pts, kind="stable"))
    seeks = packets.pts[packets.key], packets.dts[packets.key]
    return _table(packets.pts, packets.duration, seeks, time_base, rate)


def _read_packets(container: InputContainer, stream: VideoStream, path: Path) -> _Packets:
    # Flat arrays: as tuples, the packets of a long clip would take a gigabyte.
    columns = array("q"), array("q"), array("q"), array("b")
    try:
        for packet in container.demux(stream):
            # Empty packets flush; a cut-off packet is marked corrupt by the demuxer.
            if packet.size == 0 or packet.is_discard or packet.is_corrupt:
                continue
            decoded = packet.dts if packet.dts is not None else packet.pts or 0
            row = (packet.pts, decoded, packet.duration or 0, packet.is_keyframe)
            for column, value in zip(columns, row, strict=True):
                column.append(_UNKNOWN if value is None else value)
            check_frames(len(columns[0]), path)
    except av.error.FFmpegError as error:
        log.warning("%s is cut off (%s); %d frames are whole", path, cause(error), len(columns[0]))
    pts, dts, duration = (np.array(column, np.int64) for column in columns[:3])
    return _Packets(pts, dts, duration, np.array(columns[3], np.bool_))


def _counted_table(path: Path, packets: _Packets, time_base: Fraction, rate: Fraction) -> Table:
    """Decode everything once: for codecs that hide frames, and for missing time stamps."""
    stamps = array("q")
    with open_container(path) as container:
        stream = video_stream(container, path)
        for frame in frames_of(container, stream):
            stamps.append(_UNKNOWN if frame.pts is None else frame.pts)
            check_frames(len(stamps), path)
        timeless = container.format.name in _NO_DISPLAY_TIMES
    if not stamps:
        raise MediaError(f"{path} holds no frame that can be decoded: it is truncated or damaged")
    none = np.empty(0, np.int64)
    known = np.array(stamps, np.int64)
    unclear = bool(np.any(np.abs(known) > _LATEST))
    if unclear or (timeless and bool(np.any(np.diff(known) <= 0))):
        log.warning("%s lacks time stamps; its frames are counted at %s per second", path, rate)
        counts = np.arange(len(stamps), dtype=np.int64)
        return Table(counts, counts, none, none, 1 / rate, 1, True)
    pts = np.sort(known)
    order = np.argsort(packets.pts, kind="stable")
    place = np.searchsorted(packets.pts[order], pts).clip(0, len(order) - 1)
    row = order[place]
    duration = np.where(packets.pts[row] == pts, packets.duration[row], 0)
    table = _table(pts, duration, (none, none), time_base, rate)
    return Table(pts, table.pts, none, none, time_base, table.last_duration, True)


def _table(
    raw: Ints, duration: Ints, keys: tuple[Ints, Ints], time_base: Fraction, rate: Fraction
) -> Table:
    # Strictly increasing: each at least one tick after the one before it.
    ticks = np.arange(len(raw))
    pts = np.maximum.accumulate(raw - ticks) + ticks
    if not np.array_equal(pts, raw):
        log.warning("%d frames share a time stamp; they were moved apart", int((pts != raw).sum()))
    last = int(duration[-1])
    if not 0 < last <= _LATEST:
        steps = np.diff(pts)
        last = int(np.median(steps)) if len(steps) else round(1 / (rate * time_base))
    return Table(raw, pts, keys[0], keys[1], time_base, max(last, 1), False)
