"""Official files in all their wrappings become bundles that compute what the file says."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from likeness.cli.app import run
from likeness.errors import BundleError, ConfigError
from likeness.importers.checkpoints import import_checkpoint
from likeness.importers.kinds import KINDS
from likeness.importers.published import ImportConfig
from likeness.networks import NETWORKS, build
from likeness.store import load_bundle, save_bundle
from likeness.store.files import sha256_of
from likeness.synthesize.autoencoder import AutoencoderConfig
from likeness.synthesize.stylegan import StyleganConfig
from likeness.types import Bundle
from tests.importers import pickled
from tests.nets import official
from tests.nets.test_inversion import SMALL as SMALL_ENCODER
from tests.nets.test_inversion import official_state as encoder_state
from tests.synthesize.test_autoencoder import official_state as autoencoder_state
from tests.synthesize.test_stylegan import ada_state, rosinality_state

State = dict[str, torch.Tensor]
SMALL = StyleganConfig(widths=(16, 12, 8), latent=8, code=8, depth=2, clamp=256.0)


def simswap_state() -> State:
    return official.state(official.simswap((4, 6, 8, 10), 1, 2, 16))


def recognizer_state() -> State:
    return official.state(official.simswap_identity((1, 2, 1, 1), (8, 8, 16, 16), 24, 7, 4))


def saved(path: Path, content: Any, *, as_zip: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=as_zip)
    return path


def same(bundle: Bundle, slot: str, family_state: Mapping[str, torch.Tensor]) -> None:
    """The bundle's network holds exactly these tensors, and can be built."""
    weights = bundle.networks[slot]
    assert set(weights.tensors) == set(family_state)
    for key, tensor in weights.tensors.items():
        assert torch.equal(tensor, family_state[key]), key
    build(weights)


@pytest.mark.parametrize("as_zip", [True, False])
def test_a_plain_state_dict(as_zip: bool, tmp_path: Path) -> None:
    state = simswap_state()
    path = saved(tmp_path / "latest_net_G.pth", state, as_zip=as_zip)
    bundle = import_checkpoint("simswap", path)
    same(bundle, "generator", KINDS["simswap"].slots[0].families[0].rename(state))
    imported = bundle.training["imported"]
    assert imported["files"] == {"latest_net_G.pth": sha256_of(path)}
    assert imported["tensors_left_out"] == 0
    assert bundle.license == "CC-BY-NC-4.0"
    assert not imported["commercial_use"]
    save_bundle(bundle, tmp_path / "s.bundle")
    again = build(load_bundle(tmp_path / "s.bundle").networks["generator"])
    rgb, code = torch.rand(1, 3, 16, 16), torch.nn.functional.normalize(torch.rand(1, 16))
    first = build(bundle.networks["generator"])
    assert torch.equal(first(rgb, code), again(rgb, code))


def test_half_precision_is_widened(tmp_path: Path) -> None:
    state = {k: t.half() if t.is_floating_point() else t for k, t in simswap_state().items()}
    bundle = import_checkpoint("simswap", saved(tmp_path / "x.pth", state))
    kinds = {tensor.dtype for tensor in bundle.networks["generator"].tensors.values()}
    assert kinds == {torch.float32, torch.int64}


def test_a_recognizer_comes_along(tmp_path: Path) -> None:
    known = import_checkpoint("arcface", saved(tmp_path / "arcface.pth", recognizer_state()))
    save_bundle(known, tmp_path / "arcface.bundle")
    path = saved(tmp_path / "G.pth", simswap_state())
    # A network that was never trained gives no face back, in whatever numbers it sees it.
    with pytest.raises(BundleError, match="unit or imagenet, and trying.*pass --space"):
        import_checkpoint("simswap", path, ImportConfig(beside=(tmp_path / "arcface.bundle",)))
    how = ImportConfig(space="unit", beside=(tmp_path / "arcface.bundle",))
    bundle = import_checkpoint("simswap", path, how)
    assert set(bundle.networks) == {"generator", "identity"}
    assert set(bundle.training["imported"]["files"]) == {"G.pth", "arcface.pth"}
    assert bundle.license.startswith("CC-BY-NC-4.0; non-commercial research")
    stated = replace(how, license="mine", commercial=True)
    with pytest.raises(BundleError, match="comes along with --with does not allow"):
        import_checkpoint("simswap", path, stated)


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
@pytest.mark.parametrize("as_zip", [True, False])
@pytest.mark.parametrize("wrapped", ["module", "parallel", "model", "prefix", "plain"])
def test_simswaps_recognizer_in_every_wrapping(
    wrapped: str, as_zip: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = recognizer_state()
    module = pickled.simswap_identity(monkeypatch, state)
    content: Any = {
        "module": module,
        "parallel": {"model": nn.DataParallel(module), "epoch": 9, "acc": np.float64(0.5)},
        "model": {"model": state},
        "prefix": {f"module.{key}": tensor for key, tensor in state.items()},
        "plain": state,
    }[wrapped]
    path = saved(tmp_path / "arcface_checkpoint.tar", content, as_zip=as_zip)
    monkeypatch.undo()  # the publisher's classes exist on his machine only
    bundle = import_checkpoint("arcface", path)
    same(bundle, "identity", KINDS["arcface"].slots[0].families[0].rename(state))
    assert bundle.networks["identity"].network == "identity_simswap"
    assert bundle.networks["identity"].config["depths"] == [1, 2, 1, 1]


def test_depth_and_family_come_from_the_keys(tmp_path: Path) -> None:
    state = official.state(official.iresnet((2, 1, 3, 1), (8, 8, 16, 16), 24, 7))
    bundle = import_checkpoint("arcface", saved(tmp_path / "backbone.pth", state))
    weights = bundle.networks["identity"]
    assert weights.network == "identity_iresnet"
    assert weights.config["depths"] == [2, 1, 3, 1]
    assert bundle.input["identity"][0]["shape"] == [3, 112, 112]


def test_faceshifter_with_and_without_its_recognizer(tmp_path: Path) -> None:
    encoder, generator = (4, 6, 8), (8, 8, 6, 4)
    state = official.state(official.faceshifter(encoder, generator, 12))
    recognizer = official.state(official.resnet((1, 1, 1, 1), (4, 4, 8, 8), True, 12))
    whole = {**state, **{f"Z.{key}": tensor for key, tensor in recognizer.items()}}
    whole["D.layer.weight"] = torch.zeros(3)
    path = saved(tmp_path / "f.ckpt", {"state_dict": whole, "epoch": 3})
    bundle = import_checkpoint("faceshifter", path)
    assert set(bundle.networks) == {"generator", "identity"}
    assert bundle.training["imported"]["tensors_left_out"] == 1  # the discriminator's
    bundle = import_checkpoint("faceshifter", saved(tmp_path / "g.ckpt", state))
    assert set(bundle.networks) == {"generator"}


@pytest.mark.parametrize("form", ["ada", "rosinality", "ffhq.pkl", "g_ema"])
def test_every_form_of_stylegan2_is_one_network(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    ada = ada_state(SMALL)
    rosinality = rosinality_state(ada, SMALL)
    average = ada["mapping.w_avg"]
    path = tmp_path / "x.pt"
    if form == "ffhq.pkl":
        other = {key: tensor + 1 for key, tensor in ada.items() if "resample" not in key}
        generator, smooth = pickled.persistent(monkeypatch, other, ada)
        content = {"G": generator, "G_ema": smooth, "augment_pipe": None}
        path.write_bytes(pickle.dumps(content))
        monkeypatch.undo()
    elif form == "g_ema":
        old = {key: tensor + 1 for key, tensor in rosinality.items()}
        saved(path, {"g": old, "g_ema": rosinality, "latent_avg": average})
    else:
        saved(path, ada if form == "ada" else {**rosinality, "latent_avg": average})
    bundle = import_checkpoint("stylegan2", path)
    expected = KINDS["stylegan2"].slots[0].families[0].rename(ada)
    same(bundle, "generator", expected)
    assert bundle.input["generator"][0]["shape"] == [8]


def test_stitched_generators_bring_their_pivots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = ada_state(SMALL)
    pivots = torch.rand(5, SMALL.layers, SMALL.code)
    quads = np.random.default_rng(0).random((5, 4, 2))
    (generator,) = pickled.persistent(monkeypatch, ada)
    path = saved(
        tmp_path / "model_run.pt", {"generator": generator, "pivots": pivots, "quads": quads}
    )
    monkeypatch.undo()
    bundle = import_checkpoint("stylegan2", path)
    assert torch.equal(bundle.networks["extras"].tensors["pivots"], pivots)
    assert bundle.networks["extras"].tensors["quads"].shape == (5, 4, 2)
    assert bundle.training["imported"]["tensors_left_out"] == 0


def test_e4e_brings_encoder_generator_and_average(tmp_path: Path) -> None:
    torch.manual_seed(0)
    from likeness.nets.inversion import Inversion

    encoder = encoder_state(Inversion(SMALL_ENCODER))
    average = encoder.pop("latent_avg")
    decoder = rosinality_state(ada_state(SMALL), SMALL)
    state = {f"encoder.{key}": tensor for key, tensor in encoder.items()}
    content = {"state_dict": state, "latent_avg": average, "opts": {"device": "cuda"}}
    bundle = import_checkpoint("e4e", saved(tmp_path / "e4e.pt", content))
    assert set(bundle.networks) == {"encoder"}
    family = KINDS["e4e"].slots[0].families[0]
    same(bundle, "encoder", family.rename({**encoder, "latent_avg": average}))
    state |= {f"decoder.{key}": tensor for key, tensor in decoder.items()}
    del content["latent_avg"]
    bundle = import_checkpoint("e4e", saved(tmp_path / "e4e.pt", content))
    assert set(bundle.networks) == {"encoder", "generator"}


def test_a_model_folder_of_deepfacelab(tmp_path: Path) -> None:
    config = AutoencoderConfig("liae", 64, True, True, inter=16, encoder=4, decoder=4, mask=2)
    state = autoencoder_state(config)
    folder = pickled.saehd(tmp_path / "model", state, "liae-ud")
    bundle = import_checkpoint("dfl", folder)
    same(bundle, "generator", KINDS["dfl"].slots[0].families[0].rename(state))
    assert bundle.networks["generator"].config["normalized"] is True
    assert bundle.training["imported"]["notes"]["iterations"] == 1000
    assert len(bundle.training["imported"]["files"]) == 5
    pickled.saehd(folder, state, "liae-ud", name="ben")
    with pytest.raises(BundleError, match=r"2 SAEHD models \(anna, ben\)"):
        import_checkpoint("dfl", folder)
    one = import_checkpoint("dfl", folder / "ben_SAEHD_data.dat")
    assert set(one.training["imported"]["files"]) == {
        file.name for file in folder.iterdir() if file.name.startswith("ben")
    }


def test_what_tensors_do_not_show_is_asked_for(tmp_path: Path) -> None:
    config = AutoencoderConfig("df", 64, inter=16, encoder=4, decoder=4, mask=2)
    folder = pickled.saehd(tmp_path / "model", autoencoder_state(config), None)
    with pytest.raises(BundleError, match="archi"):
        import_checkpoint("dfl", folder)
    bundle = import_checkpoint("dfl", folder, ImportConfig(archi="df-c"))
    assert bundle.networks["generator"].config["cosine"] is True
    path = saved(tmp_path / "x.pth", simswap_state())
    for space in ("unit", "imagenet"):
        bundle = import_checkpoint("simswap", path, ImportConfig(space=space))
        assert bundle.networks["generator"].config["space"] == space


def test_a_wrong_kind_names_the_right_one(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", simswap_state())
    with pytest.raises(BundleError, match="keys look like simswap: try likeness models import"):
        import_checkpoint("bisenet", path)
    regions = official.state(official.bisenet((4, 4, 8, 8), 4, 8, 4, 19))
    with pytest.raises(BundleError, match="look like bisenet"):
        import_checkpoint("simswap", saved(tmp_path / "y.pth", regions))
    assert import_checkpoint("bisenet", tmp_path / "y.pth").method == "regions.bisenet"
    with pytest.raises(BundleError, match="fit no kind"):
        import_checkpoint("simswap", saved(tmp_path / "z.pth", {"a.b": torch.zeros(3)}))
    with pytest.raises(ConfigError, match="did you mean 'simswap'"):
        import_checkpoint("simswop", path)


def test_loads_are_strict(tmp_path: Path) -> None:
    state = simswap_state()
    lacking = {key: tensor for key, tensor in state.items() if key != "up2.1.bias"}
    bent = {**state, "up2.1.bias": torch.zeros(99)}
    for damaged in (lacking, bent):
        with pytest.raises(BundleError, match=r"up\.1\.conv\.bias|up2\.1\.bias"):
            import_checkpoint("simswap", saved(tmp_path / "x.pth", damaged))


def test_licenses_are_obeyed(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", simswap_state())
    with pytest.raises(BundleError, match=r"'CC-BY-NC-4.0', which does not allow commercial use"):
        import_checkpoint("simswap", path, ImportConfig(commercial=True))
    bundle = import_checkpoint("simswap", path, ImportConfig(commercial=True, license="our own"))
    assert bundle.license == "our own"
    assert bundle.training["imported"]["license_is_the_users_statement"]


def test_every_kind_is_complete() -> None:
    for name, kind in KINDS.items():
        assert not kind.license.commercial, f"{name}: no published weights allow commerce yet"
        for slot in kind.slots:
            assert all(family.network in NETWORKS for family in slot.families)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, output = saved(tmp_path / "x.pth", simswap_state()), tmp_path / "s.bundle"
    assert run(["models", "import", "simswap", str(path), "-o", str(output), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["files"] == {"x.pth": sha256_of(path)}
    assert facts["networks"]["generator"]["config"]["blocks"] == 2
    assert run(["models", "info", str(output), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["license"] == "CC-BY-NC-4.0"
    assert facts["commercial_use"] is False
    assert "SimSwap" in facts["about"]
    assert facts["networks"]["generator"]["input"][0]["range"] == "RGB in [0, 1]"
    assert run(["models", "import", "simswap", str(path), "-o", str(output), "--commercial"]) == 1
    assert "does not allow commercial use" in capsys.readouterr().err
    assert run(["models", "list", str(tmp_path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["bundles"]["s.bundle"]["commercial_use"] is False
    assert facts["can_import"]["dfl"]["method"] == "swap.autoencoder"
