"""From hidden to final: output is whole and proved before any of it appears.

Everything that belongs to an output is written into one hidden folder beside it. Renaming that
folder from partial to ready is the single step that makes it count: from then on it is only put in
place, sidecars first, and a process that is killed in the middle leaves what the next one finishes.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from likeness.encode.ours import Stamps, is_own_sidecar, stamp_of
from likeness.errors import MediaError
from likeness.files import why_unwritable
from likeness.outputs.atomic import flush, kept_aside
from likeness.outputs.names import PARTIAL, READY, hidden_name, left_in

log = logging.getLogger(__name__)

_PLAN = "plan.json"
_EVICTED = "evicted"


def _plain(name: str) -> str:
    if name != Path(name).name or name in ("", "..") or "\0" in name:
        raise ValueError("expected a name without folders")
    return name


_Plain = Annotated[str, AfterValidator(_plain)]
"""A name without folders: no plan leads out of the folder that it lies in."""


class Plan(BaseModel):
    """What is left to do with a ready folder, as a file in it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    into: _Plain | None = None
    """Folder that takes the files, beside the ready folder; None for its own folder."""
    names: tuple[_Plain, ...]
    """Files of the output; all others are sidecars."""
    ours: dict[_Plain, tuple[int, int, int]] = {}
    """Files of an earlier run that are replaced or removed, as they were when that was proved."""
    evict: bool = False
    """Move those out of the way before the sidecars come, which would speak against them."""


class Staging:
    """A hidden folder in which an output comes to be."""

    def __init__(self, output: Path, into: str | None = None) -> None:
        """Make the folder.

        Args:
            output: where the file will stand, or the folder or pattern of pictures.
            into: folder beside the hidden one that pictures go to; None for its own folder.
        """
        self._into = into
        self._folder = hidden_name(output, folder=True)
        self.main = self._folder / "main"
        """Where the file or the pictures are written, under their final names."""
        self.beside = self._folder / "beside"
        """Where sidecars are written, under their final names."""
        self.scratch = self._folder / "scratch"
        """Where anything may be written that ends with the work."""
        for folder in (self._folder, self.main, self.beside, self.scratch):
            folder.mkdir()

    def commit(self, ours: Stamps, *, detached: bool) -> None:
        """Put everything in place; what stands there and isn't ours gets another name.

        Args:
            ours: files of an earlier run, proved to be such, that are replaced or removed.
            detached: a sidecar holds the signature. An earlier run's files then go first, because
                they would not match it.

        Raises:
            OSError: before anything was put in place.
            MediaError: while it was put in place; the message says where the files are.
        """
        names = tuple(sorted(file.name for file in self.main.iterdir()))
        plan = Plan(into=self._into, names=names, ours=dict(ours), evict=detached)
        (self._folder / _PLAN).write_text(plan.model_dump_json(), encoding="utf-8")
        for folder in (self.main, self.beside):
            for file in folder.iterdir():
                flush(file)
            flush(folder)
        flush(self._folder)
        shutil.rmtree(self.scratch)
        ready = self._folder.with_name(self._folder.name.removesuffix(PARTIAL) + READY)
        os.rename(self._folder, ready)
        try:
            put_in_place(ready)
        except OSError as error:
            raise MediaError(
                "the output is finished and could not be put in place: "
                f"{why_unwritable(error)}; it lies in {ready}, and the next run into that folder "
                "puts it in place"
            ) from error

    def discard(self) -> None:
        """Remove what was written; after a commit there is nothing left."""
        shutil.rmtree(self._folder, ignore_errors=True)


def recover(folder: Path) -> None:
    """Finish what processes that were killed had begun to put in place in a folder."""
    for ready in left_in(folder, READY):
        log.warning("an earlier run was killed while it put its output in place; that is finished")
        try:
            put_in_place(ready)
        except (OSError, ValidationError) as error:
            log.warning("%s could not be put in place: %s", ready, why_unwritable(error))


def put_in_place(ready: Path) -> None:
    """Do what is left of a plan; however often it is broken off, calling it again ends well."""
    plan = Plan.model_validate_json((ready / _PLAN).read_text(encoding="utf-8"))
    parent = ready.parent
    into = parent / plan.into if plan.into else parent
    if plan.evict and not (ready / _EVICTED).exists():
        _evict(plan, ready, into)
    for file in sorted((ready / "beside").iterdir()):
        _put(file, parent / file.name, is_own_sidecar)
    flush(parent)
    main = ready / "main"
    if plan.into and not into.exists() and main.exists():
        # A folder that is new appears with all its pictures at once.
        os.rename(main, into)
    if main.exists():
        for file in sorted(main.iterdir()):
            _put(file, into / file.name, lambda there: _same(there, plan.ours))
    for name in set(plan.ours) - set(plan.names):
        if _same(into / name, plan.ours):
            (into / name).unlink()
    flush(into)
    flush(parent)
    # Back under a name that only says: may be removed.
    done = ready.with_name(ready.name.removesuffix(READY) + PARTIAL)
    os.rename(ready, done)
    shutil.rmtree(done, ignore_errors=True)


def _evict(plan: Plan, ready: Path, into: Path) -> None:
    old = ready / "old"
    old.mkdir(exist_ok=True)
    for name in plan.ours:
        if _same(into / name, plan.ours):
            os.rename(into / name, old / name)
    (ready / _EVICTED).touch()


def _put(file: Path, place: Path, replaceable: Callable[[Path], bool]) -> None:
    if os.path.lexists(place) and not replaceable(place):
        log.warning("%s is none of ours; it was kept as %s", place, kept_aside(place).name)
    os.replace(file, place)


def _same(place: Path, ours: Mapping[str, tuple[int, int, int]]) -> bool:
    """Tell whether a file is the one that was proved to be of an earlier run."""
    try:
        return stamp_of(place) == ours.get(place.name)
    except OSError:
        return False
