"""Half precision in an ONNX graph, widened to float32.

On CPUs onnxruntime computes many operators in half precision where a published file asks for it,
and sums that a graphics card keeps in float32 overflow: pictures come out black. So every tensor,
type and cast of the graph becomes float32 before the file is opened; numbers stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from likeness.errors import BackendError, BundleError

_TYPED = ("to", "dtype")
"""Attributes of nodes that name a type by its number."""


def widened(content: bytes) -> bytes:
    """Return an ONNX file in which float32 stands wherever float16 or bfloat16 stood.

    Raises:
        BackendError: onnx is not installed.
        BundleError: the file is no ONNX file, or a tensor of it is damaged.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise BackendError(
            "ONNX files in half precision need onnx; run: pip install 'likeness[onnx]'"
        ) from error
    try:
        model = onnx.ModelProto.FromString(content)
        for graph in _graphs(model):
            _widen(graph)
        return bytes(model.SerializeToString())
    except (DecodeError, ValueError, TypeError, LookupError, OverflowError) as error:
        raise BundleError(
            f"half precision cannot be widened ({str(error)[:200]}); get the file again"
        ) from error


def is_half(model: Any) -> bool:
    """Tell whether a ModelProto holds or computes numbers of half precision anywhere."""
    return any(
        any(tensor.data_type in _halves() for tensor in _tensors(graph))
        or any(value.type.tensor_type.elem_type in _halves() for value in _values(graph))
        or any(attribute.i in _halves() for attribute in _types(graph))
        for graph in _graphs(model)
    )


def _graphs(model: Any) -> Iterator[Any]:
    waiting = [model.graph]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                waiting += attribute.graphs
                if attribute.HasField("g"):
                    waiting.append(attribute.g)


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
    for node in graph.node:
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("sparse_tensor"):
                yield attribute.sparse_tensor.values
            for sparse in attribute.sparse_tensors:
                yield sparse.values


def _values(graph: Any) -> Iterator[Any]:
    for values in (graph.input, graph.output, graph.value_info):
        yield from (value for value in values if value.type.HasField("tensor_type"))


def _types(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield from (attribute for attribute in node.attribute if attribute.name in _TYPED)


def _widen(graph: Any) -> None:
    from onnx import TensorProto, numpy_helper

    for tensor in _tensors(graph):
        if tensor.data_type in _halves():
            wide = np.asarray(numpy_helper.to_array(tensor), np.float32)
            tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
    for value in _values(graph):
        if value.type.tensor_type.elem_type in _halves():
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for attribute in _types(graph):
        if attribute.i in _halves():
            attribute.i = TensorProto.FLOAT


def _halves() -> tuple[int, int]:
    from onnx import TensorProto

    return TensorProto.FLOAT16, TensorProto.BFLOAT16
