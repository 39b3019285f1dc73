"""Opening containers: av's errors become sentences, and the packets a table of time stamps."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from likeness.errors import MediaError
from likeness.types import Ints

log = logging.getLogger(__name__)

DECODE_THREADS = 2
"""Frames decoded at once: more threads only add memory and delay at portrait sizes."""

_NO_VIDEO_FORMATS = {"tty", "concat", "hls", "dash", "lavfi", "bin", "xbin", "adf", "idf", "srt"}
"""Demuxers that read text, or open other files on behalf of this one."""

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


@contextmanager
def open_container(path: Path) -> Iterator[InputContainer]:
    """Open a container for reading.

    Raises:
        MediaError: The file is missing, no medium, or cut off before its index.
    """
    try:
        container = av.open(
            str(path),
            "r",
            container_options={"protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _cannot_open(path, error) from error
    with container:
        if set(container.format.name.split(",")) & _NO_VIDEO_FORMATS:
            raise MediaError(
                f"{path} is no video (it reads as {container.format.name!r}); expected a video "
                "file, a picture or a folder of pictures"
            )
        yield container


def _cannot_open(path: Path, error: Exception) -> MediaError:
    if not path.exists():
        return MediaError(f"{path} does not exist; expected a video file, picture or folder")
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as failure:
        return MediaError(f"{path} cannot be read ({failure.strerror}); check its permissions")
    if not head:
        return MediaError(f"{path} is empty; expected a video file")
    if head[4:8] in (b"ftyp", b"moov", b"mdat"):
        return MediaError(
            f"{path} is an MP4 file without its index: it is truncated or still being written; "
            "copy it again or have its index rebuilt"
        )
    return MediaError(f"{path} is no video that can be read ({error}); expected a video or picture")


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """Return the first stream of moving pictures, ready to decode.

    Raises:
        MediaError: There is none, or nobody here knows its codec.
    """
    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not moving:
        found = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise MediaError(f"{path} has no video stream (found: {found}); expected a video")
    stream = moving[0]
    if stream.codec_context is None:
        raise MediaError(
            f"{path} is coded with an unknown codec; expected one that this build of PyAV decodes; "
            "convert it to H.264 first"
        )
    stream.codec_context.thread_type = "AUTO"
    stream.codec_context.thread_count = DECODE_THREADS
    return stream


def frames_of(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Decode from the container's position on, stepping over damaged packets."""
    damaged = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            break
        except av.error.InvalidDataError:
            # The rest of the file is cut off: give the decoder the chance to hand out what it has.
            log.warning("%s ends in the middle of a frame", container.name)
            try:
                yield from stream.codec_context.decode(None)
            except (av.error.InvalidDataError, av.error.EOFError):
                log.debug("the decoder held no more frames")
            break
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            damaged += 1
        except av.error.EOFError:
            break
    if damaged:
        log.warning("%s holds %d damaged packets", container.name, damaged)


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


def table_of(path: Path) -> Table:
    """Read the time stamps of every frame, by demuxing where that is safe, else by decoding.

    Raises:
        MediaError: There is no frame.
    """
    with open_container(path) as container:
        stream = video_stream(container, path)
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        time_base = stream.time_base or 1 / rate
        rows = _packet_rows(container, stream)
        trusted = (
            stream.codec_context.name in _ONE_FRAME_PER_PACKET
            and container.format.name not in _NO_DISPLAY_TIMES
        )
        if not rows:
            raise MediaError(f"{path} holds no frames: it is truncated or damaged")
    if not trusted or any(row[0] is None for row in rows):
        return _counted_table(path, rows, time_base, rate)
    pts, dts, duration, key = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    keys = np.flatnonzero(key)
    if len(keys):
        # What is shown before the first key frame cannot be decoded.
        first = pts[keys[0]]
        keep = pts >= first
        pts, dts, duration, key = pts[keep], dts[keep], duration[keep], key[keep]
    order = np.argsort(pts, kind="stable")
    pts, dts, duration, key = pts[order], dts[order], duration[order], key[order].astype(bool)
    return _table(pts, duration, (pts[key], dts[key]), time_base, rate)


def _packet_rows(
    container: InputContainer, stream: VideoStream
) -> list[tuple[int | None, int, int, bool]]:
    rows: list[tuple[int | None, int, int, bool]] = []
    try:
        for packet in container.demux(stream):
            # Empty packets flush; a cut-off packet is marked corrupt by the demuxer.
            if packet.size == 0 or packet.is_discard or packet.is_corrupt:
                continue
            dts = packet.dts if packet.dts is not None else packet.pts or 0
            rows.append((packet.pts, dts, packet.duration or 0, packet.is_keyframe))
    except av.error.InvalidDataError:
        log.warning("%s is truncated; %d frames are whole", container.name, len(rows))
    return rows


def _counted_table(
    path: Path, rows: list[tuple[int | None, int, int, bool]], time_base: Fraction, rate: Fraction
) -> Table:
    """Decode everything once: for codecs that hide frames, and for missing time stamps."""
    with open_container(path) as container:
        stream = video_stream(container, path)
        stamps = [frame.pts for frame in frames_of(container, stream)]
        timeless = container.format.name in _NO_DISPLAY_TIMES
    if not stamps:
        raise MediaError(f"{path} holds no frame that can be decoded: it is truncated or damaged")
    none = np.empty(0, np.int64)
    known = [stamp for stamp in stamps if stamp is not None]
    if len(known) < len(stamps) or (timeless and bool(np.any(np.diff(known) <= 0))):
        log.warning("%s lacks time stamps; its frames are counted at %s per second", path, rate)
        counts = np.arange(len(stamps), dtype=np.int64)
        return Table(counts, counts, none, none, 1 / rate, 1, True)
    pts = np.sort(np.array(known, np.int64))
    by_pts = {row[0]: row[2] for row in rows}
    duration = np.array([by_pts.get(int(p), 0) for p in pts], np.int64)
    found = _table(pts, duration, (none, none), time_base, rate)
    return Table(pts, found.pts, none, none, time_base, found.last_duration, True)


def _table(
    raw: Ints, duration: Ints, keys: tuple[Ints, Ints], time_base: Fraction, rate: Fraction
) -> Table:
    # Strictly increasing: each at least one tick after the one before it.
    ticks = np.arange(len(raw))
    pts = np.maximum.accumulate(raw - ticks) + ticks
    if not np.array_equal(pts, raw):
        log.warning("%d frames share a time stamp; they were moved apart", int((pts != raw).sum()))
    last = int(duration[-1])
    if last <= 0:
        steps = np.diff(pts)
        last = int(np.median(steps)) if len(steps) else round(1 / (rate * time_base))
    return Table(raw, pts, keys[0], keys[1], time_base, max(last, 1), False)


def orientation_of(frame: VideoFrame) -> tuple[int, bool]:
    """Return what makes a frame upright: degrees clockwise, and whether to mirror before turning.

    Reads the display matrix (ISO/IEC 14496-12 section 6.2.2): [[a, b, u], [c, d, v], [x, y, w]]
    with x' = a x + c y, y' = b x + d y, y pointing down.
    """
    try:
        # The stubs know only a few kinds of side data; the container answers for all.
        data = cast(SideDataContainer, frame.side_data)[SideDataType.DISPLAYMATRIX]
    except KeyError:
        return 0, False
    except ValueError:
        # Side data of a kind that PyAV has no name for (EXIF) hides the matrix; the angle is left.
        return round(-frame.rotation / 90) % 4 * 90, False
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].astype(float)
    degrees = math.degrees(math.atan2(-c, d))
    return round(degrees / 90) % 4 * 90, a * d - b * c < 0
