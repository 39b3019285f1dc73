"""The state of an unfinished training: tensors by name and facts, replaced in one step.

    resume/
      state.json                    facts, and which tensor file belongs to them
      state_<first of sha256>.safetensors

The tensors are written under a new name first; replacing state.json is the one step that makes them
count, and only then is the older file removed. A crash at any moment leaves one whole state.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from likeness.errors import BundleError
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

INDEX = "state.json"


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
        temporary = path / "partial.safetensors"
        digest = write_tensors(temporary, tensors).sha256
        final = temporary.rename(path / f"state_{digest[:16]}.safetensors")
        record = TensorFile(file=final.name, sha256=digest)
        write_index(
            path / INDEX,
            StateIndex(format=FORMAT, versions=versions(), facts=dict(facts), tensors=record),
        )
        for older in path.glob("state_*.safetensors"):
            if older.name != final.name:
                older.unlink()
    except OSError as error:
        raise BundleError(f"{path} cannot be written ({error})") from error


def load_state(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Return (tensors, facts) of the state in folder `path`, or None where there is none.

    Raises:
        BundleError: a state is there but damaged.
    """
    path = Path(path)
    if not has_state(path):
        return None
    index = read_index(path / INDEX, "state", StateIndex)
    return read_tensors(path, index.tensors), index.facts


def has_state(path: Path) -> bool:
    """Whether folder `path` holds a state, damaged or not."""
    return (Path(path) / INDEX).is_file()
