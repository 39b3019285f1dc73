"""One at a time: a lock on a folder, which the system gives back however its holder ends."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` against every other process (and thread) that locks it, too.

    The folder itself carries the lock: no file is left over, and a killed process holds nothing.
    Not to be nested on one folder. File systems without such locks, and Windows, hold nothing;
    what is written there is still whole, but of two writers at once only one may count.

    Raises:
        OSError: the folder cannot be opened.
    """
    if sys.platform == "win32":
        yield
        return
    opened = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Mark a folder as being worked in until the block ends, however it ends.

    Raises:
        OSError: the folder cannot be opened.
    """
    with locked(folder):
        yield


def abandoned(folder: Path) -> bool:
    """Tell whether nobody works in a folder (see `claimed`) any more."""
    if sys.platform == "win32":
        return False
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(opened)
    return True
