"""One file that appears when whole."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from likeness.outputs.names import hidden_name, real_place, sweep


@contextlib.contextmanager
def atomic_file(output: Path) -> Iterator[Path]:
    """Give a hidden name beside `output` whose file takes its place when the block ends well.

    What ended processes have left unfinished there is removed first. Errors of the system pass
    through: `cause_of` explains them.
    """
    place = real_place(output)
    sweep(place.parent)
    partial = hidden_name(place)
    try:
        yield partial
        flush(partial)
        os.replace(partial, place)
        flush(place.parent)
    finally:
        partial.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk, so that a loss of power spares them."""
    handle = os.open(path, os.O_RDONLY)
    try:
        # Some network folders know no flush of folders.
        with contextlib.suppress(OSError) if path.is_dir() else contextlib.nullcontext():
            os.fsync(handle)
    finally:
        os.close(handle)


def kept_aside(path: Path) -> Path:
    """Give a file that isn't ours another name beside it, and return that.

    The file stays reachable at every moment: where the file system can, it has both names until
    the old one is taken over.
    """
    for number in range(1, 1000):
        aside = path.with_name(f"{path.stem}.kept-{number}{path.suffix}")
        if os.path.lexists(aside):
            continue
        try:
            os.link(path, aside, follow_symlinks=False)
        except OSError:
            os.rename(path, aside)
        return aside
    raise FileExistsError(errno.EEXIST, "there are 999 older files kept aside", str(path))
