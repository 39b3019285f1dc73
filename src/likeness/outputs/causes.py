"""What the system's error numbers mean, in words, and what to do about it."""

from __future__ import annotations

import errno
from collections.abc import Mapping

_CAUSES: Mapping[int, str] = {
    errno.ENOSPC: "the disk is full: free some space, or choose another disk",
    errno.EDQUOT: "your quota on this disk is used up: free some space, or choose another disk",
    errno.EACCES: "there is no right to write there: change the rights, or choose another folder",
    errno.EPERM: "there is no right to write there: change the rights, or choose another folder",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.ENAMETOOLONG: "the name is too long for this file system: choose a shorter one",
    errno.ENOENT: "the folder is not there, or was removed: make it first",
    errno.ENOTDIR: "a part of the path is a file and no folder: correct the path",
    errno.EISDIR: "a folder stands there: give the name of a file",
    errno.ENXIO: "a device or a pipe stands there: give the name of a file",
    errno.EFBIG: "the file grew larger than this file system holds: choose another disk",
    errno.EIO: "the disk reports a fault: choose another disk, and check this one",
    errno.EMFILE: "too many files are open in this process: raise its limit (ulimit -n)",
    errno.ENFILE: "too many files are open on this machine: close other programs",
    errno.ELOOP: "its links lead in a circle: correct them",
    errno.ESTALE: "the network folder was lost: mount it again",
    errno.ETXTBSY: "the file is being executed: choose another name",
    errno.ENOMEM: "memory ran out: close other programs",
}


def cause_of(error: BaseException) -> str:
    """Say why reading or writing failed, by the error's number; else in the error's own words.

    Takes errors of the system and of FFmpeg alike: both carry `errno`.
    """
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number in _CAUSES:
        return _CAUSES[number]
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
