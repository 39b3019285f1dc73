"""Regular files and nothing else: a pipe would wait forever, a device may never end."""

from __future__ import annotations

import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

from likeness.errors import LikenessError
from likeness.files.causes import why_unreadable

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
_FLAGS = ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY")


def kind_of(mode: int) -> str:
    """Name what a file's mode says that it is.

    >>> kind_of(0o010644), kind_of(0o100644)
    ('a pipe', 'a regular file')
    """
    return _KINDS.get(stat.S_IFMT(mode), "a regular file")


def open_regular(
    path: Path, error: type[LikenessError], expected: str, limit: int | None = None
) -> BinaryIO:
    """Open a regular file for reading; anything else is refused without waiting for it.

    Args:
        path: links are followed.
        error: what to raise.
        expected: what the file should be, such as "a consent record", for the message.
        limit: most bytes that it may have; None is any number.

    Raises:
        error: there is no such file, it is no regular file, too large, or may not be read.
    """
    try:
        # Asked before it is opened: opening alone makes some devices act.
        _check(path, os.stat(path), error, expected, limit)
        flags = os.O_RDONLY
        for name in _FLAGS:
            flags |= getattr(os, name, 0)
        opened = os.fdopen(os.open(path, flags), "rb")
    except (OSError, ValueError) as reason:
        raise error(
            f"{path} cannot be read: {why_unreadable(reason)}; expected {expected}"
        ) from reason
    try:
        # Asked again: another file may have taken its place in the meantime.
        _check(path, os.fstat(opened.fileno()), error, expected, limit)
    except LikenessError:
        opened.close()
        raise
    return opened


def read_regular(path: Path, error: type[LikenessError], expected: str, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes.

    Raises:
        error: as in `open_regular`.
    """
    with open_regular(path, error, expected, limit) as file:
        try:
            # Reading asks for as much memory as it is told, whatever the file has.
            return file.read(min(limit, os.fstat(file.fileno()).st_size))
        except OSError as reason:
            raise error(
                f"{path} cannot be read: {why_unreadable(reason)}; expected {expected}"
            ) from reason


def sha256_of_file(path: Path, error: type[LikenessError]) -> str:
    """Return the hexadecimal sha256 of a regular file's bytes.

    Raises:
        error: as in `open_regular`.
    """
    with open_regular(path, error, "a file") as file:
        try:
            return hashlib.file_digest(cast(BufferedReader, file), "sha256").hexdigest()
        except OSError as reason:
            raise error(f"{path} cannot be read: {why_unreadable(reason)}") from reason


def _check(
    path: Path,
    facts: os.stat_result,
    error: type[LikenessError],
    expected: str,
    limit: int | None,
) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise error(
            f"{path} cannot be read: it is {kind_of(facts.st_mode)}; expected {expected}: give the "
            "name of a regular file"
        )
    if limit is not None and facts.st_size > limit:
        raise error(f"{path} has {facts.st_size} bytes; expected {expected} of {limit} at most")
