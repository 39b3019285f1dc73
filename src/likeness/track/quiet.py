"""Keep a C++ library's start-up chatter out of the user's terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_LOCK = Lock()
_inside = 0
_saved = -1


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send what native code writes to standard error to nowhere while the block runs.

    MediaPipe logs through C++ before any Python logger can be asked. Python's own `sys.stderr` is
    flushed first, and the descriptor is put back even when the block raises. The redirection holds
    for the whole process, so keep the block short. Blocks of several threads may overlap: the last
    one to end puts the descriptor back.
    """
    sys.stderr.flush()
    _silence()
    try:
        yield
    finally:
        _speak()


def _silence() -> None:
    global _inside, _saved
    with _LOCK:
        _inside += 1
        if _inside > 1:
            return
        try:
            _saved = os.dup(2)
        except OSError:
            # No standard error at all (a windowed program): nothing to silence.
            _saved = -1
            return
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 2)
        os.close(sink)


def _speak() -> None:
    global _inside
    with _LOCK:
        _inside -= 1
        if _inside == 0 and _saved >= 0:
            os.dup2(_saved, 2)
            os.close(_saved)
