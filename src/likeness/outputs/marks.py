"""How a file of one kind says that this program wrote it: only such a file is replaced.

Videos and pictures prove it by a signed manifest (`encode.ours`). Tables, pages and networks are
made to be read by other programs and hold no signature, but each kind has a word of its own near
its beginning that nobody else's file has.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import TypeAlias

Mark: TypeAlias = re.Pattern[bytes]
"""What stands in the first bytes of every file of a kind that was written here."""

PAGE: Mark = re.compile(rb'\A[^\0]{,400}<meta name="generator" content="likeness">')
"""Of pages: their head names who made them."""
TABLE: Mark = re.compile(rb"\A[^\r\n]*\bmade_from_[0-9a-f]{64}\b")
"""Of tables of a performance: the first line has a column that names the clip."""
NETWORK: Mark = re.compile(rb"\A.{,32}\x12\x08likeness", re.DOTALL)
"""Of ONNX files: the field `producer_name`, one of the first."""
STATED: Mark = re.compile(rb'\A\{\s*"generator": "likeness"')
"""Of JSON files: the first key."""

_READ = 1 << 16
"""Bytes at a file's beginning that are looked at."""


def is_marked(path: Path, mark: Mark | None) -> bool:
    """Tell whether a file bears a mark, or is empty, so that nothing is lost with it.

    Args:
        path: where a file stands; what is no regular file bears none.
        mark: of its kind; None for kinds that have none.

    Raises:
        OSError: it cannot be read.
    """
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        return False
    if found.st_size == 0:
        return True
    if mark is None:
        return False
    with path.open("rb") as file:
        return mark.match(file.read(_READ)) is not None
