"""The file of a bank: a page that says what it holds, then bytes of pictures, one after another.

The file is written under a temporary name and renamed when whole. Its first page names the digest
of what it was made from and how many chunks of it are written, so a run that was interrupted goes
on where it ended, and a file of other frames or crops is never taken for this one.
"""

from __future__ import annotations

import errno
import os
import shutil
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness.errors import MediaError
from likeness.files import why_unwritable

_MAGIC = b"likeness crops\n2"
_HEADER = struct.Struct("<16s32sQ")
_PAGE = 4096
"""Pictures begin here: memory is mapped in pages."""
_NOTE_SECONDS = 2.0
"""Time between notes of how far a run has come."""


class BankFile:
    """Crops at `path`, of (M,3,h,w) bytes, made from what `digest` (32 bytes) names."""

    def __init__(self, path: Path, shape: tuple[int, ...], digest: bytes) -> None:
        self.path, self.shape, self.digest = path, shape, digest
        self.chunks = 0
        """Chunks that are written, as far as noted."""
        self._partial = path.with_name(path.name + ".partial")
        self._bytes = _PAGE + int(np.prod(shape))
        self._noted = time.monotonic()
        self._file: FileIO

    def whole(self) -> bool:
        """Whether the file is there, whole and made from the same."""
        return self._noted_in(self.path) is not None

    def read(self) -> NDArray[np.uint8]:
        """Map the whole file, read only."""
        return np.memmap(self.path, np.uint8, "r", _PAGE, self.shape)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Open the file for `put` and `note`; `chunks` are there. Rename it when all went well.

        Raises:
            MediaError: the disk has no room, or the folder cannot be written.
        """
        with self._told():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            noted = self._noted_in(self._partial)
            if noted is None:
                self._begin()
            self._file = self._partial.open("r+b", buffering=0)
        self.chunks = noted or 0
        try:
            yield
        finally:
            self._flush(self.chunks)
            self._file.close()
        self._partial.replace(self.path)

    def put(self, row: int, pictures: NDArray[np.uint8]) -> None:
        """Write (N,3,h,w) pictures from row `row` on.

        Raises:
            MediaError: the disk has no room, or fails.
        """
        # Written rather than mapped: mapped pages would count as memory of this process.
        left = memoryview(pictures.tobytes())
        with self._told():
            self._file.seek(_PAGE + row * int(np.prod(self.shape[1:])))
            while left:
                left = left[self._file.write(left) :]

    def note(self, chunks: int) -> None:
        """Say that so many chunks are written; kept on disk every few seconds."""
        if time.monotonic() - self._noted > _NOTE_SECONDS:
            self._flush(chunks)
        self.chunks = chunks

    def _flush(self, chunks: int) -> None:
        # Pictures first: a note must not run ahead of them.
        with self._told():
            os.fsync(self._file.fileno())
            self._file.seek(0)
            self._file.write(_HEADER.pack(_MAGIC, self.digest, chunks))
        self._noted = time.monotonic()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what the system refuses into an error that says what to do."""
        try:
            yield
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self._partial.unlink(missing_ok=True)
                raise self._full() from error
            raise MediaError(
                f"{self._partial} cannot be written: {why_unwritable(error)}"
            ) from error

    def _begin(self) -> None:
        """Claim the room for a new file, which a disk that fills up later cannot take away."""
        self._partial.unlink(missing_ok=True)
        # A twentieth besides, for bundle and resume state.
        if shutil.disk_usage(self.path.parent).free < self._bytes * 1.05:
            raise self._full()
        with self._partial.open("wb") as file:
            _claim(file.fileno(), self._bytes)
            file.write(_HEADER.pack(_MAGIC, self.digest, 0))

    def _noted_in(self, path: Path) -> int | None:
        """Return the chunks that a file of the same content and size notes, else None."""
        try:
            if path.stat().st_size != self._bytes:
                return None
            with path.open("rb") as file:
                magic, digest, chunks = _HEADER.unpack(file.read(_HEADER.size))
        except OSError:
            return None
        return int(chunks) if (magic, digest) == (_MAGIC, self.digest) else None

    def _full(self) -> MediaError:
        free = shutil.disk_usage(self.path.parent).free
        return MediaError(
            f"{self.path.parent} has room for {free / 2**30:.1f} GiB, expected "
            f"{self._bytes * 1.05 / 2**30:.1f} GiB for the crops of the training; make room, or "
            "use fewer frames (max_frames in [train]) or a smaller --size"
        )


def _claim(descriptor: int, length: int) -> None:
    """Give a file its length, and the disk's blocks for it where the system can."""
    os.truncate(descriptor, length)
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, length)
        except OSError as error:
            # Some file systems cannot claim room ahead.
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
