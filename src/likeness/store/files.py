"""Tensor files and index files.

What is read here may come from a stranger: an index is validated before it is used, a file name is
a plain name inside its folder, and tensors are parsed only after their sha256 matched.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from likeness.errors import BundleError
from likeness.files import open_regular, read_json, replaced, sha256_of_file

FORMAT = 1
INDEX_LIMIT = 64 * 1024 * 1024
"""Largest index file in bytes that is read: an honest one stays far below."""
TENSORS_LIMIT = 16 * 2**30
"""Largest tensor file in bytes: the largest published network has a tenth of it."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""A plain word: it becomes a file name, so no dots, slashes or drive letters."""
FileName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,79}\.safetensors$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

Record = TypeVar("Record", bound="Index")


class Strict(BaseModel):
    """Part of an index file: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TensorFile(Strict):
    """A safetensors file beside the index, pinned by its digest."""

    file: FileName
    sha256: Sha256


class Index(Strict):
    """What every index file begins with."""

    format: int
    kind: str
    versions: dict[str, str] = {}


def versions() -> dict[str, str]:
    """Name the software that writes a file."""
    from importlib.metadata import version

    return {
        "likeness": version("likeness"),
        "torch": version("torch"),
        "numpy": version("numpy"),
        "python": platform.python_version(),
    }


def sha256_of(path: Path) -> str:
    """Return the hexadecimal sha256 of a regular file's bytes.

    Raises:
        BundleError: the file cannot be read.
    """
    return sha256_of_file(path, BundleError)


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> TensorFile:
    """Write tensors as safetensors and return the file's name and digest.

    Raises:
        OSError: the file cannot be written.
    """
    # safetensors refuses views of shared storage, and a slice would drag its whole storage along.
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    try:
        save_file(whole, path)
    except SafetensorError as error:
        raise _system_error(error, path) from error
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return TensorFile(file=path.name, sha256=sha256_of(path))


def _system_error(error: SafetensorError, path: Path) -> OSError:
    """Return what the system said: safetensors tells its number in words only."""
    found = re.search(r"os error (\d{1,5})", str(error))
    number = int(found[1]) if found else errno.EIO
    return OSError(number, os.strerror(number), str(path))


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Read a safetensors file; the one place that parses them as torch tensors.

    Raises:
        BundleError: it is no regular file, or damaged.
    """
    with open_regular(path, BundleError, "a safetensors file", TENSORS_LIMIT):
        pass
    try:
        return load_file(path)
    except (SafetensorError, ValueError, LookupError, TypeError, RuntimeError, OSError) as error:
        raise BundleError(
            f"{path} is no valid safetensors file ({str(error)[:120]}); get it again"
        ) from error


def read_tensors(folder: Path, pinned: TensorFile) -> dict[str, torch.Tensor]:
    """Read a tensor file after its digest was found right.

    Raises:
        BundleError: the file is missing, was changed, is no safetensors file, or a number in it is
            none or infinite.
    """
    path = folder / pinned.file
    found = sha256_of(path)
    if found != pinned.sha256:
        raise BundleError(
            f"{path} has sha256 {found[:12]}..., its index expects {pinned.sha256[:12]}...: "
            "the file was damaged or replaced; fetch or train it again"
        )
    tensors = read_safetensors(path)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise BundleError(
                f"{path}: {name[:80]!r} holds values that are no numbers; expected finite ones: "
                "the training failed or the file was tampered with; train or fetch it again"
            )
    return tensors


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> TensorFile:
    """Write numpy arrays as safetensors."""
    return write_tensors(path, {k: torch.from_numpy(np.array(v)) for k, v in arrays.items()})


def read_arrays(folder: Path, pinned: TensorFile) -> dict[str, np.ndarray[Any, Any]]:
    """Read numpy arrays after their digest was found right."""
    return {name: tensor.numpy() for name, tensor in read_tensors(folder, pinned).items()}


def write_index(path: Path, index: Index) -> None:
    """Write an index file as JSON that a person can read.

    Raises:
        BundleError: a value has no place in JSON.
        OSError: the file cannot be written.
    """
    try:
        text = json.dumps(index.model_dump(mode="json"), indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BundleError(f"{path.name} cannot be written as JSON ({error})") from error
    with replaced(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_index(path: Path, kind: str, record: type[Record]) -> Record:
    """Read and validate an index file.

    Raises:
        BundleError: it is missing, too large, no JSON, of another kind or format, or ill-formed.
    """
    if not path.is_file():
        raise BundleError(f"{path.parent} holds no {path.name}; expected a folder with a {kind}")
    raw = read_json(path, BundleError, INDEX_LIMIT)
    if not isinstance(raw, dict) or raw.get("kind") != kind:
        found = raw.get("kind") if isinstance(raw, dict) else type(raw).__name__
        raise BundleError(
            f"{path} describes {str(found)[:40]!r}, expected {kind!r}: give the right folder"
        )
    if raw.get("format") != FORMAT:
        raise BundleError(
            f"{path} has format {str(raw.get('format'))[:40]}, this version reads {FORMAT}; "
            "update likeness or write the file again"
        )
    try:
        return record.model_validate(raw)
    except ValidationError as error:
        raise BundleError(f"{path}: {first_problem(error)}") from error


def first_problem(error: ValidationError) -> str:
    """Say where the first thing is that doesn't fit, what is wrong with it and what was found."""
    first = error.errors()[0]
    where = ".".join(str(part)[:60] for part in first["loc"][:8])
    # Names may come from a stranger, and a terminal obeys some of them.
    where = "".join(letter if letter.isprintable() else "?" for letter in where)
    return f"{where}: {first['msg'][:200]}, found {first['input']!r:.60}"
