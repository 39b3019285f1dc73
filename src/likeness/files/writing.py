"""Writing so that a reader sees the old file or the new one."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


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
