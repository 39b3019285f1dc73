"""Directions as they are published: one array per file, in the layout of one of several code bases.

InterFaceGAN's `.npy` holds (1,D), Stitch it in Time's and StyleGAN2-distillation's (L,D), of which
every row is meant to be the same; `.pt` files of encoders and editors hold (D,), (L,D) or (1,L,D).
A file of several arrays gives several directions, each by its name.
Files are read like all foreign ones: plain numbers, or an error (`importers.unpickle`,
`files.arrays`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from likeness.errors import BundleError
from likeness.files import read_npy
from likeness.importers.torch_files import read_torch
from likeness.importers.trees import flatten
from likeness.store.files import read_safetensors
from likeness.types import Floats

_MOST = 64
"""Directions of one file at most."""


def read_directions(path: Path, shape: tuple[int, int]) -> Mapping[str, Floats]:
    """Read the directions of a file for a generator with codes of `shape` (L,D).

    Args:
        path: .npy, .pt, .pth or .safetensors.
        shape: (L,D) of the generator's codes.

    Returns:
        (1,D) or (L,D) float32 by name: the file's for a single array, else each array's own.

    Raises:
        BundleError: the file is missing, damaged or hostile, or what it holds fits no such codes.
    """
    path = Path(path)
    if path.suffix == ".npy":
        flat = {"": torch.from_numpy(np.asarray(read_npy(path, BundleError), np.float32))}
    elif path.suffix == ".safetensors":
        flat = dict(read_safetensors(path))
    else:
        flat = flatten(read_torch(path))
    if not 0 < len(flat) <= _MOST:
        raise BundleError(f"{path} holds {len(flat)} arrays, expected 1 to {_MOST} directions")
    single = len(flat) == 1
    return {
        path.stem if single else _word(name): _laid(path, name, tensor, shape)
        for name, tensor in flat.items()
    }


def _laid(path: Path, name: str, tensor: torch.Tensor, shape: tuple[int, int]) -> Floats:
    rows, numbers = shape
    found = tuple(tensor.shape)
    if not tensor.is_floating_point() or found[-1:] != (numbers,) or tensor.ndim > 3:
        raise BundleError(
            f"{path} holds {name[:60] or 'an array'} of shape {found} and type {tensor.dtype}; "
            f"expected ({numbers},), (1, {numbers}) or ({rows}, {numbers}), as this generator's "
            "codes have"
        )
    laid = tensor.float().reshape(-1, numbers).numpy()
    if len(laid) not in (1, rows) or not np.isfinite(laid).all():
        raise BundleError(
            f"{path} holds {name[:60] or 'an array'} of {len(laid)} rows, expected 1 or {rows} of "
            "finite numbers: it was made for another generator"
        )
    return np.asarray(laid, np.float32)


def _word(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name).strip("_")[:60] or "direction"
