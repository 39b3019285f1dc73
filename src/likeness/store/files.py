"""Tensor files, index files and folders that appear only when they are whole.

What is read here may come from a stranger: an index is validated before it is used, a file name is
a plain name inside its folder, and tensors are parsed only after their sha256 matched.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from likeness.errors import BundleError

FORMAT = 1
INDEX_LIMIT = 64 * 1024 * 1024
"""Largest index file in bytes that is read: an honest one stays far below."""

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
    """Return the hexadecimal sha256 of a file's bytes.

    Raises:
        BundleError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}); expected a file") from error


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> TensorFile:
    """Write tensors as safetensors and return the file's name and digest."""
    # safetensors refuses views of shared storage, and a slice would drag its whole storage along.
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    save_file(whole, path)
    return TensorFile(file=path.name, sha256=sha256_of(path))


def read_tensors(folder: Path, pinned: TensorFile) -> dict[str, torch.Tensor]:
    """Read a tensor file after its digest was found right.

    Raises:
        BundleError: the file is missing, was changed, or is no safetensors file.
    """
    path = folder / pinned.file
    found = sha256_of(path)
    if found != pinned.sha256:
        raise BundleError(
            f"{path} has sha256 {found[:12]}..., its index expects {pinned.sha256[:12]}...: "
            "the file was damaged or replaced; fetch or train it again"
        )
    try:
        return load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        raise BundleError(f"{path} is no valid safetensors file ({error})") from error


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
    """
    try:
        text = json.dumps(index.model_dump(mode="json"), indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BundleError(f"{path.name} cannot be written as JSON ({error})") from error
    temporary = path.with_name(f".{path.name}.partial")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_index(path: Path, kind: str, record: type[Record]) -> Record:
    """Read and validate an index file.

    Raises:
        BundleError: it is missing, too large, no JSON, of another kind or format, or ill-formed.
    """
    if not path.is_file():
        raise BundleError(f"{path.parent} holds no {path.name}; expected a folder with a {kind}")
    if path.stat().st_size > INDEX_LIMIT:
        raise BundleError(f"{path} is larger than {INDEX_LIMIT} bytes: this is no {kind} index")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path} is not readable as JSON ({error})") from error
    if not isinstance(raw, dict) or raw.get("kind") != kind:
        found = raw.get("kind") if isinstance(raw, dict) else type(raw).__name__
        raise BundleError(f"{path} describes {found!r}, expected {kind!r}: give the right folder")
    if raw.get("format") != FORMAT:
        raise BundleError(
            f"{path} has format {raw.get('format')!r}, this version reads {FORMAT}; "
            "update likeness or write the file again"
        )
    try:
        return record.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BundleError(
            f"{path}: {where}: {first['msg']}, found {first['input']!r:.60}"
        ) from error


@contextlib.contextmanager
def whole_folder(path: Path, index: str, keep: str = "") -> Iterator[Path]:
    """Give a temporary folder beside `path` that takes its place when the block ends well.

    A folder that already stands at `path` is replaced only if it is empty or holds `index`, so that
    a mistyped output never removes somebody's files. Its subfolder `keep` moves to the new folder,
    and may stand there before the first index does.

    Raises:
        BundleError: `path` is taken by something else, or its parent cannot be written.
    """
    path = Path(path)
    if path.exists() and not _ours(path, index, keep):
        raise BundleError(f"{path} exists and holds no {index}; choose another output")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(
            tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        )
    except OSError as error:
        raise BundleError(f"{path.parent} cannot be written ({error.strerror})") from error
    try:
        temporary.chmod(0o755)
        yield temporary
        _take_place(temporary, path, keep)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _ours(path: Path, index: str, keep: str) -> bool:
    """Tell whether what stands at `path` may be replaced."""
    if not path.is_dir():
        return False
    return (path / index).is_file() or {entry.name for entry in path.iterdir()} <= {keep}


def _take_place(new: Path, path: Path, keep: str) -> None:
    """Rename `new` to `path`; what stood there is removed only afterward."""
    if not path.exists():
        new.rename(path)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
    before = path.rename(old / "before")
    new.rename(path)
    if keep and (before / keep).is_dir():
        (before / keep).rename(path / keep)
    shutil.rmtree(old, ignore_errors=True)
