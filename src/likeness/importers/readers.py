"""What is on disk, by its form: one checkpoint file, or a folder of DeepFaceLab's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from likeness.errors import BundleError
from likeness.importers.deepfacelab import read_deepfacelab
from likeness.importers.published import Files
from likeness.importers.torch_files import read_torch
from likeness.importers.trees import Flat, flatten
from likeness.store.files import read_safetensors, sha256_of


@dataclass(frozen=True, eq=False)
class Content:
    """What was found on disk."""

    flat: Flat
    """Tensors by path."""
    digests: Mapping[str, str]
    """sha256 by file name."""
    size: int
    """Bytes on disk."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What the file says of itself beside its tensors."""


def read_checkpoint(path: Path, files: Files) -> Content:
    """Read a checkpoint of the form that a kind has.

    Raises:
        BundleError: missing, damaged, hostile or of another form.
    """
    if files == "deepfacelab":
        model = read_deepfacelab(path)
        digests = {file.name: sha256_of(file) for file in model.files}
        size = sum(file.stat().st_size for file in model.files)
        return Content(model.tensors, digests, size, model.notes)
    if not path.is_file():
        raise BundleError(f"no file at {path}; give the path of a downloaded checkpoint")
    flat = read_safetensors(path) if path.suffix == ".safetensors" else flatten(read_torch(path))
    return Content(flat, {path.name: sha256_of(path)}, path.stat().st_size)
