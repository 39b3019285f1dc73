"""Keep a C++ library's start-up chatter out of the user's terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send what native code writes to standard error to nowhere while the block runs.

    MediaPipe logs through C++ before any Python logger can be asked. Python's own `sys.stderr` is
    flushed first, and the descriptor is put back even when the block raises. The redirection holds
    for the whole process, so keep the block short.
    """
    sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:
        # No standard error at all (a windowed program): nothing to silence.
        yield
        return
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(sink)
        os.close(saved)
