"""Proof that a file was written by this program and not touched since: only such are replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from likeness.errors import MediaError
from likeness.provenance.manifest import Manifest, sidecar_of
from likeness.provenance.reading import ManifestReading, read_detached, read_manifest
from likeness.provenance.signing import (
    FORMATS,
    STATEMENT_LABEL,
    Content,
    detached_of,
    format_of,
)

Stamps = Mapping[str, tuple[int, int, int]]
"""Inode, size and time of change (ns) of files by name: what tells that one is still the same."""
_MOST_RECORD = 1 << 24
"""Bytes of a record beside an output that are read: an honest one stays far below."""


def stamp_of(path: Path) -> tuple[int, int, int]:
    """Return what tells a file from another one under the same name.

    Raises:
        OSError: it isn't there.
    """
    found = path.lstat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def own_file(place: Path) -> Stamps:
    """Return the stamp of what stands at `place` if it's ours, else nothing.

    An empty file is taken for ours, as nothing is lost with it.
    """
    if place.is_symlink() or not place.is_file():
        return {}
    stamp = stamp_of(place)
    ours = stamp[1] == 0 or _states_ours(read_manifest(place))
    return {place.name: stamp} if ours else {}


def own_pictures(files: Sequence[Path], output: Path) -> Stamps:
    """Return the stamps of an earlier run's pictures.

    Args:
        files: every picture that would be replaced or removed, in the order of their numbers.
        output: folder or pattern whose record must vouch for them.

    Raises:
        MediaError: one of them is not proved to be of the earlier run.
    """
    if not files:
        return {}
    record = _record(sidecar_of(output))
    if record is None:
        raise _refusal(files[0], output, f"there is no {sidecar_of(output).name} of an earlier run")
    stamps = {file.name: stamp_of(file) for file in files}
    if format_of(files[0]) in FORMATS.values():
        for file in files:
            if file.is_symlink() or not file.is_file():
                raise _refusal(file, output, "it is no file of its own")
            if not _states(read_manifest(file), record):
                raise _refusal(file, output, "its manifest does not say that, or it was changed")
        return stamps
    beside = detached_of(output)
    if not beside.is_file() or not _states(read_detached(Content(tuple(files)), beside), record):
        raise _refusal(files[0], output, f"{beside.name} does not vouch for these pictures")
    return stamps


def is_own_sidecar(path: Path) -> bool:
    """Tell whether what stands under the name of a sidecar is one of ours."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _MOST_RECORD:
        return False
    if path.stat().st_size == 0:
        return True
    if path.suffix == ".json":
        return _record(path) is not None
    return STATEMENT_LABEL.encode() in path.read_bytes()


def _record(path: Path) -> Manifest | None:
    try:
        if path.stat().st_size > _MOST_RECORD:
            return None
        return Manifest.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, MediaError, RecursionError):
        return None


def _states_ours(found: ManifestReading) -> bool:
    return found.valid and found.statement is not None


def _states(found: ManifestReading, record: Manifest) -> bool:
    statement = found.statement
    return found.valid and statement is not None and statement.digest() == record.digest()


def _refusal(file: Path, output: Path, why: str) -> MediaError:
    return MediaError(
        f"{file} would be overwritten and is not known to be of an earlier run into {output.name} "
        f"({why}); move the pictures there away, or choose another folder"
    )
