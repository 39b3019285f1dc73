"""Decode the items of a HEIC or AVIF file and lay them together into one picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from likeness.color import BT601_MATRIX, UNSPECIFIED
from likeness.decode.container import PIXEL_OPTION, cause, open_container
from likeness.decode.limits import check_pixels
from likeness.decode.pixels import depth_of, plane_of
from likeness.decode.stills import Still
from likeness.errors import MediaError

_WITH_ALPHA = {
    "yuv420p": "yuva420p",
    "yuvj420p": "yuva420p",
    "yuv422p": "yuva422p",
    "yuvj422p": "yuva422p",
    "yuv444p": "yuva444p",
    "yuvj444p": "yuva444p",
    "gbrp": "gbrap",
}


def read_tiles(path: Path, still: Still) -> VideoFrame:
    """Decode a picture that `read_still` described.

    Returns:
        One picture of the whole grid, before cropping and turning; with an alpha plane where the
        file has one.

    Raises:
        MediaError: A tile is missing, damaged or of another kind than the first.
    """
    picture = _laid(path, still)
    if still.alpha is not None:
        picture = _with_alpha(path, picture, _laid(path, still.alpha))
    if int(picture.colorspace) == UNSPECIFIED:
        # What the Multi-Image Application Format takes where nothing is said (ISO/IEC 23000-22).
        picture.colorspace = BT601_MATRIX
    return picture


def _laid(path: Path, still: Still) -> VideoFrame:
    whole: VideoFrame | None = None
    first: VideoFrame | None = None
    for place, tile in enumerate(_decoded(path, still.items)):
        if first is None:
            first = tile
            if still.size is None or (len(still.items) == 1 and still.size == _size(tile)):
                return tile
            whole = _canvas(path, still, tile)
        if _size(tile) != _size(first) or tile.format.name != first.format.name:
            raise MediaError(
                f"{path} has tiles of different kinds ({first.width}x{first.height} "
                f"{first.format.name}, {tile.width}x{tile.height} {tile.format.name}); export it "
                "as JPEG or PNG"
            )
        row, column = divmod(place, still.columns)
        if whole is not None:
            _paste(tile, whole, row, column)
    if whole is None:
        raise MediaError(f"{path} holds no picture: it is truncated or damaged")
    return whole


def _size(frame: VideoFrame) -> tuple[int, int]:
    return frame.height, frame.width


def _canvas(path: Path, still: Still, tile: VideoFrame) -> VideoFrame:
    """Return an empty picture, for tiles that cover all of it."""
    height, width = still.size or _size(tile)
    rows = len(still.items) // still.columns
    if rows * tile.height < height or still.columns * tile.width < width:
        raise MediaError(
            f"{path} says that its picture has {width}x{height} pixels; its tiles cover only "
            f"{still.columns * tile.width}x{rows * tile.height}; copy it again"
        )
    if not tile.format.name.startswith(("yuv4", "yuvj4", "gray", "gbrp")):
        raise MediaError(f"{path} has tiles of {tile.format.name}, which are not put together here")
    whole = VideoFrame(width, height, tile.format.name)
    _take_color(tile, whole)
    return whole


def _take_color(source: VideoFrame, target: VideoFrame) -> None:
    target.colorspace, target.color_range = source.colorspace, source.color_range
    target.color_primaries, target.color_trc = source.color_primaries, source.color_trc


def _paste(tile: VideoFrame, whole: VideoFrame, row: int, column: int) -> None:
    """Copy the part of a tile that lies within the picture, plane by plane."""
    dtype = np.uint16 if depth_of(tile) > 8 else np.uint8
    for index in range(len(tile.planes)):
        source, target = plane_of(tile, index, dtype), plane_of(whole, index, dtype)
        top, left = row * source.shape[0], column * source.shape[1]
        part = target[top : top + source.shape[0], left : left + source.shape[1]]
        part[:] = source[: part.shape[0], : part.shape[1]]


def _with_alpha(path: Path, picture: VideoFrame, alpha: VideoFrame) -> VideoFrame:
    name = picture.format.name
    plain = name.removesuffix("le").rstrip("0123456789") if depth_of(picture) > 8 else name
    joined = _WITH_ALPHA.get(plain)
    same = _size(alpha) == _size(picture) and depth_of(alpha) == depth_of(picture)
    if joined is None or not same:
        raise MediaError(
            f"{path} keeps its transparency in a way that is not read here ({name} beside "
            f"{alpha.format.name}); export it as PNG"
        )
    whole = VideoFrame(picture.width, picture.height, joined + name[len(plain) :])
    _take_color(picture, whole)
    dtype = np.uint16 if depth_of(picture) > 8 else np.uint8
    for index in range(3):
        plane_of(whole, index, dtype)[:] = plane_of(picture, index, dtype)
    plane_of(whole, 3, dtype)[:] = plane_of(alpha, 0, dtype)
    return whole


def _decoded(path: Path, items: tuple[int, ...]) -> Iterator[VideoFrame]:
    """Yield the picture of each item."""
    with open_container(path, "picture") as container:
        streams = {stream.id: stream for stream in container.streams.video}
        missing = [item for item in items if item not in streams]
        if missing:
            raise MediaError(f"{path} lacks item {missing[0]} of its picture: it is damaged")
        packets = _packets(container, [streams[item] for item in items], path)
        for item in items:
            stream = streams[item]
            context = stream.codec_context
            if context is None:
                raise MediaError(f"{path} is coded with an unknown codec; export it as JPEG or PNG")
            check_pixels(context.width, context.height, path)
            # A tile is one frame: threads would only take memory, in every one of the tiles.
            context.thread_count = 1
            context.options = PIXEL_OPTION
            try:
                packet = packets[stream.index]
                frames = [*context.decode(packet), *context.decode(None)]
            except av.error.FFmpegError as error:
                raise MediaError(f"{path} holds a damaged tile ({cause(error)})") from error
            except KeyError as error:
                raise MediaError(f"{path} ends before tile {item}: it is truncated") from error
            if not frames:
                raise MediaError(f"{path} holds a damaged tile; copy it again")
            yield frames[0]


def _packets(
    container: InputContainer, streams: list[VideoStream], path: Path
) -> dict[int, av.Packet[VideoStream]]:
    """Return the coded tiles, which together are as large as the file."""
    found: dict[int, av.Packet[VideoStream]] = {}
    try:
        for packet in container.demux(list(dict.fromkeys(streams))):
            if packet.size:
                found.setdefault(packet.stream_index, cast("av.Packet[VideoStream]", packet))
    except av.error.FFmpegError as error:
        raise MediaError(f"{path} cannot be read ({cause(error)}); copy it again") from error
    return found
