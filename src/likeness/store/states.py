"""The state of an unfinished training: tensors by name and facts, replaced in one step.

    resume/
      state.json                    facts, and which tensor file belongs to them
      state_<first of sha256>.safetensors

The tensors are written under a new name first; replacing state.json is the one step that makes them
count, and only then is the older file removed. A crash at any moment leaves one whole state. Of
several processes one at a time writes or reads, under a lock on the folder.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from likeness.errors import BundleError
from likeness.files import locked, why_unwritable
from likeness.store.files import (
    FORMAT,
    Index,
    TensorFile,
    read_index,
    read_tensors,
    versions,
    write_index,
    write_tensors,
)
from likeness.store.folders import recover, remove_folder, sweep_removed

INDEX = "state.json"

log = logging.getLogger("likeness.store")


class StateIndex(Index):
    """The content of state.json."""

    kind: Literal["state"] = "state"
    facts: dict[str, Any]
    tensors: TensorFile


def save_state(path: Path, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
    """Replace the state in folder `path`; the previous one counts until this one is whole.

    Args:
        tensors: network, average and optimizer tensors by name.
        facts: JSON values: step, seconds, seed, settings digest.

    Raises:
        BundleError: the folder cannot be written, or a fact has no place in JSON.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with locked(path):
            _sweep(path, "")
            temporary = path / f"partial_{secrets.token_hex(4)}.safetensors"
            digest = write_tensors(temporary, tensors).sha256
            final = temporary.replace(path / f"state_{digest[:16]}.safetensors")
            record = TensorFile(file=final.name, sha256=digest)
            write_index(
                path / INDEX,
                StateIndex(format=FORMAT, versions=versions(), facts=dict(facts), tensors=record),
            )
            _sweep(path, final.name)
    except OSError as error:
        _sweep(path, "")
        raise BundleError(
            f"{path} cannot be written: {why_unwritable(error)}; the state before it is kept"
        ) from error


def _sweep(path: Path, current: str) -> None:
    """Remove half-written files and, where the current one is named, the states before it."""
    with contextlib.suppress(OSError):
        for half in (*path.glob("partial*.safetensors"), *path.glob(f".{INDEX}.*.partial")):
            half.unlink(missing_ok=True)
        for older in path.glob("state_*.safetensors") if current else ():
            if older.name != current:
                older.unlink(missing_ok=True)


def load_state(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Return (tensors, facts) of the state in folder `path`, or None where there is none.

    Raises:
        BundleError: a state is there but damaged.
    """
    path = Path(path)
    if not has_state(path):
        return None
    with contextlib.ExitStack() as held:
        # A folder that may not be opened for locking may still be read.
        with contextlib.suppress(OSError):
            held.enter_context(locked(path))
        index = read_index(path / INDEX, "state", StateIndex)
        if not (path / index.tensors.file).exists():
            log.warning(
                "%s names a state whose tensors are gone: it was being removed when that was "
                "interrupted, and counts as removed",
                path,
            )
            return None
        return read_tensors(path, index.tensors), index.facts


def has_state(path: Path) -> bool:
    """Whether folder `path` holds a state, damaged or not.

    What a killed run left of the folder, or of the bundle around it, is put right first.
    """
    path = Path(path)
    recover(path.parent)
    sweep_removed(path)
    return (path / INDEX).is_file()


def remove_state(path: Path) -> None:
    """Remove the state in folder `path` with everything else there, in one step.

    Raises:
        BundleError: it cannot be removed.
    """
    remove_folder(Path(path))
