"""Why the system refuses a file, in words, and what to do about it."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import NamedTuple


class _Cause(NamedTuple):
    """What an error's number says, and what to do when writing and when reading; "" is nothing."""

    found: str
    writing: str = ""
    reading: str = ""


_RIGHTS = _Cause(
    "there is no right to do that",
    "change the rights, or choose another folder",
    "change its rights, or those of its folder",
)
_CAUSES: Mapping[int, _Cause] = {
    errno.ENOSPC: _Cause(
        "the disk is full", "free some space, or choose another disk", "free some space"
    ),
    errno.EDQUOT: _Cause(
        "your quota on this disk is used up",
        "free some space, or choose another disk",
        "free some space",
    ),
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EROFS: _Cause("the file system is read-only", "choose another folder"),
    errno.ENAMETOOLONG: _Cause(
        "the name is too long for this file system",
        "choose a shorter one",
        "choose a shorter one",
    ),
    errno.EILSEQ: _Cause(
        "this file system cannot hold the name's characters", "choose another name"
    ),
    errno.ENOENT: _Cause("there is no such file or folder", "make the folder first"),
    errno.ENOTDIR: _Cause(
        "a part of the path is a file, not a folder", "correct the path", "correct the path"
    ),
    errno.EEXIST: _Cause("a file stands there already", "choose another name"),
    errno.EISDIR: _Cause(
        "a folder stands there", "give the name of a file", "give the name of a file"
    ),
    errno.ENXIO: _Cause(
        "a device or a pipe stands there, and nobody is at its other end",
        "give the name of a file",
        "give the name of a file",
    ),
    errno.ENODEV: _Cause("there is no such device"),
    errno.EFBIG: _Cause(
        "the file grew larger than this file system or a limit (ulimit -f) permits",
        "choose another disk",
    ),
    errno.EIO: _Cause(
        "the disk reports a fault",
        "choose another disk, and check this one",
        "copy the file from its source again",
    ),
    errno.EMFILE: _Cause(
        "too many files are open in this process",
        "raise its limit (ulimit -n)",
        "raise its limit (ulimit -n)",
    ),
    errno.ENFILE: _Cause(
        "too many files are open on this machine", "close other programs", "close other programs"
    ),
    errno.ELOOP: _Cause("its links lead in a circle", "correct them", "correct them"),
    errno.ESTALE: _Cause("the network folder was lost", "mount it again", "mount it again"),
    errno.ETIMEDOUT: _Cause(
        "the network folder does not answer", "mount it again", "mount it again"
    ),
    errno.ETXTBSY: _Cause("another program runs the file", "choose another name"),
    errno.EBUSY: _Cause("another program uses it", "close that", "close that"),
    errno.ENOMEM: _Cause("memory ran out", "close other programs", "close other programs"),
}


def why_unwritable(error: BaseException) -> str:
    """Say why writing failed and what to do, by the error's number; else in the error's own words.

    Takes errors of the system and of FFmpeg alike: both carry `errno`.

    >>> why_unwritable(OSError(28, "No space left on device"))
    'the disk is full: free some space, or choose another disk'
    """
    cause = _cause_of(error)
    return _joined(cause.found, cause.writing)


def why_unreadable(error: BaseException) -> str:
    """Say why reading failed and what to do, as `why_unwritable` does.

    >>> why_unreadable(OSError(5, "Input/output error"))
    'the disk reports a fault: copy the file from its source again'
    """
    cause = _cause_of(error)
    return _joined(cause.found, cause.reading)


def _cause_of(error: BaseException) -> _Cause:
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number in _CAUSES:
        return _CAUSES[number]
    if isinstance(error, UnicodeEncodeError) or "null byte" in str(error):
        return _Cause("its name is no file name")
    return _Cause(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _joined(found: str, remedy: str) -> str:
    return f"{found}: {remedy}" if remedy else found
