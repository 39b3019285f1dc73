"""Published swap networks are known by their graphs, and called as each was trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from likeness.condition.align import TEMPLATES
from likeness.errors import BundleError, ConfigError
from likeness.importers.checkpoints import import_checkpoint
from likeness.importers.published import ImportConfig
from likeness.importers.swap_families import CONVERTERS, RECOGNIZERS, SWAPS
from likeness.importers.swap_probe import Way, probe
from likeness.networks import build
from likeness.recognize.source import Describer, SourceFace, SourceParts
from likeness.store import load_bundle, save_bundle
from likeness.synthesize.swap_contract import SwapContract
from likeness.types import Bundle

onnx = pytest.importorskip("onnx", reason="ONNX files need likeness[onnx]")
pytest.importorskip("onnxruntime", reason="ONNX files need likeness[onnx]")
from tests.importers.swap_graphs import (  # noqa: E402
    EMAP,
    FILTER,
    Sketch,
    converter,
    one_to_one,
    recognizer,
    swapper,
)

INSWAPPER = Sketch(128, source_first=False, stored={"buff2fs": EMAP})
SCALE = np.eye(32, dtype=np.float32)


def imported(path: Path, **how: Any) -> Bundle:
    return import_checkpoint("onnx", path, ImportConfig(**how))


def family(bundle: Bundle) -> str:
    return str(bundle.training["imported"]["notes"]["family"])


def kept(tmp_path: Path, name: str, make: Callable[[Path], Path], **how: Any) -> Path:
    """Import a file and save its bundle."""
    path = tmp_path / f"{name}.bundle"
    save_bundle(imported(make(tmp_path / f"{name}.onnx"), **how), path)
    return path


BY_GRAPH = {
    "inswapper_128": INSWAPPER,
    "reswapper_128": Sketch(128, stored={"emap": EMAP}),
    "reswapper_256": Sketch(256, stored={"emap": EMAP}),
    "inswapper_256_phase1": Sketch(
        256, target="target256", output="p2_refined", stored={"buff2fs": EMAP}
    ),
    "hyperswap_256": Sketch(256, mask=True),
    "ghost_256": Sketch(256, output="1165"),
    "simswap_unofficial_512": Sketch(512, "input", "onnx::Gemm_1", source_first=False),
    "blendswap_256": Sketch(256, picture=112),
    "uniface_256": Sketch(256, picture=256),
    "cscs_256": Sketch(256, "input_1", "input_2", source_first=False),
}


@pytest.mark.parametrize("name", BY_GRAPH)
def test_a_family_is_known_by_its_graph(name: str, tmp_path: Path) -> None:
    bundle = imported(swapper(tmp_path / "any_name.onnx", BY_GRAPH[name]))
    assert family(bundle) == name
    assert bundle.license == SWAPS[name].license.name
    assert bundle.input["generator"][0]["template"] in TEMPLATES
    contract = SWAPS[name].contract
    network = build(bundle.networks["generator"])
    rgb = 0.3 + 0.2 * torch.rand(2, 3, contract.size, contract.size)
    side = contract.source_size
    source = torch.rand(2, 3, side, side) if side else 9 * torch.randn(2, 512)
    found = network(rgb, source)
    told = source.mean((2, 3)) if side else shifted(source, contract.form)
    rate = 0.5 if contract.leave == "signed" else 1
    expected = (rgb + rate * told[:, :, None, None]).clamp(0, 1)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


def shifted(code: torch.Tensor, form: str) -> torch.Tensor:
    """What the little networks make of a code that is told in a form."""
    if form == "mapped":
        code = functional.normalize(functional.normalize(code) @ torch.from_numpy(EMAP))
    elif form == "unit":
        code = functional.normalize(code)
    return code @ torch.from_numpy(FILTER)


def test_rows_of_the_tables_fit_what_is_there() -> None:
    for row in SWAPS.values():
        assert row.contract.template in TEMPLATES
        assert not row.contract.source_template or row.contract.source_template in TEMPLATES
        assert not row.contract.converter or row.contract.converter in CONVERTERS
        assert all(len(digest) == 64 for digest in row.files)
    for known in RECOGNIZERS.values():
        assert known.template in TEMPLATES
    digests = [d for row in SWAPS.values() for d in row.files]
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize("where", ["stored", "after"])
def test_the_map_is_found_wherever_it_stands(where: str, tmp_path: Path) -> None:
    """A known export in half precision has an initializer of 32x32 behind the map."""
    order = {"a_ln_scale": SCALE, "unnamed": EMAP, "b_ln_scale": SCALE}
    sketch = replace(INSWAPPER, **{"stored": {}, where: order})
    bundle = imported(swapper(tmp_path / "x.onnx", sketch))
    torch.testing.assert_close(bundle.networks["generator"].tensors["emap"], torch.from_numpy(EMAP))


def test_a_weight_of_the_maps_size_is_not_taken_for_it(tmp_path: Path) -> None:
    model = onnx.load(swapper(tmp_path / "x.onnx", replace(INSWAPPER, stored={"first": EMAP})))
    node = onnx.helper.make_node("MatMul", ["s_in", "first"], ["inside"])
    model.graph.node.insert(2, node)
    model.graph.node[3].input[0] = "inside"
    (tmp_path / "y.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match="emap or buff2fs"):
        imported(tmp_path / "y.onnx")


def test_two_maps_are_refused(tmp_path: Path) -> None:
    sketch = replace(INSWAPPER, stored={"one": EMAP, "two": EMAP})
    with pytest.raises(BundleError, match="2 initializers of"):
        imported(swapper(tmp_path / "x.onnx", sketch))


def test_a_map_of_another_shape_is_refused(tmp_path: Path) -> None:
    sketch = replace(INSWAPPER, stored={"emap": SCALE})
    with pytest.raises(BundleError, match=r"'emap' is \(32, 32\)"):
        imported(swapper(tmp_path / "x.onnx", sketch))


def test_a_map_that_is_no_number_is_refused(tmp_path: Path) -> None:
    sketch = replace(INSWAPPER, stored={"emap": np.full((512, 512), np.nan, np.float32)})
    with pytest.raises(BundleError, match="no number"):
        imported(swapper(tmp_path / "x.onnx", sketch))


@pytest.mark.parametrize("ends", [False, True])
def test_half_precision_is_widened(ends: bool, tmp_path: Path) -> None:
    """Sums above 65504 overflow half precision, of which CPUs make black pictures."""
    sketch = replace(INSWAPPER, half=True, half_ends=ends, stored={"buff2fs": EMAP.astype("half")})
    path = swapper(tmp_path / "x.onnx", sketch)
    model = onnx.load(path)
    for name, number in (("far", 60000.0), ("back", -60000.0)):
        array = np.array(number, np.float16)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    for out, (a, b) in {"s1": ("answer", "far"), "s2": ("s1", "far"), "s3": ("s2", "back"),
                        "s4": ("s3", "back")}.items():  # fmt: skip
        node = onnx.helper.make_node("Add", [a, b], [out])
        model.graph.node.insert(len(model.graph.node) - 1, node)
    model.graph.node[-1].input[0] = "s4"
    path.write_bytes(model.SerializeToString())
    bundle = imported(path)
    assert bundle.networks["generator"].config["graph"]["half"] is True
    emap = bundle.networks["generator"].tensors["emap"]
    assert emap.dtype == torch.float32
    rgb = 0.3 + 0.2 * torch.rand(1, 3, 128, 128)
    found = build(bundle.networks["generator"])(rgb, torch.randn(1, 512))
    assert 0.02 < float(found.std()) < 0.2
    assert 0.1 < float(found.mean()) < 0.9


def test_half_inputs_are_given_in_half_where_they_stay(tmp_path: Path) -> None:
    """The declared type is respected even where nothing was widened."""
    sketch = replace(INSWAPPER, half_ends=True, stored={"buff2fs": EMAP})
    bundle = imported(swapper(tmp_path / "x.onnx", sketch))
    weights = bundle.networks["generator"]
    graph = {**weights.config["graph"], "half": False}
    kept_half = replace(weights, config={**weights.config, "graph": graph})
    rgb, code = torch.rand(1, 3, 128, 128), torch.randn(1, 512)
    difference = (build(kept_half)(rgb, code) - build(weights)(rgb, code)).abs().max()
    assert 0 < float(difference) < 0.01


@pytest.mark.parametrize("batch", [1, 4, "N"])
def test_fixed_batches_are_filled_up(batch: int | str, tmp_path: Path) -> None:
    bundle = imported(swapper(tmp_path / "x.onnx", replace(INSWAPPER, batch=batch)))
    network = build(bundle.networks["generator"])
    rgb, code = torch.rand(6, 3, 128, 128), torch.randn(6, 512)
    one_by_one = torch.cat([network(rgb[i : i + 1], code[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(network(rgb, code), one_by_one, atol=1e-6, rtol=0)


def test_inputs_that_take_different_batches_are_refused(tmp_path: Path) -> None:
    model = onnx.load(swapper(tmp_path / "x.onnx", INSWAPPER))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    (tmp_path / "y.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match="different|samples at once"):
        imported(tmp_path / "y.onnx")


def test_what_is_no_number_is_an_error(tmp_path: Path) -> None:
    bundle = imported(swapper(tmp_path / "x.onnx", replace(INSWAPPER, nan=True)))
    network = build(bundle.networks["generator"])
    with pytest.raises(BundleError, match="'output' holds values that are no numbers"):
        network(torch.rand(1, 3, 128, 128), torch.randn(1, 512))


def test_a_mask_may_stand_first(tmp_path: Path) -> None:
    bundle = imported(swapper(tmp_path / "x.onnx", Sketch(256, mask=True, mask_first=True)))
    network: Any = build(bundle.networks["generator"])
    rgb = torch.full((1, 3, 256, 256), 0.8)
    face, mask = network.faces(rgb, torch.randn(1, 512))
    assert face.shape == (1, 3, 256, 256)
    # The little network answers with the mean of what it reads: 0.8 in [-1,1] is 0.6.
    torch.testing.assert_close(mask, torch.full((1, 1, 256, 256), 0.6), atol=1e-5, rtol=0)


def test_of_several_pictures_the_known_one_is_taken(tmp_path: Path) -> None:
    sketch = BY_GRAPH["inswapper_256_phase1"]
    model = onnx.load(swapper(tmp_path / "x.onnx", sketch))
    model.graph.node.append(onnx.helper.make_node("Identity", ["t_in"], ["p1"]))
    model.graph.output.insert(0, onnx.helper.make_tensor_value_info("p1", 1, (1, 3, 256, 256)))
    path = tmp_path / "y.onnx"
    path.write_bytes(model.SerializeToString())
    bundle = imported(path)
    assert bundle.networks["generator"].config["graph"]["outputs"] == ["p2_refined"]
    model.graph.output[1].name = "p3"
    model.graph.node[-2].output[0] = "p3"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match="expected a swap network's picture"):
        imported(path)


def test_known_digests_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = swapper(tmp_path / "x.onnx", Sketch(256, stored={"emap": EMAP}))
    from likeness.store.files import sha256_of

    row = replace(SWAPS["instyleswapper_256"], files={sha256_of(path): "here"})
    monkeypatch.setitem(SWAPS, "instyleswapper_256", row)  # type: ignore[arg-type]
    bundle = imported(path)
    assert family(bundle) == "instyleswapper_256"
    assert bundle.training["imported"]["notes"]["told"] == "by its sha256"


def test_a_declared_family_is_taken_where_it_fits(tmp_path: Path) -> None:
    path = swapper(tmp_path / "x.onnx", Sketch(256))
    for name in ("ghost_256", "simswap_256", "hififace_unofficial_256", "alphaface_256"):
        assert family(imported(path, family=name)) == name
    with pytest.raises(BundleError, match="its pictures have 256 pixels, not 512"):
        imported(path, family="simswap_unofficial_512")
    with pytest.raises(BundleError, match="without a mask"):
        imported(path, family="hyperswap_256")
    with pytest.raises(BundleError, match="told of the source by a code"):
        imported(path, family="uniface_256")
    with pytest.raises(ConfigError, match="did you mean 'ghost_256'"):
        imported(path, family="ghost_2566")


def test_families_that_look_alike_ask(tmp_path: Path) -> None:
    path = swapper(tmp_path / "x.onnx", Sketch(256))
    with pytest.raises(BundleError, match="alphaface_256 or ghost_256.*pass --family"):
        imported(path)


PROBED = {
    "alphaface_256": Sketch(256, expects="unit"),
    "simswap_256": Sketch(256, expects="imagenet"),
    "ghost_256": Sketch(256, expects="signed", long_codes=True),
}


@pytest.mark.parametrize("name", PROBED)
def test_trying_tells_families_apart(name: str, tmp_path: Path) -> None:
    beside = kept(tmp_path, "w600k", recognizer)
    bundle = imported(swapper(tmp_path / "x.onnx", PROBED[name]), beside=(beside,))
    assert family(bundle) == name
    assert "by trying" in bundle.training["imported"]["notes"]["told"]
    assert bundle.networks["identity"].config["space"] == "w600k"


def test_trying_refuses_where_it_cannot_tell(tmp_path: Path) -> None:
    beside = kept(tmp_path, "w600k", recognizer)
    path = swapper(tmp_path / "x.onnx", Sketch(256, expects="signed"))
    with pytest.raises(BundleError, match="trying does not tell.*pass --family"):
        imported(path, beside=(beside,))
    broken = swapper(tmp_path / "y.onnx", Sketch(256, nan=True))
    with pytest.raises(BundleError, match="ghost_256 inf"):
        imported(broken, beside=(beside,))


def test_ways_are_ranked_by_how_well_they_give_a_face_back() -> None:
    face = SourceFace(torch.rand(3, 64, 64), actor_landmarks())
    parts = SourceParts({"simswap": Describer(TEMPLATES["arcface_112"], lambda x: x[:, 0, 0, :9])})
    contract = SwapContract("simswap", 32, "simswap_224", space="simswap")

    def wrong(by: float) -> Way:
        return Way(contract, lambda rgb, code: rgb + by * (1 if len(code[0]) == 9 else 99))

    found = probe({"unit": wrong(0.1), "imagenet": wrong(0.02)}, parts, lambda: face, "--space")
    assert found.best == "imagenet"
    assert found.differences["unit"] == pytest.approx(0.1, abs=1e-5)
    for pair in ((0.02, 0.021), (0.4, 0.2)):
        ways = {name: wrong(by) for name, by in zip("ab", pair, strict=True)}
        with pytest.raises(BundleError, match="pass --space"):
            probe(ways, parts, lambda: face, "--space")


def actor_landmarks() -> np.ndarray:
    """Landmarks of a face in a picture of 64 pixels, as far as templates ask for them."""
    found = np.full((478, 2), 32, np.float32)
    template = TEMPLATES["simswap_224"]
    for point, several in zip(template.points, template.landmarks, strict=True):
        found[list(several)] = np.array(point) / 4
    return found


def test_a_family_without_a_map_takes_inswappers(tmp_path: Path) -> None:
    path = swapper(tmp_path / "x.onnx", Sketch(256))
    with pytest.raises(BundleError, match="--with INSWAPPER.bundle"):
        imported(path, family="instyleswapper_256")
    beside = kept(tmp_path, "inswapper", lambda p: swapper(p, INSWAPPER))
    bundle = imported(path, family="instyleswapper_256", beside=(beside,))
    torch.testing.assert_close(bundle.networks["generator"].tensors["emap"], torch.from_numpy(EMAP))
    assert set(bundle.networks) == {"generator"}
    assert "InsightFace" in bundle.license


def test_recognizers_are_told_apart(tmp_path: Path) -> None:
    plain = imported(recognizer(tmp_path / "a.onnx"))
    assert plain.networks["identity"].config["space"] == "w600k"
    gated = imported(recognizer(tmp_path / "b.onnx", gates=True)).networks["identity"].config
    assert (gated["space"], gated["template"], gated["enter"]) == (
        "simswap", "simswap_224", "imagenet")  # fmt: skip
    deep = imported(recognizer(tmp_path / "c.onnx", layers=70))
    assert deep.networks["identity"].config["space"] == "other"
    said = imported(recognizer(tmp_path / "d.onnx", layers=70), family="arcface_ghost")
    assert said.networks["identity"].config["template"] == "simswap_224"
    with pytest.raises(ConfigError, match="did you mean 'arcface_ghost'"):
        imported(tmp_path / "d.onnx", family="arcface_gost")


def test_a_recognizer_may_leave_the_shape_of_its_code_open(tmp_path: Path) -> None:
    model = onnx.load(recognizer(tmp_path / "a.onnx"))
    model.graph.output[0].type.tensor_type.ClearField("shape")
    (tmp_path / "b.onnx").write_bytes(model.SerializeToString())
    assert imported(tmp_path / "b.onnx").method == "identity.onnx"


def test_a_recognizer_shrinks_larger_crops_itself(tmp_path: Path) -> None:
    network = build(
        imported(recognizer(tmp_path / "a.onnx"), family="arcface_ghost").networks["identity"]
    )
    crops = torch.rand(1, 3, 224, 224)
    small = functional.interpolate(crops, size=(112, 112), mode="bilinear")
    torch.testing.assert_close(network(crops), network(small))


def test_converters_are_known(tmp_path: Path) -> None:
    bundle = imported(converter(tmp_path / "x.onnx"))
    assert bundle.method == "identity.converter"
    assert bundle.networks["converter"].config["to"] == ""
    said = imported(tmp_path / "x.onnx", family="crossface_ghost")
    assert said.networks["converter"].config["to"] == "ghost"
    code = torch.randn(2, 512)
    found = build(said.networks["converter"])(code)
    torch.testing.assert_close(found, 3 * code.flip(1), atol=1e-5, rtol=0)


def test_what_comes_along_becomes_part_of_the_bundle(tmp_path: Path) -> None:
    beside = (kept(tmp_path, "w600k", recognizer),
              kept(tmp_path, "cross", converter, family="crossface_ghost"))  # fmt: skip
    path = swapper(tmp_path / "x.onnx", Sketch(256))
    bundle = imported(path, family="ghost_256", beside=beside)
    save_bundle(bundle, tmp_path / "ghost.bundle")
    loaded = load_bundle(tmp_path / "ghost.bundle")
    assert set(loaded.networks) == {"generator", "identity", "converter"}
    assert set(loaded.training["imported"]["files"]) == {"x.onnx", "w600k.onnx", "cross.onnx"}
    assert loaded.training["imported"]["commercial_use"] is False  # GHOST's own terms allow it
    with pytest.raises(BundleError, match="comes along with --with"):
        imported(path, family="ghost_256", beside=beside, commercial=True)
    alone = imported(path, family="ghost_256", commercial=True)
    assert alone.training["imported"]["commercial_use"] is True


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("morph", [False, True])
def test_dfm_files_are_read_by_name(morph: bool, shuffled: bool, tmp_path: Path) -> None:
    bundle = imported(one_to_one(tmp_path / "x.dfm", morph=morph, shuffled=shuffled))
    assert (bundle.method, family(bundle)) == ("swap.dfm", "dfm")
    network: Any = build(bundle.networks["generator"])
    rgb = torch.rand(3, 3, 64, 64)
    face, own = network.faces(rgb)
    torch.testing.assert_close(face.rgb, rgb * (0.375 if morph else 0.5))
    torch.testing.assert_close(own, torch.ones(3, 1, 64, 64))
    torch.testing.assert_close(face.mask, torch.full((3, 1, 64, 64), 0.5))
    assert bundle.people == ({"role": "source"},)


HOSTILE: dict[str, Callable[[Any], None]] = {
    "no square": lambda m: (
        m.graph.input[1].type.tensor_type.shape.dim[2].__setattr__("dim_value", 64)
    ),
    "huge": lambda m: [
        m.graph.input[1].type.tensor_type.shape.dim[i].__setattr__("dim_value", 2**40)
        for i in (2, 3)
    ],
    "negative": lambda m: (
        m.graph.input[1].type.tensor_type.shape.dim[2].__setattr__("dim_value", -5)
    ),
    "long code": lambda m: (
        m.graph.input[0].type.tensor_type.shape.dim[1].__setattr__("dim_value", 7)
    ),
    "a third input": lambda m: m.graph.input.append(
        onnx.helper.make_tensor_value_info("more", 1, (1, 3, 9, 9))
    ),
    "huge batch": lambda m: (
        m.graph.input[0].type.tensor_type.shape.dim[0].__setattr__("dim_value", 2**40)
    ),
    "a sequence": lambda m: m.graph.input[0].CopyFrom(
        onnx.helper.make_tensor_sequence_value_info("source", 1, (1, 512))
    ),
    "a mask of letters": lambda m: m.graph.output[0].type.tensor_type.__setattr__("elem_type", 8),
}


@pytest.mark.parametrize("harm", HOSTILE)
def test_graphs_that_lie_are_refused(harm: str, tmp_path: Path) -> None:
    model = onnx.load(swapper(tmp_path / "x.onnx", Sketch(256, stored={"emap": EMAP})))
    HOSTILE[harm](model)
    (tmp_path / "y.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BundleError):
        imported(tmp_path / "y.onnx")


def test_two_pictures_of_one_size_without_names_are_refused(tmp_path: Path) -> None:
    path = swapper(tmp_path / "x.onnx", Sketch(256, "a", "b", picture=256))
    with pytest.raises(BundleError, match="nothing tells which is the source's"):
        imported(path)
    named = swapper(tmp_path / "y.onnx", Sketch(256, "a", "b", picture=112))
    assert family(imported(named)) == "blendswap_256"
