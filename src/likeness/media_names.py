"""Names of media files: how FFmpeg is told them, and why one cannot be used.

Below both `decode` and `encode`, so that the two hand FFmpeg the same names and blame the same
causes.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from likeness.errors import MediaError
from likeness.files import why_unreadable

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def ffmpeg_name(path: Path | str) -> str:
    """Return the name under which FFmpeg finds exactly this file.

    FFmpeg takes what stands before a colon for a protocol (`10:30.mp4`) and a leading dash for an
    option; an absolute name behind `file:` is neither. Folders are not resolved, so that symbolic
    links mean what they mean to the system.
    """
    return f"file:{Path(path).absolute()}"


def require_file(path: Path, expected: str) -> None:
    """Make sure that `path` is a regular file that this user may read, before anything opens it.

    Opening a pipe waits for a writer and reading a device never ends; so neither is opened.

    Args:
        path: What was named; symbolic links are followed.
        expected: For the message, such as "a video file".

    Raises:
        MediaError: It is missing, no regular file, empty, or cannot be read.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise unusable(path, error, expected) from error
    except ValueError as error:
        raise MediaError(
            f"{str(path)!r} is no name of a file ({error}); expected {expected}"
        ) from (error)
    if not stat.S_ISREG(status.st_mode):
        found = next((name for test, name in _KINDS if test(status.st_mode)), "no regular file")
        raise MediaError(f"{path} is {found}; expected {expected}, a regular file")
    if status.st_size == 0:
        raise MediaError(f"{path} is empty; expected {expected}")
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        raise unusable(path, error, expected) from error


def unusable(path: Path, error: OSError, expected: str) -> MediaError:
    """Return the error that says why `path` cannot be read."""
    if error.errno == errno.ENOENT:
        return MediaError(f"{path} does not exist; expected {expected}")
    return MediaError(f"{path} cannot be read: {why_unreadable(error)}; expected {expected}")
