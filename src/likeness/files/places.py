"""Where a user's own files lie, on machines where there is such a place.

`XDG_DATA_HOME` and `XDG_CACHE_HOME` are honored where the system knows them. Without a home folder
(no HOME, and a user whom the system has no entry for) there is no place at all, and that is said
with None: a caller that can do without goes on, and one that cannot says what to set.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

log = logging.getLogger("likeness.files")

_told: set[str] = set()


def data_folder() -> Path | None:
    """Return where keys, revocations and trusted roots lie; None where there is no home."""
    return _place(platformdirs.user_data_dir)


def cache_folder() -> Path | None:
    """Return where things lie that can be computed again; None where there is no home."""
    return _place(platformdirs.user_cache_dir)


def warn_once(subject: str, message: str) -> None:
    """Log a warning about a subject, the first time in this process only."""
    if subject not in _told:
        _told.add(subject)
        log.warning("%s", message)


def _place(named: Callable[..., str]) -> Path | None:
    try:
        path, home = Path(named("likeness", appauthor=False)), os.path.expanduser("~")
        # Where no home is known, "~" may stay as it is, and would become a folder of that name.
        if not path.is_absolute():
            return None
        return Path.home() / path.relative_to(home) if path.is_relative_to(home) else path
    except RuntimeError:
        return None
