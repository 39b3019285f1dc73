"""Everything that an ONNX file holds, wherever it hides: in attributes, subgraphs and functions.

A tensor can stand among a graph's initializers, but as well in an attribute of a node, in a sparse
tensor, or in a graph that is itself an attribute of a node; and each can say that its numbers lie
in another file. So the whole tree is walked before anything else looks at it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from likeness.errors import BundleError
from likeness.importers.meter import plain

_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
_READERS = {"EPContext", "PythonOp", "PythonOpGrad", "ATen"}
"""Operators that name files or other programs."""
_PARTS = 5_000_000
"""Most nodes, attributes and tensors together."""
_DIMENSIONS = 16
_BYTES = {
    "FLOAT": 4, "UINT8": 1, "INT8": 1, "UINT16": 2, "INT16": 2, "INT32": 4, "INT64": 8, "BOOL": 1,
    "FLOAT16": 2, "DOUBLE": 8, "UINT32": 4, "UINT64": 8, "COMPLEX64": 8, "COMPLEX128": 16,
    "BFLOAT16": 2, "FLOAT8E4M3FN": 1, "FLOAT8E4M3FNUZ": 1, "FLOAT8E5M2": 1, "FLOAT8E5M2FNUZ": 1,
}  # fmt: skip
"""Bytes of a value; types with several values in a byte are not weighed."""


@dataclass(eq=False)
class _Tree:
    """What was found. Mutable: it grows while the tree is walked."""

    tensors: list[Any] = field(default_factory=list)
    nodes: list[Any] = field(default_factory=list)
    count: int = 0

    def add(self, number: int) -> None:
        self.count += number
        if self.count > _PARTS:
            raise BundleError(f"the graph has more than {_PARTS} parts; get the file again")


def check_parts(model: Any, path: Path) -> None:
    """Refuse a model that reaches outside its own file, or lies about its tensors.

    Args:
        model: a ModelProto.
        path: its file, for messages.

    Raises:
        BundleError: a tensor's numbers lie in another file or are not as many as its shape says; or
            an operator is not one of ONNX's and onnxruntime's own.
    """
    tree = _walk(model)
    outside = [tensor for tensor in tree.tensors if _is_outside(tensor)]
    if outside:
        raise BundleError(
            f"{path} keeps {len(outside)} tensors in other files ({plain(outside[0].name, 40)}); "
            "save it as one file (onnx.save without save_as_external_data)"
        )
    domains = sorted({node.domain for node in tree.nodes} - _DOMAINS)
    readers = sorted({node.op_type for node in tree.nodes} & _READERS)
    if domains or readers or model.functions:
        shown = ", ".join(plain(name, 40)[1:-1] for name in (*domains, *readers)[:3]) or "functions"
        raise BundleError(f"{path} uses operators of its own ({shown}); expected those of ONNX")
    for tensor in tree.tensors:
        _check_tensor(tensor, path)


def _walk(model: Any) -> _Tree:
    tree = _Tree()
    graphs = [model.graph]
    for step in model.training_info:
        graphs += [step.initialization, step.algorithm]
    nodes = [node for function in model.functions for node in function.node]
    attributes = [
        attribute for function in model.functions for attribute in function.attribute_proto
    ]
    while graphs or nodes or attributes:
        if graphs:
            graph = graphs.pop()
            tree.add(1 + len(graph.initializer) + len(graph.sparse_initializer))
            tree.tensors += graph.initializer
            tree.tensors += _dense(graph.sparse_initializer)
            nodes += graph.node
        elif nodes:
            node = nodes.pop()
            tree.add(1 + len(node.attribute))
            tree.nodes.append(node)
            attributes += node.attribute
        else:
            attribute = attributes.pop()
            tree.add(len(attribute.tensors) + len(attribute.graphs))
            tree.tensors += [*attribute.tensors, *_dense(attribute.sparse_tensors)]
            tree.tensors += [attribute.t] if attribute.HasField("t") else []
            if attribute.HasField("sparse_tensor"):
                tree.tensors += _dense([attribute.sparse_tensor])
            graphs += [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]
    return tree


def _dense(sparse: Any) -> Iterator[Any]:
    for tensor in sparse:
        yield from (tensor.values, tensor.indices)


def _is_outside(tensor: Any) -> bool:
    return bool(tensor.external_data) or tensor.data_location == 1


def _check_tensor(tensor: Any, path: Path) -> None:
    """Check that a tensor holds as many values as its shape says, before anybody makes room."""
    from onnx import TensorProto

    sizes = list(tensor.dims)
    if len(sizes) > _DIMENSIONS or any(not 0 <= size < 2**40 for size in sizes):
        raise _lies(tensor, path)
    number = tensor.data_type
    name = TensorProto.DataType.Name(number) if number in TensorProto.DataType.values() else ""
    if tensor.raw_data and name in _BYTES:
        if len(tensor.raw_data) != math.prod(sizes) * _BYTES[name]:
            raise _lies(tensor, path)
        return
    given = max(
        len(tensor.float_data),
        len(tensor.int32_data),
        len(tensor.int64_data),
        len(tensor.double_data),
        len(tensor.uint64_data),
        len(tensor.string_data),
        # Types with several values in a byte have eight at most.
        8 * len(tensor.raw_data),
    )
    if math.prod(sizes) > 8 * given:
        raise _lies(tensor, path)


def _lies(tensor: Any, path: Path) -> BundleError:
    shown = [int(size) for size in tensor.dims[:_DIMENSIONS]]
    return BundleError(
        f"{path} holds a tensor {plain(tensor.name, 40)} of size {shown} and not the values for "
        "it, which onnxruntime does not take; the file is damaged: get it again"
    )
