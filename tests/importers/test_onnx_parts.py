"""An ONNX file is walked whole: nothing in it may lie elsewhere, wherever it hides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likeness.errors import BundleError
from likeness.importers.onnx_files import import_onnx
from likeness.importers.published import ImportConfig

onnx = pytest.importorskip("onnx", reason="ONNX files need likeness[onnx]")
pytest.importorskip("onnxruntime", reason="ONNX files need likeness[onnx]")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def value(name: str, shape: tuple[int, ...]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def outside(name: str = "c") -> Any:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[3])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")
    return tensor


def recognizer() -> Any:
    nodes = [
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "filter"], ["code"]),
    ]
    stored = [numpy_helper.from_array(np.zeros((3, 512), np.float32), "filter")]
    ends = [value("pixels", (1, 3, 112, 112))], [value("code", (1, 512))]
    graph = helper.make_graph(nodes, "graph", *ends, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def branch(tensor: Any, depth: int = 0) -> Any:
    constant = helper.make_node("Constant", [], ["x"], value=tensor)
    graph = helper.make_graph([constant], "g", [], [value("x", (3,))])
    for _ in range(depth):
        node = helper.make_node("Loop", ["", ""], ["x"], body=graph)
        graph = helper.make_graph([node], "g", [], [value("x", (3,))])
    return graph


def _attribute(model: Any) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=outside()))


def _attributes(model: Any) -> None:
    node = helper.make_node("Identity", ["mean"], ["c"])
    node.attribute.add(name="more", type=onnx.AttributeProto.TENSORS).tensors.append(outside())
    model.graph.node.append(node)


def _subgraph(model: Any) -> None:
    node = helper.make_node("If", ["filter"], ["c"], then_branch=branch(outside(), depth=5))
    model.graph.node.append(node)


def _subgraphs(model: Any) -> None:
    node = helper.make_node("Identity", ["mean"], ["c"])
    more = node.attribute.add(name="more", type=onnx.AttributeProto.GRAPHS)
    more.graphs.append(branch(outside()))
    model.graph.node.append(node)


def _initializer_of_a_subgraph(model: Any) -> None:
    graph = branch(numpy_helper.from_array(np.zeros(3, np.float32)))
    graph.initializer.append(outside())
    model.graph.node.append(helper.make_node("If", ["filter"], ["c"], else_branch=graph))


def _sparse(model: Any) -> None:
    sparse = model.graph.sparse_initializer.add(dims=[9])
    sparse.values.CopyFrom(outside())


def _sparse_attribute(model: Any) -> None:
    node = helper.make_node("Constant", [], ["c"])
    attribute = node.attribute.add(name="s", type=onnx.AttributeProto.SPARSE_TENSOR)
    attribute.sparse_tensor.indices.CopyFrom(outside())
    model.graph.node.append(node)


def _only_the_place(model: Any) -> None:
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL


def _only_the_name(model: Any) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")


def _training(model: Any) -> None:
    model.training_info.add().algorithm.CopyFrom(branch(outside()))


def _function(model: Any) -> None:
    function = model.functions.add(name="F", domain="")
    function.node.append(helper.make_node("Constant", [], ["c"], value=outside()))


HIDDEN = [_attribute, _attributes, _subgraph, _subgraphs, _initializer_of_a_subgraph, _sparse,
          _sparse_attribute, _only_the_place, _only_the_name, _training, _function]  # fmt: skip


def write(path: Path, change: Callable[[Any], None]) -> Path:
    model = recognizer()
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("hide", HIDDEN)
def test_tensors_in_other_files_are_found(hide: Callable[[Any], None], tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="keeps 1 tensors in other files"):
        import_onnx(write(tmp_path / "x.onnx", hide), ImportConfig())


def _foreign_in_a_branch(model: Any) -> None:
    graph = branch(numpy_helper.from_array(np.zeros(3, np.float32)))
    graph.node.append(helper.make_node("Evil", [], ["y"], domain="com.evil"))
    model.graph.node.append(helper.make_node("If", ["filter"], ["c"], then_branch=graph))


def _reads_a_file(model: Any) -> None:
    node = helper.make_node("EPContext", ["mean"], ["c"], domain="com.microsoft")
    model.graph.node.append(node)


@pytest.mark.parametrize("change", [_foreign_in_a_branch, _reads_a_file])
def test_operators_that_reach_out_are_found(change: Callable[[Any], None], tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="operators of its own"):
        import_onnx(write(tmp_path / "x.onnx", change), ImportConfig())


@pytest.mark.parametrize("dims", [[2**40], [-1], [10**6, 10**6], [4], [2] * 20])
def test_tensors_in_branches_have_the_values_that_they_claim(
    dims: list[int], tmp_path: Path
) -> None:
    tensor = numpy_helper.from_array(np.zeros(3, np.float32), "c")
    tensor.dims[:] = dims

    def change(model: Any) -> None:
        node = helper.make_node("If", ["filter"], ["c"], then_branch=branch(tensor, depth=3))
        model.graph.node.append(node)

    with pytest.raises(BundleError, match="not the values for it"):
        import_onnx(write(tmp_path / "x.onnx", change), ImportConfig())


def test_an_honest_file_is_taken(tmp_path: Path) -> None:
    bundle = import_onnx(write(tmp_path / "x.onnx", lambda _: None), ImportConfig())
    assert bundle.method == "identity.onnx"
