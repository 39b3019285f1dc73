"""DeepFaceLab's SAEHD models: a folder of pickled dicts of arrays, one per part of the network.

NAME_SAEHD_encoder.npy and so on (pickles, whatever their ending says), and NAME_SAEHD_data.dat, a
pickled dict with the options. Only what is needed to run is read; optimizers and discriminators
stay closed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from likeness.errors import BundleError
from likeness.importers.meter import plain
from likeness.importers.torch_files import read_torch

PARTS = ("encoder", "inter", "inter_AB", "inter_B", "decoder", "decoder_src", "decoder_dst")
"""Parts of the network, of both layouts."""
_DATA = re.compile(r"(?P<name>.+)_SAEHD_data\.dat")
_LONGEST = 200
_LARGEST = 2**53
_KEPT = ("archi", "resolution", "face_type", "ae_dims", "e_dims", "d_dims", "d_mask_dims")


@dataclass(frozen=True, eq=False)
class SAEHD:
    """A model folder."""

    tensors: dict[str, torch.Tensor]
    """By part and variable name, such as encoder/down1/downs_0/conv1/weight:0."""
    notes: Mapping[str, Any]
    """Options and iterations as the file states them."""
    files: tuple[Path, ...]


def read_deepfacelab(path: Path) -> SAEHD:
    """Read the model in a folder, or the one that a NAME_SAEHD_data.dat file belongs to.

    Raises:
        BundleError: no model or several, a link that leads elsewhere, or a damaged or hostile file.
    """
    named = _DATA.fullmatch(path.name)
    folder = path.parent if named else path
    if not folder.is_dir():
        raise BundleError(f"{folder} is no folder; give the folder with the NAME_SAEHD_*.npy files")
    encoders = sorted(folder.glob("*_SAEHD_encoder.npy"))
    if named:
        encoders = [file for file in encoders if file.name.startswith(f"{named['name']}_SAEHD_")]
    if len(encoders) != 1:
        names = ", ".join(file.name.removesuffix("_SAEHD_encoder.npy") for file in encoders)
        raise BundleError(
            f"{folder} holds {len(encoders)} SAEHD models ({names or 'none'}), expected one; where "
            "there are several give NAME_SAEHD_data.dat instead of the folder"
        )
    stem = encoders[0].name.removesuffix("encoder.npy")
    found = {part: folder / f"{stem}{part}.npy" for part in PARTS}
    files = {part: _inside(file, folder) for part, file in found.items() if file.exists()}
    tensors: dict[str, torch.Tensor] = {}
    for part, file in files.items():
        tensors |= {f"{part}/{key}": tensor for key, tensor in _arrays(file).items()}
    data = folder / f"{stem}data.dat"
    notes = _options(_inside(data, folder)) if data.exists() else {}
    used = (*files.values(), *((data,) if notes else ()))
    return SAEHD(tensors, notes, used)


def _inside(file: Path, folder: Path) -> Path:
    """Refuse links: a model that was passed on could name any file of the reader's machine."""
    if file.resolve() != folder.resolve() / file.name:
        raise BundleError(f"{file} is a link to {file.resolve()}; expected the file itself")
    return file


def _arrays(file: Path) -> dict[str, torch.Tensor]:
    content = read_torch(file)
    if not isinstance(content, dict):
        raise BundleError(
            f"{file.name} holds a {type(content).__name__}, expected a dict of arrays"
        )
    wrong = [k for k, v in content.items() if not isinstance(v, torch.Tensor)]
    if wrong:
        raise BundleError(f"{file.name}: {plain(wrong[0], 60)} is no array; expected only arrays")
    named = {key: tensor for key, tensor in content.items() if isinstance(key, str)}
    if len(named) != len(content) or any(len(key) > _LONGEST for key in named):
        raise BundleError(f"{file.name} holds arrays without usual names; get the file again")
    return named


def _options(file: Path) -> dict[str, Any]:
    content = read_torch(file)
    options = content.get("options") if isinstance(content, dict) else None
    if not isinstance(options, dict):
        raise BundleError(f"{file.name} holds no options; expected what DeepFaceLab saves")
    kept = {key: options[key] for key in _KEPT if _is_plain(options.get(key))}
    iterations = content.get("iter")
    return {**kept, **({"iterations": iterations} if _is_plain(iterations) else {})}


def _is_plain(value: Any) -> bool:
    """Tell whether this is short text or a number of a usual size."""
    if isinstance(value, str):
        return len(value) <= _LONGEST
    return isinstance(value, int) and abs(value) < _LARGEST
