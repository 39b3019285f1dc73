"""Writing so that a reader sees the old file or the new one, and saying why it failed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

_CAUSES = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than is allowed here",
    errno.EACCES: "permission is denied",
    errno.EPERM: "permission is denied",
    errno.EROFS: "the file system is read-only",
    errno.ENOENT: "there is no such file or folder",
    errno.ENOTDIR: "a part of its path is no folder",
    errno.EISDIR: "it is a folder",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ELOOP: "its links go around in a circle",
    errno.ENXIO: "nobody is at the other end of it",
    errno.EIO: "the disk reports an error",
    errno.EMFILE: "too many files are open",
}


def because(error: BaseException) -> str:
    """Say in words why a file operation failed.

    >>> because(OSError(28, "No space left on device"))
    'the disk is full'
    """
    number = getattr(error, "errno", None)
    if isinstance(number, int):
        return _CAUSES.get(number, os.strerror(number))
    return type(error).__name__ if not isinstance(error, ValueError) else "its name is no file name"


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a hidden name beside `path`; what was written there takes its place in the end.

    The name is nobody else's, so that two processes that write one file do not meet; the last one
    counts. Nothing is left behind where the block fails.

    Raises:
        OSError: as the block does, or the file cannot be put in place.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
