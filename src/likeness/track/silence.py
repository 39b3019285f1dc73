"""Keep a C++ library's start-up chatter out of the user's terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


@contextmanager
def silence_stderr() -> Iterator[None]:
    """Send what native code writes to standard error to nowhere while the block runs.

    MediaPipe logs through C++ before any Python logger can be asked. Python's own `sys.stderr` is
    flushed first, and the descriptor is put back even when the block raises. The redirection holds
    for the whole process, so keep the block short. Blocks of several threads may overlap: the last
    one to end puts the descriptor back.
    """
    sys.stderr.flush()
    _STDERR.silence()
    try:
        yield
    finally:
        _STDERR.speak()


class _Descriptor:
    """Standard error as the process has it, and how many want it quiet."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._quiet = 0
        self._saved: int | None = None

    def silence(self) -> None:
        with self._lock:
            self._quiet += 1
            if self._quiet > 1:
                return
            try:
                self._saved = os.dup(2)
            except OSError:
                # No standard error at all (a windowed program): nothing to silence.
                return
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, 2)
            os.close(sink)

    def speak(self) -> None:
        with self._lock:
            self._quiet -= 1
            if self._quiet or self._saved is None:
                return
            os.dup2(self._saved, 2)
            os.close(self._saved)
            self._saved = None


_STDERR = _Descriptor()
