"""What a stage makes of each frame, in a flat file: rows of numbers, written in order.

An expensive stage is begun where it ended, and its rows are mapped, not held, so that a long clip
needs no more memory than a short one. A file names what it was made from, by a digest, and is made
anew when that has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from likeness.training.bank_file import BankFile
from likeness.types import Progress, Window, silent

Make = Callable[[Window], NDArray[Any]]
"""Answers the rows of a window of frames; each row from its own frame alone."""

_CHUNK = 4


def rows_of(
    path: Path,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    digest: str,
    make: Make,
    *,
    stage: str,
    progress: Progress = silent,
) -> NDArray[Any]:
    """Make the rows that are not there yet, and map all.

    Args:
        path: the file.
        shape: (M,...) rows and the shape of each.
        dtype: of their numbers.
        digest: of everything that decides what the rows hold.
        make: makes a window of rows.
        stage: what it is called in progress.
        progress: called as (stage, done, M).

    Raises:
        MediaError: the disk has no room, or the folder cannot be written.
    """
    kind = np.dtype(dtype)
    count, width = shape[0], int(np.prod(shape[1:])) * kind.itemsize
    key = hashlib.sha256(f"{shape} {kind.str} {digest}".encode()).digest()
    file = BankFile(path, (count, width), key)
    if not file.whole():
        with file.writing():
            windows = list(_windows(count))
            for number, window in enumerate(windows[file.chunks :], file.chunks):
                rows = np.ascontiguousarray(make(window), kind)
                file.put(window.start, rows.reshape(len(window), -1).view(np.uint8))
                file.note(number + 1)
                progress(stage, window.stop, count)
    return file.read().view(kind).reshape(shape)


def _windows(count: int) -> Iterator[Window]:
    for start in range(0, count, _CHUNK):
        yield Window(start, min(start + _CHUNK, count))


def digest_of(*parts: object) -> str:
    """Return the sha256 of what several values show of themselves; arrays by their bytes."""
    whole = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            whole.update(f"{part.shape} {part.dtype.str}".encode())
            whole.update(np.ascontiguousarray(part).tobytes())
        else:
            whole.update(repr(part).encode())
        whole.update(b"\0")
    return whole.hexdigest()
