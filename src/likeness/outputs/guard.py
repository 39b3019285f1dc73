"""One guard for every command: no output may be an input, by the file's identity, not its name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from likeness.errors import MediaError
from likeness.files import why_unreadable

NUMBER = re.compile(r"%(?:0(\d+))?d")
"""The number in a pattern such as frame_%05d.png."""

_Identity = tuple[int, int, str]
"""Device and inode of a file that exists; of the folder, with a name, for one that doesn't."""


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Make sure that nothing that is written is something that is read, before any work.

    Files are told apart by device and inode, links resolved, so that hard links, links, other
    spellings and other mounts of one file are one file. What does not exist yet is told by the
    identity of its folder and its name.

    Args:
        outputs: everything that will be written: the output, its sidecars, tables, reports,
            overlays. A folder stands for itself and all it holds, as folders are replaced whole; a
            pattern such as out/%05d.png for all pictures of that form.
        inputs: everything that is read: clips, sounds, tables, consent records, references,
            bundles and the clips they point to. A folder stands for all it holds.

    Raises:
        MediaError: an output is an input, holds one, or two outputs are the same file.
    """
    written = [(path, found) for path in outputs for found in _expand(path)]
    seen: dict[_Identity, Path] = {}
    for path, found in written:
        identity = _identity(found)
        other = seen.setdefault(identity, path)
        if other is not path:
            raise MediaError(
                f"{path} and {other} are one file, and both would be written; give each output a "
                "name of its own"
            )
    folders = {_identity(found): path for path, found in written if found.is_dir()}
    for source in inputs:
        for found in _expand(source):
            _check_input(found, seen, folders)


def _check_input(source: Path, seen: dict[_Identity, Path], folders: dict[_Identity, Path]) -> None:
    real = Path(os.path.realpath(source))
    for above in real.parents:
        if output := folders.get(_identity(above)):
            raise MediaError(
                f"{output} holds the input {source}, and a folder is replaced whole; an input is "
                "never overwritten: choose another output"
            )
    for one in _held(source):
        output = seen.get(_identity(one))
        if output is None:
            continue
        known_as = "" if one.name == output.name else f" (as {one})"
        raise MediaError(
            f"{output} is an input{known_as}; an input is never overwritten; rename one"
        )


def _held(path: Path) -> Iterator[Path]:
    """Yield a file, or a folder with everything in it."""
    if not path.exists():
        return
    yield path
    if path.is_dir():
        for folder, folders, files in os.walk(path):
            yield from (Path(folder) / name for name in (*folders, *files))


def _expand(path: Path) -> Iterator[Path]:
    """Yield a path, or the pictures that a pattern names."""
    yield path
    number = NUMBER.search(path.name)
    if number is None or not path.parent.is_dir():
        return
    named = re.compile(
        re.escape(path.name[: number.start()]) + r"\d+" + re.escape(path.name[number.end() :])
    )
    yield from (entry for entry in path.parent.iterdir() if named.fullmatch(entry.name))


def _identity(path: Path) -> _Identity:
    try:
        found = path.stat()
        return found.st_dev, found.st_ino, ""
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise MediaError(f"{path} cannot be looked at: {why_unreadable(error)}") from error
    real = Path(os.path.realpath(path))
    if real != path and real.exists():
        # Spelled through a folder that isn't there.
        return _identity(real)
    try:
        folder = real.parent.stat()
    except OSError:
        # No folder, no file: it can only be equal to what is spelled the same.
        return 0, 0, str(real)
    return folder.st_dev, folder.st_ino, real.name
