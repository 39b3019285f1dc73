"""Which part of a coded picture is shown: the clean aperture of MP4 and MOV, Matroska's crop.

Coders pad pictures and cameras keep edges that are not meant to be seen; the container says what
is. FFmpeg applies what the codec itself crops, but hands over what the container crops only in a
place that PyAV does not reach, so it is read from the file.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from likeness.decode.boxes import boxes, first_box, top_box

log = logging.getLogger(__name__)

_ENTRY_HEAD = 78
"""Bytes of a visual sample entry before its boxes (ISO/IEC 14496-12 section 12.1.3)."""
_EBML_HEAD = 1 << 20
"""The tracks of a Matroska file stand within its first megabyte."""
_SEGMENT, _TRACKS, _TRACK, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_CROPS = {0x54BB: "top", 0x54AA: "bottom", 0x54CC: "left", 0x54DD: "right"}


class Rectangle(NamedTuple):
    """A part of a picture in whole pixels."""

    left: int
    top: int
    width: int
    height: int


def clean_aperture(path: Path, demuxer: str, stream: int, size: tuple[int, int]) -> Rectangle:
    """Return the part of a video stream's pictures that is meant to be seen.

    Args:
        path: A container.
        demuxer: FFmpeg's name of it.
        stream: The index of the stream.
        size: (height, width) as the decoder gives it.

    Returns:
        The rectangle; the whole picture where the container says nothing, or nonsense.
    """
    height, width = size
    whole = Rectangle(0, 0, width, height)
    names = set(demuxer.split(","))
    if "mov" in names:
        found = _of_movie(path, stream, size)
    elif names & {"matroska", "webm"}:
        found = _of_matroska(path, stream, size)
    else:
        return whole
    if found is None or found == whole:
        return whole
    inside = found.left >= 0 and found.top >= 0 and min(found.width, found.height) > 0
    if not inside or found.left + found.width > width or found.top + found.height > height:
        log.warning("%s crops its picture to what lies outside of it; it is left whole", path)
        return whole
    return found


def of_clap(clap: memoryview | bytes, size: tuple[int, int]) -> Rectangle | None:
    """Turn a clean aperture box's eight numbers into a rectangle.

    Width, height and the offsets of its middle from the picture's, each as a ratio (ISO/IEC
    14496-12 section 12.1.4.3). Rounded to whole pixels; None where a number has no meaning.
    """
    if len(clap) < 32:
        return None
    numbers = [int.from_bytes(clap[i : i + 4], "big", signed=True) for i in range(0, 32, 4)]
    if min(numbers[1::2]) <= 0:
        return None
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    width, height, across, down = (Fraction(*pair) for pair in pairs)
    left = (size[1] - width) / 2 + across
    top = (size[0] - height) / 2 + down
    return Rectangle(round(left), round(top), round(width), round(height))


def _of_movie(path: Path, stream: int, size: tuple[int, int]) -> Rectangle | None:
    movie = top_box(path, b"moov")
    if movie is None:
        return None
    tracks = [content for kind, content in boxes(movie) if kind == b"trak"]
    if stream >= len(tracks):
        return None
    entries = first_box(tracks[stream], b"mdia", b"minf", b"stbl", b"stsd")
    entry = next(boxes(entries[8:]), None) if entries is not None else None
    if entry is None:
        return None
    clap = first_box(entry[1][_ENTRY_HEAD:], b"clap")
    return of_clap(clap, size) if clap is not None else None


def _of_matroska(path: Path, stream: int, size: tuple[int, int]) -> Rectangle | None:
    """Read PixelCropTop and its three siblings (RFC 9559 section 5.1.4.1.28)."""
    with path.open("rb") as file:
        head = memoryview(file.read(_EBML_HEAD))
    segment = next((content for kind, content in _elements(head) if kind == _SEGMENT), None)
    if segment is None:
        return None
    tracks = next((content for kind, content in _elements(segment) if kind == _TRACKS), None)
    if tracks is None:
        return None
    entries = [content for kind, content in _elements(tracks) if kind == _TRACK]
    if stream >= len(entries):
        return None
    video = next((content for kind, content in _elements(entries[stream]) if kind == _VIDEO), None)
    if video is None:
        return None
    cut = dict.fromkeys(_CROPS.values(), 0)
    for kind, content in _elements(video):
        if kind in _CROPS:
            cut[_CROPS[kind]] = int.from_bytes(content[:8], "big")
    height, width = size
    return Rectangle(
        cut["left"],
        cut["top"],
        width - cut["left"] - cut["right"],
        height - cut["top"] - cut["bottom"],
    )


def _elements(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and content of EBML elements (RFC 8794); the last may be cut off."""
    at = 0
    while at < len(data):
        name = 9 - data[at].bit_length()
        if name > 4 or at + name >= len(data):
            return
        kind = int.from_bytes(data[at : at + name], "big")
        at += name
        wide = 9 - data[at].bit_length()
        if wide > 8 or at + wide > len(data):
            return
        size = int.from_bytes(data[at : at + wide], "big") & ((1 << 7 * wide) - 1)
        if size == (1 << 7 * wide) - 1:
            # An unknown size reaches to the end.
            size = len(data) - at - wide
        at += wide
        yield kind, data[at : at + size]
        at += size
