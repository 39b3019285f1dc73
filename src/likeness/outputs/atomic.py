"""One file that appears when whole."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from likeness.outputs.marks import Mark, is_marked
from likeness.outputs.names import hidden_name, real_place, sweep

log = logging.getLogger(__name__)


@contextlib.contextmanager
def atomic_file(output: Path, mark: Mark | None) -> Iterator[Path]:
    """Give a hidden name beside `output` whose file takes its place when the block ends well.

    What ended processes have left unfinished there is removed first. A file that stands there and
    does not bear the mark is none of ours: it is kept under another name. Errors of the system pass
    through: `why_unwritable` explains them.

    Args:
        output: the file to write.
        mark: what tells files of this kind that were written here; None where nothing does, so that
            only an empty file is replaced.
    """
    place = real_place(output)
    if os.path.lexists(place) and not place.is_file():
        what = errno.EISDIR if place.is_dir() else errno.ENXIO
        raise OSError(what, "no file stands there", str(place))
    sweep(place.parent)
    partial = hidden_name(place)
    try:
        yield partial
        flush(partial)
        if os.path.lexists(place) and not is_marked(place, mark):
            log.warning("%s is none of ours; it was kept as %s", place, kept_aside(place).name)
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
