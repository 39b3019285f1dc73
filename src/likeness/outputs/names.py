"""Hidden names of unfinished output, which tell whose they are, and what becomes of leftovers."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterable
from pathlib import Path

from likeness.errors import MediaError
from likeness.files import why_unwritable

log = logging.getLogger(__name__)

PARTIAL = "partial"
"""Ending of what is being written."""
READY = "ready"
"""Ending of what is whole and is being put in place: it is finished, never thrown away."""
_MOST_BYTES = 80
"""Of the final name that are repeated in the hidden one: long names leave no room for all of it."""
_HIDDEN = re.compile(
    r"\..+\.(?P<host>[A-Za-z0-9_]+)-(?P<pid>[0-9]{1,10})-(?P<token>[0-9a-f]{8})"
    r"\.(?P<kind>partial|ready)(?:\.[A-Za-z0-9]{1,8})?"
)


def hidden_name(output: Path, *, folder: bool = False) -> Path:
    """Return an unused hidden name beside `output`, with the same ending if it's to be a file."""
    name, suffix = output.stem, output.suffix if len(output.suffix) <= 9 else ""
    suffix = "" if folder else suffix
    if len(name.encode()) > _MOST_BYTES:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = name.encode()[:_MOST_BYTES].decode("utf-8", "ignore") + digest
    token = secrets.token_hex(4)
    return output.with_name(f".{name}.{_host()}-{os.getpid()}-{token}.{PARTIAL}{suffix}")


def is_left_behind(path: Path, kind: str = PARTIAL) -> bool:
    """Tell whether a hidden name is this user's, of this machine, and of a process that ended."""
    match = _HIDDEN.fullmatch(path.name)
    if match is None or match["kind"] != kind or match["host"] != _host():
        return False
    try:
        # Another user's are theirs to clean up.
        mine = path.lstat().st_uid == os.geteuid()
    except OSError:
        return False
    return mine and not _runs(int(match["pid"]))


def sweep(folder: Path, spared: Iterable[Path] = ()) -> None:
    """Remove what processes that ended without cleaning up have left unfinished in a folder.

    Args:
        folder: where output is about to be written.
        spared: paths that stay in any case: the inputs.
    """
    keep = {os.path.realpath(path) for path in spared}
    for path in _listed(folder):
        if not is_left_behind(path) or os.path.realpath(path) in keep:
            continue
        log.warning("%s was left unfinished by a process that ended; it is removed", path)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def real_place(output: Path) -> Path:
    """Return the absolute path that `output` is written to: where it is a link, the link's target.

    Raises:
        MediaError: links lead in a circle.
    """
    try:
        if output.is_symlink():
            real = Path(os.path.realpath(output))
            if real.is_symlink():
                raise OSError(errno.ELOOP, "links lead in a circle")
            log.warning("%s is a link; %s is written, and stays behind the link", output, real)
            return real
    except OSError as error:
        raise MediaError(f"{output} cannot be written: {why_unwritable(error)}") from error
    return Path(os.path.realpath(output.parent)) / output.name


def left_in(folder: Path, kind: str) -> list[Path]:
    """Return what ended processes have left in a folder under a hidden name, sorted."""
    return sorted(path for path in _listed(folder) if is_left_behind(path, kind))


def _listed(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if entry.name.startswith(".")]
    except OSError:
        return []


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname())[:32] or "host"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
