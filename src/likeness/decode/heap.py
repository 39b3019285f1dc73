"""Hand memory that frames took back to the system."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable


def trim_heap() -> None:
    """Give the C heap's free pages back.

    After the first large buffer is freed, glibc serves such buffers from the heap, where small
    ones that stay, such as landmarks, keep it from shrinking: tracking grew by a frame's size per
    frame, to gigabytes, before it was trimmed. Does nothing where the C library has no such call.
    """
    _trimmer()(0)


@functools.cache
def _trimmer() -> Callable[[int], object]:
    try:
        found: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return lambda _: None
    return found
