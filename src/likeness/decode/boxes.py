"""Boxes of ISO base media files (ISO/IEC 14496-12 section 4.2): MP4, MOV, HEIC, AVIF.

PyAV answers for nearly everything in these containers; read here is what it has no word for: how a
still picture is put together, and which part of a coded picture is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_MOST_BOXES = 100_000
_LARGEST_INDEX = 64 << 20
"""Bytes of index that are looked at; the index of ten hours of video is smaller."""


def boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield type and content of the boxes that lie in `data` one after the other.

    A box that says it is longer than what holds it ends the walk, as does garbage.
    """
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > len(data):
            return
        size, kind = int.from_bytes(data[at : at + 4], "big"), bytes(data[at + 4 : at + 8])
        head = 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = len(data) - at
        if size < head or at + size > len(data):
            return
        yield kind, data[at + head : at + size]
        at += size


def first_box(data: memoryview, *path: bytes) -> memoryview | None:
    """Return the content of the first box at a path such as `b"mdia", b"minf"`; None if absent."""
    for wanted in path:
        found = next((content for kind, content in boxes(data) if kind == wanted), None)
        if found is None:
            return None
        data = found
    return data


def top_box(path: Path, wanted: bytes) -> memoryview | None:
    """Return the content of a file's first top-level box of a type, without reading the others.

    None where there is no such box, or it is larger than any honest index.
    """
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(0)
        for _ in range(_MOST_BOXES):
            at = file.tell()
            head = _head(file, end - at)
            if head is None:
                return None
            kind, length = head
            if kind == wanted:
                return memoryview(file.read(length)) if length <= _LARGEST_INDEX else None
            file.seek(length, 1)
    return None


def _head(file: BinaryIO, room: int) -> tuple[bytes, int] | None:
    """Read a box's type and the length of its content."""
    head = file.read(8)
    if len(head) < 8:
        return None
    size, kind, read = int.from_bytes(head[:4], "big"), head[4:], 8
    if size == 1:
        size, read = int.from_bytes(file.read(8), "big"), 16
    elif size == 0:
        size = room
    if size < read or size > room:
        return None
    return kind, size - read
