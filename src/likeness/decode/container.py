"""Opening containers: av's errors become sentences, and the right stream is found."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from likeness.decode.aperture import clean_aperture
from likeness.decode.kinds import EXPECTED, Kind, demuxer_of, is_allowed, open_options
from likeness.decode.limits import LARGEST_PIXELS, check_pixels
from likeness.decode.shown import Shown, check_shown, upright_aspect
from likeness.errors import MediaError
from likeness.files import why_unreadable
from likeness.media_names import ffmpeg_name, require_file, unusable

log = logging.getLogger(__name__)

DECODE_THREADS = 2
"""Frames decoded at once: more threads only add memory and delay at portrait sizes."""

PIXEL_OPTION = {"max_pixels": str(LARGEST_PIXELS)}
"""Told to FFmpeg's decoders, which ask for memory as soon as they have read a size."""

NO_PICTURE = (
    Disposition.attached_pic
    | Disposition.timed_thumbnails
    | Disposition.still_image
    | Disposition.dependent
)
"""Covers, previews and parts of pictures are no clip."""

_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""FFmpeg's own decoders leave out the transparency that WebM keeps beside the picture."""


@contextmanager
def open_container(path: Path, kind: Kind = "video") -> Iterator[InputContainer]:
    """Open a container for reading.

    Args:
        path: A regular file; anything else is refused before it is opened.
        kind: What it shall be; it says which demuxers may read it.

    Raises:
        MediaError: The file is missing, no regular file, nothing of that kind, or cut off before
            its index.
    """
    require_file(path, EXPECTED[kind])
    try:
        container = av.open(
            ffmpeg_name(path),
            "r",
            format=demuxer_of(path),
            options=PIXEL_OPTION,
            container_options=open_options(kind),
            metadata_errors="replace",
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _cannot_open(path, error, kind) from error
    with container:
        if not is_allowed(container.format.name, kind):
            raise MediaError(
                f"{path} reads as {container.format.name!r}; expected {EXPECTED[kind]}"
            )
        yield container


def _cannot_open(path: Path, error: Exception, kind: Kind) -> MediaError:
    if isinstance(error, OSError) and not isinstance(error, av.error.FFmpegError):
        return unusable(path, error, EXPECTED[kind])
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] in (b"ftyp", b"moov", b"mdat"):
        return MediaError(
            f"{path} is an MP4 file without its index: it is truncated or still being written; "
            "copy it again or have its index rebuilt"
        )
    if isinstance(error, av.error.ArgumentError):
        # FFmpeg's answer to a demuxer that is not on the list.
        return MediaError(
            f"{path} is of a kind that is not read as {kind}, or damaged; expected {EXPECTED[kind]}"
        )
    return MediaError(
        f"{path} is no {kind} that can be read ({cause(error)}); expected {EXPECTED[kind]}"
    )


def cause(error: Exception) -> str:
    """Say in words what FFmpeg or the system reported."""
    if isinstance(error, av.error.InvalidDataError):
        return "its data are damaged or of no known format"
    if isinstance(error, OSError) and error.errno and error.errno > 0 and error.errno < 1000:
        return why_unreadable(error)
    return str(error) or type(error).__name__


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """Return the stream of moving pictures that a player would show, ready to decode.

    Covers, previews and tiles are left aside; among several, one marked as default goes before
    others, then the larger picture, then the longer, then the first.

    Raises:
        MediaError: There is none, nobody here knows its codec, or its pictures are too large.
    """
    moving = [s for s in container.streams.video if not s.disposition & NO_PICTURE]
    if not moving:
        found = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise MediaError(f"{path} has no video stream (found: {found}); expected a video")
    known = [s for s in moving if s.codec_context is not None]
    if not known:
        raise MediaError(
            f"{path} is coded with an unknown codec; expected one that this build of PyAV decodes; "
            "convert it to H.264 first"
        )
    stream = max(known, key=_prominence)
    if len(moving) > 1:
        log.info("%s holds %d video streams; number %d is read", path, len(moving), stream.index)
    context = stream.codec_context
    check_pixels(context.width, context.height, path)
    if not context.is_open:
        context.thread_type = "AUTO"
        context.thread_count = DECODE_THREADS
        context.options = PIXEL_OPTION
    return stream


def _prominence(stream: VideoStream) -> tuple[bool, int, int, int]:
    context = stream.codec_context
    default = bool(stream.disposition & Disposition.default)
    return default, context.width * context.height, stream.frames, -stream.index


def frames_of(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Decode from the container's position on, stepping over damaged packets."""
    damaged = 0
    context = _decoder_of(stream)
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            break
        except av.error.FFmpegError as error:
            # The rest of the file is cut off: give the decoder the chance to hand out what it has.
            log.warning("%s ends in the middle of a frame (%s)", container.name, cause(error))
            try:
                yield from context.decode(None)
            except av.error.FFmpegError:
                log.debug("the decoder held no more frames")
            break
        try:
            yield from context.decode(packet)
        except av.error.EOFError:
            break
        except av.error.FFmpegError as error:
            log.debug("a packet cannot be decoded: %s", error)
            damaged += 1
    if damaged:
        log.warning("%s holds %d damaged packets", container.name, damaged)


def _decoder_of(stream: VideoStream) -> VideoCodecContext:
    """Return what decodes a stream: its own context, or one that knows about transparency."""
    name = _ALPHA_DECODERS.get(stream.codec_context.name)
    # FFmpeg's own writers put it in capitals.
    modes = {key.lower(): value for key, value in stream.metadata.items()}
    if name is None or modes.get("alpha_mode") != "1":
        return stream.codec_context
    try:
        context = cast(VideoCodecContext, av.CodecContext.create(name, "r"))
    except av.error.FFmpegError:
        log.warning("transparency of %s is not read: this build lacks %s", stream, name)
        return stream.codec_context
    context.thread_count = DECODE_THREADS
    context.options = PIXEL_OPTION
    return context


def orientation_of(frame: VideoFrame) -> tuple[int, bool]:
    """Return what makes a frame upright: degrees clockwise, and whether to mirror before turning.

    Reads the display matrix (ISO/IEC 14496-12 section 6.2.2): [[a, b, u], [c, d, v], [x, y, w]]
    with x' = a x + c y, y' = b x + d y, y pointing down.
    """
    try:
        # The stubs know only a few kinds of side data; the container answers for all.
        data = bytes(cast(SideDataContainer, frame.side_data)[SideDataType.DISPLAYMATRIX])
    except KeyError:
        return 0, False
    except ValueError:
        # Side data of a kind that PyAV has no name for (EXIF) hides the matrix; the angle is left.
        return round(-frame.rotation / 90) % 4 * 90, False
    if len(data) < 36:
        return 0, False
    a, b, _, c, d = np.frombuffer(data, np.int32)[:5].astype(float)
    degrees = math.degrees(math.atan2(-c, d))
    return round(degrees / 90) % 4 * 90, a * d - b * c < 0


def shown_of(
    container: InputContainer, stream: VideoStream, frame: VideoFrame, path: Path
) -> Shown:
    """Return how the pictures of a stream are shown, from one of them and from the container.

    Raises:
        MediaError: They are too large.
    """
    degrees, mirrored = orientation_of(frame)
    size = (frame.height, frame.width)
    crop = clean_aperture(path, container.format.name, stream.index, size)
    aspect = upright_aspect(stream.sample_aspect_ratio, degrees, path)
    return check_shown(Shown(size, crop, degrees, mirrored, aspect), path)
