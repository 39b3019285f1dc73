"""ONNX files: inswapper's kind and ArcFace exports are run as their publishers run them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from likeness.errors import BundleError
from likeness.importers.checkpoints import import_checkpoint
from likeness.importers.published import ImportConfig
from likeness.networks import build
from likeness.store import load_bundle, save_bundle

onnx = pytest.importorskip("onnx", reason="ONNX files need likeness[onnx]")
pytest.importorskip("onnxruntime", reason="ONNX files need likeness[onnx]")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

RANDOM = np.random.default_rng(0)
EMAP = RANDOM.normal(size=(512, 512)).astype(np.float32)
FILTER = RANDOM.normal(size=(3, 512)).astype(np.float32)
Shape = tuple[int | str, ...]


def value(name: str, shape: Shape) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def write(path: Path, nodes: list[Any], ends: tuple[list[Any], list[Any]], tensors: Any) -> Path:
    stored = [numpy_helper.from_array(array, name) for name, array in tensors.items()]
    graph = helper.make_graph(nodes, "graph", ends[0], ends[1], stored)
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def swapper(path: Path, *, with_map: bool = True) -> Path:
    """answer = target + per-channel shift from the latent: enough to see what goes in."""
    nodes = [
        helper.make_node("MatMul", ["source", "filter"], ["shift"]),
        helper.make_node("Reshape", ["shift", "shape"], ["shaped"]),
        helper.make_node("Add", ["target", "shaped"], ["output"]),
    ]
    ends = [value("target", (1, 3, 128, 128)), value("source", (1, 512))]
    tensors = {"filter": FILTER.T, "shape": np.array([1, 3, 1, 1])}
    if with_map:
        tensors["emap"] = EMAP
    return write(path, nodes, (ends, [value("output", (1, 3, 128, 128))]), tensors)


def recognizer(path: Path, *, normalizes: bool = False) -> Path:
    nodes = [
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "filter"], ["683"]),
    ]
    tensors = {"filter": FILTER}
    first = "input.1"
    if normalizes:
        tensors |= {"middle": np.float32([127.5]), "rate": np.float32([1 / 127.5])}
        nodes = [
            helper.make_node("Sub", [first, "middle"], ["centered"], name="_minusscalar0"),
            helper.make_node("Mul", ["centered", "rate"], ["pixels"], name="_mulscalar0"),
            *nodes,
        ]
    else:
        nodes[0].input[0] = first
    ends = [value(first, ("None", 3, 112, 112))], [value("683", ("None", 512))]
    return write(path, nodes, ends, tensors)


def test_inswapper_gets_the_mapped_code(tmp_path: Path) -> None:
    bundle = import_checkpoint("onnx", swapper(tmp_path / "inswapper_128.onnx"))
    save_bundle(bundle, tmp_path / "i.bundle")
    loaded = load_bundle(tmp_path / "i.bundle")
    assert loaded.method == "swap.onnx"
    assert loaded.training["imported"]["commercial_use"] is False
    (tmp_path / "inswapper_128.onnx").unlink()  # the bundle holds all that it needs
    network = build(loaded.networks["generator"])
    rgb, code = 0.5 * torch.rand(2, 3, 128, 128), torch.randn(2, 512)
    found = network(rgb, code)
    latent = functional.normalize(functional.normalize(code) @ torch.from_numpy(EMAP))
    shift = latent @ torch.from_numpy(FILTER.T)
    expected = (rgb + shift[:, :, None, None]).clamp(0, 1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(network(rgb, 7 * code), found, atol=1e-5, rtol=0)


@pytest.mark.parametrize("normalizes", [False, True])
def test_recognizers_see_minus_one_to_one(normalizes: bool, tmp_path: Path) -> None:
    path = recognizer(tmp_path / "w600k_r50.onnx", normalizes=normalizes)
    bundle = import_checkpoint("onnx", path)
    assert bundle.networks["identity"].config["normalizes"] is normalizes
    network = build(bundle.networks["identity"])
    rgb = torch.rand(3, 3, 112, 112)
    raw = (rgb * 2 - 1).mean((2, 3)) @ torch.from_numpy(FILTER)
    torch.testing.assert_close(network(rgb), functional.normalize(raw), atol=1e-4, rtol=0)


def test_a_swapper_without_its_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="emap or buff2fs"):
        import_checkpoint("onnx", swapper(tmp_path / "x.onnx", with_map=False))


def test_licenses_are_obeyed(tmp_path: Path) -> None:
    path = recognizer(tmp_path / "x.onnx")
    with pytest.raises(BundleError, match="does not allow commercial use"):
        import_checkpoint("onnx", path, ImportConfig(commercial=True))


def test_files_that_point_elsewhere_are_refused(tmp_path: Path) -> None:
    model = onnx.load(swapper(tmp_path / "x.onnx"))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../etc/passwd"
    (tmp_path / "y.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match="in other files"):
        import_checkpoint("onnx", tmp_path / "y.onnx")


def test_operators_of_their_own_are_refused(tmp_path: Path) -> None:
    model = onnx.load(swapper(tmp_path / "x.onnx"))
    model.graph.node[0].domain = "evil.ops"
    (tmp_path / "y.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match=r"operators of its own \(evil.ops\)"):
        import_checkpoint("onnx", tmp_path / "y.onnx")


def test_what_is_no_onnx_is_refused(tmp_path: Path) -> None:
    whole = swapper(tmp_path / "x.onnx").read_bytes()
    path = tmp_path / "y.onnx"
    for content in (b"", b"\x80\x02cos\nsystem\n.", whole[: len(whole) // 2], b"\xff" * 1000):
        path.write_bytes(content)
        with pytest.raises(BundleError):
            import_checkpoint("onnx", path)
    nodes = [helper.make_node("Relu", ["a"], ["b"])]
    write(path, nodes, ([value("a", (1, 7))], [value("b", (1, 7))]), {})
    with pytest.raises(BundleError, match="expected a swap network"):
        import_checkpoint("onnx", path)


def test_initializers_that_lie_about_their_size_are_refused(tmp_path: Path) -> None:
    model = onnx.load(swapper(tmp_path / "x.onnx"))
    model.graph.initializer[0].dims[0] = 2**40
    (tmp_path / "y.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match="onnxruntime does not take"):
        import_checkpoint("onnx", tmp_path / "y.onnx")
