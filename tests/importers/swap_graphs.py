"""Small ONNX files with the signatures of published swap networks, and every trap that is known.

They compute almost nothing, but what they answer shows what they were fed: a face comes back
shifted by a known filter of the source, or right way around only in the range that is expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(0)
EMAP = RANDOM.normal(size=(512, 512)).astype(np.float32)
FILTER = (RANDOM.normal(size=(512, 3)) * 0.05).astype(np.float32)
Shape = tuple[int | str, ...]
FLOAT, HALF, DOUBLE = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE


@dataclass(frozen=True)
class Sketch:
    """What a file shall look like."""

    side: int | str = 256
    target: str = "target"
    source: str = "source"
    output: str = "output"
    source_first: bool = True
    picture: int | None = None
    """Side of the source's picture; None is told by a code."""
    mask: bool = False
    mask_first: bool = False
    batch: int | str = 1
    stored: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Initializers beside those that are read, in this order, before them."""
    after: Mapping[str, np.ndarray] = field(default_factory=dict)
    """The same, after them."""
    half: bool = False
    """Weights and inside in half precision; inputs and outputs stay float."""
    half_ends: bool = False
    """Inputs and outputs in half precision."""
    expects: str = "any"
    """Range that comes back right: any, unit, signed, imagenet."""
    long_codes: bool = False
    """Codes of length 1 turn the picture wrong, too."""
    nan: bool = False


def value(name: str, shape: Shape, kind: int = FLOAT) -> Any:
    """An input or output."""
    return helper.make_tensor_value_info(name, kind, shape)


def write(path: Path, nodes: Sequence[Any], ends: Any, tensors: Mapping[str, Any]) -> Path:
    """Write a graph; `ends` is inputs and outputs."""
    stored = [numpy_helper.from_array(array, name) for name, array in tensors.items()]
    graph = helper.make_graph(list(nodes), "graph", ends[0], ends[1], stored)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def swapper(path: Path, sketch: Sketch | None = None) -> Path:
    """Write a swap network: answer = target + filter of the source."""
    sketch = sketch or Sketch()
    inside = np.float16 if sketch.half or sketch.half_ends else np.float32
    nodes, tensors = _inside(sketch, inside)
    ends_kind = HALF if sketch.half_ends else FLOAT
    if sketch.half and not sketch.half_ends:
        nodes = [
            helper.make_node("Cast", [sketch.target], ["t_in"], to=HALF),
            helper.make_node("Cast", [sketch.source], ["s_in"], to=HALF),
            *nodes,
            helper.make_node("Cast", ["answer"], [sketch.output], to=FLOAT),
        ]
    else:
        nodes = [
            helper.make_node("Identity", [sketch.target], ["t_in"]),
            helper.make_node("Identity", [sketch.source], ["s_in"]),
            *nodes,
            helper.make_node("Identity", ["answer"], [sketch.output]),
        ]
    b, s = sketch.batch, sketch.side
    source: Shape = (b, 512) if sketch.picture is None else (b, 3, sketch.picture, sketch.picture)
    inputs = [
        value(sketch.target, (b, 3, s, s), ends_kind),
        value(sketch.source, source, ends_kind),
    ]
    outputs = [value(sketch.output, (b, 3, s, s), ends_kind)]
    if sketch.mask:
        nodes.append(helper.make_node("ReduceMean", ["t_in"], ["mean"], axes=[1], keepdims=1))
        nodes.append(helper.make_node("Cast", ["mean"], ["mask"], to=FLOAT))
        outputs.insert(0 if sketch.mask_first else 1, value("mask", (b, 1, s, s)))
    if sketch.source_first:
        inputs.reverse()
    return write(path, nodes, (inputs, outputs), {**sketch.stored, **tensors, **sketch.after})


def _inside(sketch: Sketch, kind: Any) -> tuple[list[Any], dict[str, np.ndarray]]:
    tensors: dict[str, np.ndarray] = {}
    nodes: list[Any] = []
    if sketch.picture is None:
        tensors |= {"filter": FILTER.astype(kind), "shape": np.array([-1, 3, 1, 1])}
        nodes += [helper.make_node("MatMul", ["s_in", "filter"], ["flat"]),
                  helper.make_node("Reshape", ["flat", "shape"], ["shift"])]  # fmt: skip
    else:
        nodes.append(helper.make_node("ReduceMean", ["s_in"], ["shift"], axes=[2, 3], keepdims=1))
    base = "t_in"
    if sketch.expects != "any" or sketch.long_codes:
        base = "right"
        more, limits = _judged(sketch, kind)
        nodes += more
        tensors |= limits
        tensors["little"] = np.array(0.0, kind)
        nodes += [helper.make_node("Mul", ["shift", "little"], ["gone"]),
                  helper.make_node("Add", [base, "gone"], ["answer"])]  # fmt: skip
        return nodes, tensors
    if sketch.nan:
        tensors["zero"] = np.array(0.0, kind)
        nodes += [helper.make_node("Mul", [base, "zero"], ["nothing"]),
                  helper.make_node("Div", ["nothing", "nothing"], ["answer"])]  # fmt: skip
        return nodes, tensors
    nodes.append(helper.make_node("Add", [base, "shift"], ["answer"]))
    return nodes, tensors


def _judged(sketch: Sketch, kind: Any) -> tuple[list[Any], dict[str, np.ndarray]]:
    """Give the face back where it comes in the expected range, else its negative."""
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    tensors = {
        "one": np.array(1, kind),
        "low": np.array(-0.02, kind),
        "high": np.array(1.1, kind),
        "long": np.array(2, kind),
        "mean_": np.array(mean, kind).reshape(1, 3, 1, 1),
        "deviation": np.array(deviation, kind).reshape(1, 3, 1, 1),
    }
    nodes = [
        helper.make_node("ReduceMin", ["t_in"], ["least"], keepdims=1),
        helper.make_node("ReduceMax", ["t_in"], ["most"], keepdims=1),
        helper.make_node("Less", ["least", "low"], ["below"]),
        helper.make_node("Greater", ["most", "high"], ["above"]),
        helper.make_node("Not", ["below"], ["not_below"]),
        helper.make_node("Not", ["above"], ["not_above"]),
        helper.make_node("And", ["below", "not_above"], ["is_signed"]),
        helper.make_node("And", ["not_below", "not_above"], ["is_unit"]),
        helper.make_node("Identity", ["above"], ["is_imagenet"]),
        helper.make_node("Or", ["is_unit", "below"], ["is_any"]),
        helper.make_node("Mul", ["t_in", "deviation"], ["scaled"]),
        helper.make_node("Add", ["scaled", "mean_"], ["unit"]),
        helper.make_node("Sub", ["one", "t_in"], ["wrong"]),
        helper.make_node("ReduceL2", ["s_in"], ["length"], axes=[1], keepdims=0),
        helper.make_node("Greater", ["length", "long"], ["is_long"]),
        helper.make_node("Not", ["is_long"], ["is_short"]),
        helper.make_node("Or", ["is_long", "is_short"], ["any_length"]),
        helper.make_node(
            "And",
            [f"is_{sketch.expects}", "is_long" if sketch.long_codes else "any_length"],
            ["fits"],
        ),
        helper.make_node(
            "Where",
            ["fits", "unit" if sketch.expects == "imagenet" else "t_in", "wrong"],
            ["right"],
        ),
    ]
    return nodes, tensors


def recognizer(
    path: Path, *, normalizes: bool = False, gates: bool = False, layers: int = 0
) -> Path:
    """Write an ArcFace export: a filter of the mean color."""
    first = "input.1"
    nodes = [
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "filter"], ["683"]),
    ]
    tensors: dict[str, np.ndarray] = {"filter": 20 * FILTER.T.copy()}
    if normalizes:
        tensors |= {"middle": np.float32([127.5]), "rate": np.float32([1 / 127.5])}
        nodes = [
            helper.make_node("Sub", [first, "middle"], ["centered"], name="_minusscalar0"),
            helper.make_node("Mul", ["centered", "rate"], ["pixels"], name="_mulscalar0"),
            *nodes,
        ]
    else:
        nodes[0].input[0] = first
    if gates:
        nodes.append(helper.make_node("Sigmoid", ["mean"], ["gate"]))
    for index in range(layers):
        nodes.append(helper.make_node("Conv", [first, "kernel"], [f"layer{index}"]))
    if layers:
        tensors["kernel"] = np.zeros((1, 3, 1, 1), np.float32)
    ends = [value(first, ("None", 3, 112, 112))], [value("683", ("None", 512))]
    return write(path, nodes, ends, tensors)


def converter(path: Path, factor: float = 3.0) -> Path:
    """Write a converter: the code backward, times a factor."""
    tensors = {"turn": factor * np.eye(512, dtype=np.float32)[::-1].copy()}
    nodes = [helper.make_node("MatMul", ["input", "turn"], ["output"])]
    return write(path, nodes, ([value("input", (1, 512))], [value("output", (1, 512))]), tensors)


def one_to_one(path: Path, side: int = 64, *, morph: bool = False, shuffled: bool = False) -> Path:
    """Write a .dfm: the picture darkened, masks of 1 and 0.5."""
    tensors = {"rate": np.float32([0.5]), "one": np.float32([1.0]), "half": np.float32([0.5])}
    nodes = [
        helper.make_node("Mul", ["in_face:0", "rate"], ["dark"]),
        helper.make_node("ReduceMean", ["in_face:0"], ["gray"], axes=[3], keepdims=1),
        helper.make_node("Sub", ["gray", "gray"], ["zero"]),
        helper.make_node("Add", ["zero", "one"], ["out_face_mask:0"]),
        helper.make_node("Add", ["zero", "half"], ["out_celeb_face_mask:0"]),
    ]
    inputs = [value("in_face:0", ("batch", side, side, 3))]
    if morph:
        inputs.append(value("morph_value:0", (1,)))
        nodes.append(helper.make_node("Mul", ["dark", "morph_value:0"], ["out_celeb_face:0"]))
    else:
        nodes.append(helper.make_node("Identity", ["dark"], ["out_celeb_face:0"]))
    outputs = [
        value("out_face_mask:0", ("batch", side, side, 1)),
        value("out_celeb_face:0", ("batch", side, side, 3)),
        value("out_celeb_face_mask:0", ("batch", side, side, 1)),
    ]
    if shuffled:
        outputs = [outputs[1], outputs[2], outputs[0]]
    return write(path, nodes, (inputs, outputs), tensors)
