"""Exported generators compute in onnxruntime what torch computes, under the names that are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from likeness.cli.app import run
from likeness.config import resolve, to_json
from likeness.errors import BundleError, ConfigError
from likeness.export import TOLERANCE, export
from likeness.importers.checkpoints import import_checkpoint
from likeness.networks import NETWORKS, build
from likeness.store import save_bundle
from likeness.synthesize.autoencoder import Autoencoder
from likeness.types import Bundle, Weights

onnx = pytest.importorskip("onnx", reason="export needs likeness[export]")
pytest.importorskip("onnxscript", reason="export needs likeness[export]")
runtime = pytest.importorskip("onnxruntime", reason="export needs likeness[export]")

SAEHD = {"size": 64, "inter": 16, "encoder": 8, "decoder": 8, "mask": 4}


def bundle_of(network: str, **config: Any) -> Bundle:
    torch.manual_seed(0)
    network_class, config_class = NETWORKS[network]
    settings = resolve(config_class, config)
    module = network_class(settings)
    with torch.no_grad():
        # Features keep their size, so that answers are not the same everywhere.
        for parameter in (p for p in module.parameters() if p.ndim > 1):
            parameter.normal_(0, (len(parameter) / parameter.numel()) ** 0.5)
    weights = Weights(network, to_json(settings), module.state_dict())
    return Bundle("swap.test", {"generator": weights}, {}, {}, "CC0-1.0")


def answers(path: Path, **given: torch.Tensor) -> list[np.ndarray[Any, Any]]:
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [x.name for x in session.get_inputs()] == [name.replace("__0", ":0") for name in given]
    named = {name.replace("__0", ":0"): tensor.numpy() for name, tensor in given.items()}
    found: list[np.ndarray[Any, Any]] = session.run(None, named)
    return found


@pytest.mark.parametrize(
    ("network", "config", "inputs"),
    [
        ("autoencoder", {**SAEHD, "layout": "df", "cosine": True}, {"rgb": (3, 3, 64, 64)}),
        ("simswap", {"widths": [4, 8, 12], "blocks": 2}, {"rgb": (3, 3, 24, 24), "code": (3, 512)}),
        (
            "portrait",
            {"size": 32, "widths": [4, 8, 12]},
            {"keyframes": (3, 4, 4, 32, 32), "maps": (3, 21, 16, 16), "code": (3, 96)},
        ),
        ("spacetime", {"size": 32, "window": 2, "width": 4}, {"maps": (3, 18, 32, 32)}),
    ],
    ids=["one to one", "simswap", "portrait", "space-time"],
)
def test_generators_answer_the_same(
    network: str, config: dict[str, Any], inputs: dict[str, tuple[int, ...]], tmp_path: Path
) -> None:
    bundle = bundle_of(network, **config)
    if network == "simswap":
        inputs = {**inputs, "rgb": (3, 3, 224, 224)}
    told = export(bundle, tmp_path / "x.onnx")
    assert told.difference <= TOLERANCE
    assert list(told.inputs) == list(inputs)
    given = {name: torch.rand(shape) for name, shape in inputs.items()}
    module = build(bundle.networks["generator"])
    if network == "portrait":
        module = module.exact()  # type: ignore[operator]
    with torch.inference_mode():
        expected = module(*given.values())
    found = answers(tmp_path / "x.onnx", **given)[0]
    expected = expected[0] if isinstance(expected, tuple) else expected
    assert expected.std() > 0.001
    np.testing.assert_allclose(found, expected.numpy(), atol=TOLERANCE)


@pytest.mark.parametrize("layout", ["df", "liae"])
def test_dfm_keeps_its_contract(layout: str, tmp_path: Path) -> None:
    bundle = bundle_of("autoencoder", **SAEHD, layout=layout, normalized=True, doubled=True)
    path = tmp_path / "anna.dfm"
    export(bundle, path)
    module = build(bundle.networks["generator"])
    assert isinstance(module, Autoencoder)
    rgb = torch.rand(3, 3, 64, 64)
    mask_target, celeb, mask = answers(path, in_face__0=rgb.flip(1).permute(0, 2, 3, 1))
    with torch.inference_mode():
        face = module(rgb)
        target = module.reconstruct_target(rgb)
    assert celeb.shape == (3, 64, 64, 3)
    assert mask.shape == mask_target.shape == (3, 64, 64, 1)
    to_pixels_last = lambda x: x.permute(0, 2, 3, 1).numpy()  # noqa: E731
    np.testing.assert_allclose(celeb[..., ::-1], to_pixels_last(face.rgb), atol=TOLERANCE)
    np.testing.assert_allclose(mask, to_pixels_last(face.mask), atol=TOLERANCE)
    np.testing.assert_allclose(mask_target, to_pixels_last(target.mask), atol=TOLERANCE)
    model = onnx.load(path)
    assert [x.name for x in model.graph.output] == [
        "out_face_mask:0",
        "out_celeb_face:0",
        "out_celeb_face_mask:0",
    ]
    assert [entry.version for entry in model.opset_import] == [12]
    assert {entry.key: entry.value for entry in model.metadata_props}["license"] == "CC0-1.0"


def test_dfm_comes_back_as_the_same_swap(tmp_path: Path) -> None:
    bundle = bundle_of("autoencoder", **SAEHD, layout="liae", normalized=True)
    export(bundle, tmp_path / "anna.dfm")
    again = import_checkpoint("onnx", tmp_path / "anna.dfm")
    assert again.method == "swap.dfm"
    rgb = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        there = build(bundle.networks["generator"])(rgb)
        back = build(again.networks["generator"])(rgb)
    torch.testing.assert_close(back.rgb, there.rgb, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(back.mask, there.mask, atol=TOLERANCE, rtol=0)


def test_what_differs_is_not_written(tmp_path: Path) -> None:
    bundle = bundle_of("autoencoder", **SAEHD)
    with pytest.raises(BundleError, match="differs from torch's"):
        export(bundle, tmp_path / "x.dfm", tolerance=-1.0)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_is_told(tmp_path: Path) -> None:
    bundle = bundle_of("simswap", widths=[4, 8], blocks=1)
    with pytest.raises(BundleError, match=r"'simswap', which cannot be written as \.dfm"):
        export(bundle, tmp_path / "x.dfm")
    with pytest.raises(ConfigError, match=r"expected \.onnx or \.dfm"):
        export(bundle, tmp_path / "x.pt")
    with pytest.raises(BundleError, match="make it first"):
        export(bundle, tmp_path / "nowhere" / "x.onnx")
    with pytest.raises(BundleError, match="missing"):
        export(Bundle("x", {}, {}, {}, ""), tmp_path / "x.onnx")


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_bundle(bundle_of("autoencoder", **SAEHD), tmp_path / "a.bundle")
    output = tmp_path / "a.dfm"
    assert run(["export", str(tmp_path / "a.bundle"), "-o", str(output), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["difference"] <= facts["tolerance"] == TOLERANCE
    assert facts["inputs"] == {"in_face:0": ["N", 64, 64, 3]}
    assert output.is_file()
    assert run(["export", str(tmp_path / "a.bundle"), "-o", str(tmp_path / "a.pt")]) == 2


def test_training_keeps_half_precision_after_an_export() -> None:
    module = build(bundle_of("portrait", size=32, widths=[4, 8, 12]).networks["generator"])
    exact = module.exact()  # type: ignore[operator]
    assert exact.precision is torch.float32
    assert module.precision is torch.bfloat16
    assert isinstance(exact, nn.Module)
