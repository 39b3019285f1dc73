"""Folders that appear whole, stay whole while they are replaced, and survive being killed.

A folder is written as `.NAME.<8 hex>.partial` beside its final place. When it is whole it becomes
`.NAME.<8 hex>.whole`: from here on it counts. What stood in its place becomes `.NAME.<8 hex>.old`,
the whole one takes the name, and the old one is removed. Whoever opens the folder next completes
what was interrupted (`recover`): a whole folder takes its place, an old one comes back where there
is no other, and what nobody works on any more is removed. All renames happen under a lock on the
folder around, so that a process at work is never taken for a dead one.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from likeness.errors import BundleError
from likeness.files import locked, why_unreadable, why_unwritable
from likeness.files.locks import abandoned, claimed

RESUME = "resume"
"""The subfolder that moves along when a folder is replaced: the state of an unfinished training."""
_LEFTOVER = r"\.(?P<mark>[0-9a-z_]{8})\.(?P<kind>partial|whole|old)"
_OURS = re.compile(
    r"[a-z][a-z0-9_]{0,79}\.safetensors|preview\.png|shot|[0-9]{1,4}\.shot"
    r"|\.[^/]*\.(partial|removed)"
)
_INDEXES = 64 * 2**20

log = logging.getLogger("likeness.store")


@contextlib.contextmanager
def whole_folder(path: Path, index: str, keep: str = "") -> Iterator[Path]:
    """Give a temporary folder beside `path` that takes its place when the block ends well.

    A folder that already stands at `path` is replaced only if everything in it is ours, so that a
    mistyped output never removes somebody's files. Its subfolder `keep` moves to the new folder,
    and may stand there before the first index does.

    Raises:
        BundleError: `path` is taken by something else, or cannot be written.
    """
    # A link is written through: what it names is replaced, and it stays.
    path = Path(os.path.realpath(path)) if Path(path).is_symlink() else Path(path)
    recover(path)
    _expect_ours(path, index, keep)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.parent):
            temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
            temporary.mkdir(mode=0o755)
            claim = contextlib.ExitStack()
            claim.enter_context(claimed(temporary))
    except OSError as error:
        raise BundleError(f"{path.parent} cannot be written: {why_unwritable(error)}") from error
    with claim:
        try:
            yield temporary
            _expect_ours(path, index, keep)
            with locked(path.parent):
                whole = temporary.rename(temporary.with_suffix(".whole"))
                _take_place(whole, path)
        except OSError as error:
            raise BundleError(f"{path} cannot be written: {why_unwritable(error)}") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def recover(path: Path) -> None:
    """Complete what a killed process began with the folder `path`, and remove what it left over.

    Where the folder around cannot be written, everything stays as it is.
    """
    path = Path(path)
    with contextlib.suppress(OSError):
        if not _leftovers(path):
            return
        with locked(path.parent):
            for _, leftover in sorted(_leftovers(path)):
                _settle(leftover, path)


def _leftovers(path: Path) -> list[tuple[int, Path]]:
    """Return leftovers of a folder with the order in which they are looked at."""
    pattern = re.compile(re.escape(f".{path.name}") + _LEFTOVER)
    order = {"whole": 0, "old": 1, "partial": 2}
    with os.scandir(path.parent) as entries:
        found = [(pattern.fullmatch(entry.name), entry) for entry in entries]
        return [
            (order[match["kind"]], path.parent / entry.name)
            for match, entry in found
            if match and entry.is_dir(follow_symlinks=False)
        ]


def _settle(leftover: Path, path: Path) -> None:
    if leftover.suffix == ".whole":
        log.warning("%s: completing what an interrupted run had written", path.name)
        _take_place(leftover, path)
    elif leftover.suffix == ".old":
        # Older versions kept the folder one level deeper.
        before = leftover / "before"
        before = before if before.is_dir() else leftover
        _bring_back(before, path)
        shutil.rmtree(leftover, ignore_errors=True)
    elif abandoned(leftover):
        _carry(leftover, path)
        shutil.rmtree(leftover, ignore_errors=True)


def _take_place(whole: Path, path: Path) -> None:
    """Rename `whole` to `path`; what stood there is removed only afterward."""
    old = whole.with_suffix(".old")
    if path.exists():
        path.rename(old)
    whole.rename(path)
    _carry(old, path)
    shutil.rmtree(old, ignore_errors=True)


def _bring_back(old: Path, path: Path) -> None:
    """Put a folder back in its place, unless another one that is whole stands there."""
    if not path.exists():
        log.warning("%s: back in place after an interrupted run", path.name)
        old.rename(path)
        return
    if not any(path.glob("*.json")):
        # A run that did not know of it has begun anew in its place.
        for entry in list(old.iterdir()):
            if entry.name != RESUME and not (path / entry.name).exists():
                entry.rename(path / entry.name)
    _carry(old, path)


def _carry(old: Path, path: Path) -> None:
    """Move the state of an unfinished training to where its folder stands now."""
    kept, there = old / RESUME, path / RESUME
    if not kept.is_dir() or not path.is_dir():
        return
    if there.is_dir() and any(kept.rglob("state.json")) and not any(there.rglob("state.json")):
        shutil.rmtree(there, ignore_errors=True)
    if not there.exists():
        kept.rename(there)


def _expect_ours(path: Path, index: str, keep: str) -> None:
    """Refuse to replace what holds anything that this package did not write."""
    if not os.path.lexists(path):
        return
    if not path.is_dir():
        raise BundleError(f"{path} exists and holds no {index}; choose another output")
    try:
        names = {entry.name for entry in path.iterdir()}
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {why_unreadable(error)}") from error
    if index not in names and not names <= {keep}:
        raise BundleError(f"{path} exists and holds no {index}; choose another output")
    listed = _listed(path / index)
    for name in sorted(names - {index, keep}):
        ours = _OURS.fullmatch(name) and (not name.endswith(".safetensors") or name in listed)
        if not ours:
            raise BundleError(
                f"{path} also holds {name}, which was not written by likeness and would be lost; "
                "move it elsewhere or choose another output"
            )


class _Anything:
    """Stands for the files of an index that can no longer be read."""

    def __contains__(self, _: object) -> bool:
        return True


def _listed(index: Path) -> set[str] | _Anything:
    """Return the tensor files that an index names."""
    try:
        if index.stat().st_size > _INDEXES:
            return _Anything()
        text = index.read_text(encoding="utf-8")
        json.loads(text)
    except (OSError, ValueError, RecursionError):
        return _Anything()
    return set(re.findall(r'"file": *"([a-z0-9_]+\.safetensors)"', text))


def remove_folder(path: Path) -> None:
    """Remove a folder of ours in one step: killed at any moment, it is there or gone.

    Raises:
        BundleError: it cannot be removed.
    """
    path = Path(path)
    sweep_removed(path)
    gone = path.with_name(f".{path.name}.{secrets.token_hex(4)}.removed")
    try:
        path.rename(gone)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return
        raise BundleError(f"{path} cannot be removed: {why_unwritable(error)}") from error
    shutil.rmtree(gone, ignore_errors=True)


def sweep_removed(path: Path) -> None:
    """Remove what an interrupted `remove_folder` of `path` left over."""
    pattern = re.compile(re.escape(f".{path.name}") + r"\.[0-9a-f]{8}\.removed")
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if pattern.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
