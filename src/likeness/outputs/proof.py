"""Proof that a folder takes what is to be written, before the work."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from likeness.errors import MediaError
from likeness.files import why_unwritable
from likeness.outputs.names import hidden_name


def prove_room(output: Path, names: Sequence[str] = (), estimate: int = 0) -> None:
    """Make sure that a folder is there, may be written, takes the names and has the space.

    Rights, mounts and name lengths are tried and not looked up, as no look-up knows them all: a
    hidden folder and files of these names are made in it and removed again.

    Args:
        output: what will be written; its folder is tried.
        names: every name that will stand in that folder, the longest included.
        estimate: bytes that will be needed at most at one time, as far as can be told.

    Raises:
        MediaError: it cannot be written there; the message tells the cause.
    """
    folder = output.parent
    if not folder.exists():
        raise MediaError(f"the folder {folder} does not exist; make it first")
    trial = hidden_name(output, folder=True)
    try:
        trial.mkdir()
        for name in dict.fromkeys((output.name, *names)):
            (trial / name).touch()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise MediaError(f"{output} cannot be written: {why_unwritable(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(trial)
    if free < estimate:
        raise MediaError(
            f"{output} needs about {_size(estimate)}, and {_size(free)} are free on its disk; free "
            "some space, or choose another disk"
        )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
