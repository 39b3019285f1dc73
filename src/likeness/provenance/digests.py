"""Digests of files, each computed once: what a record names is what is opened, or it is refused.

A stored clip (in a bundle, in a NAME.shot) is named by its sha256. Whoever reads its pixels or its
sound, or asks what its manifest says, asks here first whether the file is still that one.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from likeness.errors import MediaError
from likeness.files import why_unreadable

_KEPT = 1024
"""Files whose digest is remembered by this process."""


def digest_of(path: Path) -> str:
    """Return the hexadecimal sha256 of a regular file; an unchanged one is read only once.

    Unchanged means the same file (device and number), size and times of change, down to the
    nanosecond. The time of the last change of its entry is among them, which no program can set.

    Raises:
        MediaError: There is no such file, it is a pipe, a device or a folder, or cannot be read.
    """
    return files_digest([path])


def files_digest(files: Sequence[Path]) -> str:
    """Return the sha256 over the bytes of files in order: of a single one, that of the file.

    Raises:
        MediaError: One is missing, cannot be read, or is no regular file.
    """
    return _digest(tuple((os.path.abspath(path), *_marks(path)) for path in files))


def _marks(path: Path) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        why = why_unreadable(error)
        raise MediaError(f"{path} cannot be read: {why}; expected a file") from error
    if not stat.S_ISREG(found.st_mode):
        raise MediaError(f"{path} is no regular file but a folder, pipe or device; expected a file")
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@lru_cache(_KEPT)
def _digest(files: tuple[tuple[str | int, ...], ...]) -> str:
    digest = hashlib.sha256()
    for name, *_ in files:
        try:
            with open(str(name), "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise MediaError(f"{name} cannot be read: {why_unreadable(error)}") from error
    return digest.hexdigest()


def expect_content(path: Path, digest: str) -> None:
    """Refuse a file that is not the one whose digest was recorded.

    Args:
        path: The file.
        digest: Its recorded sha256, hexadecimal.

    Raises:
        MediaError: It is gone, no regular file, or another file lies in its place.
    """
    found = digest_of(path)
    if found != digest:
        raise other_content(path, found, digest)


def other_content(path: Path, found: str, digest: str) -> MediaError:
    """Say that something else lies where a recorded clip was."""
    return MediaError(
        f"{path} is another file than the one that was recorded (sha256 {found[:12]}..., expected "
        f"{digest[:12]}...): it was changed or exchanged. Put the recorded file back in its place, "
        "or track or train with this one anew"
    )
