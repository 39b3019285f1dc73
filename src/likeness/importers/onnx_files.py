"""ONNX files as bundles: inswapper's kind, ArcFace exports, and DeepFaceLive's .dfm.

The file stays what it is and is run by onnxruntime; only its graph's head is read here. Files that
point at other files, or use operators from elsewhere than ONNX and onnxruntime, are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from likeness.config import to_json
from likeness.errors import BackendError, BundleError
from likeness.files import read_regular
from likeness.importers.meter import plain, reason
from likeness.importers.onnx_parts import check_parts
from likeness.importers.published import ImportConfig, Input, License, terms
from likeness.nets.onnx_graph import OnnxGraphConfig, OnnxIdentityConfig, open_session
from likeness.store.files import sha256_of
from likeness.synthesize.onnx_swap import OnnxOneToOneConfig, OnnxSwapConfig
from likeness.types import Bundle, Weights

FILE_LIMIT = 2**31 - 1
"""Largest file in bytes: protocol buffers end there."""
_HEAD = 8
"""Nodes among which InsightFace looks for a normalization inside the graph."""
_MORPH = 0.75
"""DeepFaceLive's own default."""
_INSIGHTFACE = License("InsightFace models: non-commercial research only", commercial=False)
_TRAINER = License("the trainer's own terms, which the file does not state", commercial=False)


@dataclass(frozen=True, eq=False)
class _Found:
    """What a graph turned out to be."""

    method: str
    network: str
    slot: str
    about: str
    uses: str
    license: License
    config: Any
    inputs: tuple[Input, ...]


def import_onnx(path: Path, how: ImportConfig) -> Bundle:
    """Read an ONNX file.

    Raises:
        BackendError: onnx or onnxruntime is not installed.
        BundleError: missing, damaged, hostile, of no known kind, or not for this use.
    """
    if not path.is_file():
        raise BundleError(f"no file at {path}; give the path of an .onnx or .dfm file")
    content = read_regular(path, BundleError, "an .onnx or .dfm file", FILE_LIMIT)
    size = len(content)
    if not size:
        raise BundleError(f"{path} is empty; expected an .onnx or .dfm file: get it again")
    model = _parse(content, path)
    tensors = {"graph.file": torch.frombuffer(bytearray(content), dtype=torch.uint8)}
    found = _recognize(model, size)
    under = terms(found.license, how, f"{path.name}, {found.about}")
    if found.network == "onnx_swap":
        tensors["emap"] = _emap(model, found.config.code)
    # Opened without optimization: that checks the file and computes nothing.
    open_session(content, optimized=False)
    imported = {
        "kind": "onnx",
        "about": found.about,
        "uses": [found.uses],
        "files": {path.name: sha256_of(path)},
        "commercial_use": under.commercial,
        "license_is_the_users_statement": under is not found.license,
        "tensors_left_out": 0,
        "notes": {"producer": model.producer_name[:80]},
    }
    weights = Weights(found.network, to_json(found.config), tensors)
    inputs = {found.slot: to_json(found.inputs)}
    return Bundle(found.method, {found.slot: weights}, inputs, {"imported": imported}, under.name)


def _parse(content: bytes, path: Path) -> Any:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise BackendError("ONNX files need onnx; run: pip install 'likeness[onnx]'") from error
    try:
        model = onnx.ModelProto.FromString(content)
    except (DecodeError, ValueError, RecursionError) as error:
        raise BundleError(f"{path} is no ONNX file ({reason(error)}); get it again") from error
    if not model.graph.node or not model.graph.input or not model.graph.output:
        raise BundleError(f"{path} holds no graph with inputs and outputs: this is no ONNX model")
    check_parts(model, path)
    return model


def _recognize(model: Any, size: int) -> _Found:
    """Tell what a graph is by the shapes of its inputs and outputs."""
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = {v.name: _shape(v) for v in model.graph.input if v.name not in stored}
    outputs = {v.name: _shape(v) for v in model.graph.output}
    single = any(shape[:1] == (1,) for shape in inputs.values() if len(shape) == 4)
    graph = OnnxGraphConfig(size, tuple(inputs), tuple(outputs), single)
    shapes = [shape[1:] for shape in inputs.values()]
    answers = [shape[1:] for shape in outputs.values()]
    first = next(iter(inputs), "")
    if len(shapes) == 2 and len(shapes[0]) == 3 and len(shapes[1]) == 1 and len(answers) == 1:
        return _swap(graph, shapes[0], shapes[1][0])
    if len(shapes) == 1 and shapes[0][:1] == (3,) and [len(a) for a in answers] == [1]:
        return _identity(graph, shapes[0], model)
    if first.startswith("in_face") and len(answers) == 3 and len(shapes[0]) == 3:
        return _one_to_one(graph, shapes[0])
    raise BundleError(
        f"the graph takes {_told(inputs)} and gives {_told(outputs)}; expected inswapper's picture "
        "and code, ArcFace's picture alone, or a .dfm's in_face:0"
    )


def _told(values: Mapping[str, tuple[int, ...]]) -> str:
    shown = [f"{plain(name, 40)} {shape[:8]}" for name, shape in list(values.items())[:4]]
    return ", ".join(shown) or "nothing"


def _swap(graph: OnnxGraphConfig, picture: tuple[int, ...], code: int) -> _Found:
    return _Found(
        "swap.onnx",
        "onnx_swap",
        "generator",
        "any-to-any swap of inswapper's kind",
        "any-to-any face swap, together with InsightFace's w600k_r50 recognizer",
        _INSIGHTFACE,
        OnnxSwapConfig(graph, code),
        (
            Input(
                "rgb",
                picture,
                "RGB in [0, 1]",
                "five points to the arcface 128 template",
                "arcface_128",
            ),
            Input("code", (code,), "of InsightFace's w600k_r50"),
        ),
    )


def _identity(graph: OnnxGraphConfig, picture: tuple[int, ...], model: Any) -> _Found:
    head = [node.name for node in model.graph.node[:_HEAD]]
    inside = all(
        any(name.startswith(prefixes) for name in head)
        for prefixes in (("Sub", "_minus"), ("Mul", "_mul"))
    )
    return _Found(
        "identity.onnx",
        "onnx_identity",
        "identity",
        "ArcFace recognizer as an ONNX export",
        "identity codes for inswapper; identity metrics",
        _INSIGHTFACE,
        OnnxIdentityConfig(graph, inside),
        (
            Input(
                "rgb",
                picture,
                "RGB in [0, 1]",
                "five points to the arcface 112 template",
                "arcface_112",
            ),
        ),
    )


def _one_to_one(graph: OnnxGraphConfig, picture: tuple[int, ...]) -> _Found:
    side = picture[0]
    if picture != (side, side, 3) or len(graph.inputs) > 2:
        raise BundleError(f"the .dfm takes pictures {picture}, expected (side, side, 3)")
    # The morph value is one number for all samples, so samples go one by one.
    morph = _MORPH if len(graph.inputs) == 2 else None
    graph = replace(graph, one_by_one=graph.one_by_one or morph is not None)
    return _Found(
        "swap.dfm",
        "onnx_one_to_one",
        "generator",
        "one-to-one swap of DeepFaceLab as a .dfm file",
        "one-to-one face swap",
        _TRAINER,
        OnnxOneToOneConfig(graph, side, morph),
        (
            Input(
                "rgb",
                (3, side, side),
                "RGB in [0, 1]",
                "DeepFaceLab's whole-face alignment",
                "whole_face",
            ),
        ),
    )


def _shape(value: Any) -> tuple[int, ...]:
    """Return a value's shape with -1 for free dimensions."""
    dims = value.type.tensor_type.shape.dim
    return tuple(int(d.dim_value) if d.HasField("dim_value") else -1 for d in dims)


def _emap(model: Any, code: int) -> torch.Tensor:
    """Return the last initializer, which maps codes; without it a file is another network."""
    from onnx import numpy_helper

    last = model.graph.initializer[-1] if model.graph.initializer else None
    if last is None or tuple(last.dims) != (code, code):
        found = tuple(last.dims) if last is not None else "nothing"
        raise BundleError(
            f"the last initializer is {found}, expected inswapper's map of codes ({code}, {code})"
        )
    try:
        array = numpy_helper.to_array(last)
    except (ValueError, TypeError, OverflowError, LookupError) as error:
        raise BundleError(f"the map of codes is damaged ({error}); get the file again") from error
    return torch.from_numpy(np.array(array, np.float32))
