"""Errors that this package did not raise on purpose, as a sentence."""

from __future__ import annotations

import os
import re
import traceback
from pathlib import Path

from likeness.files import cache_folder, replaced, why_unwritable

_NUMBER = re.compile(r"\(os error (\d+)\)")
"""How libraries written in Rust (safetensors, C2PA) name the system's error."""
_MEMORY = ("not enough memory", "can't allocate memory", "out of memory", "unable to allocate")
"""How libraries written in C++ (PyTorch, OpenCV) say that memory ran out."""


def sentence(error: Exception) -> str:
    """Say what failed and what to do, by the system's cause where the error has one.

    >>> sentence(OSError(28, "No space left on device", "shot.npz"))
    'shot.npz: the disk is full: free some space, or choose another disk'
    """
    number = _system_number(error)
    if isinstance(error, MemoryError) or any(part in str(error).lower() for part in _MEMORY):
        return (
            "Memory ran out. Close other programs, or take smaller pictures; what was finished "
            "before stands."
        )
    if number is not None:
        name = getattr(error, "filename", None)
        place = f"{os.fsdecode(name)}: " if isinstance(name, str | bytes) else ""
        return place + why_unwritable(OSError(number, os.strerror(number)))
    where = traceback.extract_tb(error.__traceback__)[-1:]
    at = "".join(f" ({os.path.basename(frame.filename)}, line {frame.lineno})" for frame in where)
    whole = _written("".join(traceback.format_exception(error)))
    return (
        f"Something failed that should not: {type(error).__name__}: {error}{at}. Please report it"
        + (f", with what stands in {whole}." if whole else ".")
    )


def _written(text: str) -> Path | None:
    """Keep the last fault for a report, where there is a place for it."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replaced(folder / "fault.txt") as partial:
            partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return None
    return folder / "fault.txt"


def _system_number(error: BaseException | None) -> int | None:
    """Return the system's number of an error, or of the one that it came from."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error.errno
        if (found := _NUMBER.search(str(error))) is not None:
            return int(found[1])
        error = error.__cause__
    return None
