"""Published swap networks draw over a target's face: little ones, whose answers are known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from likeness import geometry
from likeness.cli.app import run
from likeness.composite.finish import FinishConfig
from likeness.condition.align import TEMPLATES, aligned_crop
from likeness.condition.crop import cut
from likeness.config import to_json
from likeness.decode import Decoder, open_clip
from likeness.errors import BundleError, ConfigError
from likeness.importers.checkpoints import import_checkpoint
from likeness.importers.published import ImportConfig
from likeness.methods.photo.animation import Photo
from likeness.methods.swap.photos import photos_in
from likeness.methods.swap.published import (
    PublishedConfig,
    PublishedSwapper,
    apart,
    contract_of,
    joined,
    published_swapper,
    suited_boost,
    with_parts,
)
from likeness.methods.swap.source import photos_bundle
from likeness.methods.swap.view import SwapTarget, TargetView
from likeness.methods.table import METHODS
from likeness.nets.identity_iresnet import IResNet, IResNetConfig
from likeness.nets.identity_simswap import SimSwapIdentity, SimSwapIdentityConfig
from likeness.networks import build
from likeness.plan.swap import plan_swap
from likeness.recognize.source import (
    Describer,
    SourceFace,
    SourceParts,
    missing,
    parts_of,
    scaled,
    tell_source,
)
from likeness.store import save_bundle, save_shot
from likeness.synthesize.faceshifter import AEIConfig, AEINet
from likeness.synthesize.simswap import SimSwap, SimSwapConfig
from likeness.synthesize.swap_contract import SwapContract
from likeness.types import Bundle, Shot, Weights, Window

pytest.importorskip("onnx", reason="ONNX files need likeness[onnx]")
pytest.importorskip("onnxruntime", reason="ONNX files need likeness[onnx]")
from tests.importers.swap_graphs import (
    EMAP,
    FILTER,
    Sketch,
    converter,
    recognizer,
    swapper,
)
from tests.stage import film

CPU = torch.device("cpu")
INSWAPPER = Sketch(128, source_first=False, stored={"buff2fs": EMAP})


def imported(path: Path, **how: Any) -> Bundle:
    return import_checkpoint("onnx", path, ImportConfig(**how))


@pytest.fixture(scope="module")
def photos(actor_shot: Shot) -> tuple[Photo, ...]:
    return photos_in(actor_shot, 3)


@pytest.fixture(scope="module")
def w600k(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return imported(recognizer(tmp_path_factory.mktemp("r") / "w600k.onnx"))


def view_of(shot: Shot, window: Window) -> TargetView:
    with Decoder(shot.clip) as decoder:
        frames = decoder.read(window)
    return SwapTarget.of(shot, np.arange(len(shot.clip)) / 25).view(window, frames)


def with_source(bundle: Bundle, photos: tuple[Photo, ...], *others: Bundle) -> Bundle:
    made = photos_bundle(bundle.method, photos)
    whole = replace(bundle, networks={**bundle.networks, **made.networks})
    return with_parts(whole, others)


def code_of(photos: tuple[Photo, ...], space: str = "arcface_112") -> torch.Tensor:
    """What the little recognizer says of each photo, raw."""
    crops = [
        cut(photo.picture[None], aligned_crop(photo.track.landmarks, TEMPLATES[space]))
        for photo in photos
    ]
    return (torch.cat(crops) * 2 - 1).mean((2, 3)) @ torch.from_numpy(20 * FILTER.T)


def test_inswapper_draws_the_shifted_face(
    tmp_path: Path, actor_shot: Shot, photos: tuple[Photo, ...], w600k: Bundle
) -> None:
    bundle = with_source(imported(swapper(tmp_path / "x.onnx", INSWAPPER)), photos, w600k)
    view = view_of(actor_shot, Window(10, 13))
    swap = published_swapper(bundle, actor_shot, PublishedConfig(), CPU)
    face = swap.draw(view)
    mean = functional.normalize(functional.normalize(code_of(photos)).mean(0, keepdim=True))
    latent = functional.normalize(mean @ torch.from_numpy(EMAP))
    shift = (latent @ torch.from_numpy(FILTER))[:, :, None, None]
    inside = (face.alpha > 0.99).expand(-1, 3, -1, -1)
    assert 0.2 < float(inside.float().mean()) < 0.9
    expected = (view.pixels + shift).clamp(0, 1)
    # Twice resampled, so edges differ.
    assert float((face.rgb - expected).abs()[inside].mean()) < 0.02
    assert float((face.rgb - view.pixels).abs()[inside].mean()) > 0.02


def test_a_frame_is_drawn_alike_in_any_window(
    tmp_path: Path, actor_shot: Shot, photos: tuple[Photo, ...], w600k: Bundle
) -> None:
    sketch = replace(INSWAPPER, batch="N")
    bundle = with_source(imported(swapper(tmp_path / "x.onnx", sketch)), photos, w600k)
    swap = published_swapper(bundle, actor_shot, PublishedConfig(boost=2), CPU)
    whole = swap.draw(view_of(actor_shot, Window(4, 8)))
    alone = swap.draw(view_of(actor_shot, Window(6, 7)))
    assert torch.equal(whole.rgb[2:3], alone.rgb)
    assert torch.equal(whole.alpha[2:3], alone.alpha)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5), st.integers(1, 3), st.integers(1, 4))
def test_interleaved_subsets_lose_nothing(count: int, n: int, small: int) -> None:
    pictures = torch.arange(n * 2 * (count * small) ** 2).reshape(n, 2, count * small, -1)
    parts = apart(pictures, count)
    assert parts.shape == (n * count * count, 2, small, small)
    assert torch.equal(joined(parts, count), pictures)
    if count > 1:
        assert torch.equal(parts[1], pictures[0, :, ::count, 1::count])


def test_boost_follows_the_size_of_the_face(actor_shot: Shot) -> None:
    contract = SwapContract("inswapper_128", 128, "arcface_128")
    assert suited_boost(contract, actor_shot.track) == 1
    track = replace(actor_shot.track, landmarks=actor_shot.track.landmarks * 6)
    assert 3 <= suited_boost(contract, track) <= 4
    assert suited_boost(replace(contract, size=256), track) == 1
    with pytest.raises(ConfigError, match="boost is 99"):
        PublishedConfig(boost=99)


def test_boost_gives_finer_pictures(actor_shot: Shot, photos: tuple[Photo, ...]) -> None:
    view = view_of(actor_shot, Window(10, 11))
    contract = SwapContract("x", 16, "arcface_128")
    errors = []
    for boost in (1, 4):
        face = PublishedSwapper(contract, lambda rgb: (rgb, None), boost).draw(view)
        inside = (face.alpha > 0.99).expand(-1, 3, -1, -1)
        errors.append(float((face.rgb - view.pixels).abs()[inside].mean()))
    assert errors[1] < 0.5 * errors[0]


def test_a_network_says_which_recognizer_it_needs(
    tmp_path: Path, actor_shot: Shot, photos: tuple[Photo, ...], w600k: Bundle
) -> None:
    ghost = imported(swapper(tmp_path / "x.onnx", Sketch(256, output="781")))
    with pytest.raises(BundleError, match="ghost_256 needs the recognizer ghost, or w600k with"):
        published_swapper(with_source(ghost, photos, w600k), actor_shot, PublishedConfig(), CPU)
    with pytest.raises(BundleError, match="holds no recognizer"):
        with_parts(ghost, [ghost])
    cross = imported(converter(tmp_path / "c.onnx"), family="crossface_simswap")
    wrong = with_source(ghost, photos, w600k, cross)
    with pytest.raises(BundleError, match="ghost_256 needs"):
        published_swapper(wrong, actor_shot, PublishedConfig(), CPU)
    right = imported(tmp_path / "c.onnx", family="crossface_ghost")
    whole = with_source(ghost, photos, w600k, right)
    swap = published_swapper(whole, actor_shot, PublishedConfig(), CPU)
    rgb = torch.full((1, 3, 256, 256), 0.5)
    told = (3 * code_of(photos).flip(1)).mean(0, keepdim=True)
    shift = 0.5 * (told @ torch.from_numpy(FILTER))[:, :, None, None]
    found = swap.run(rgb)[0]
    torch.testing.assert_close(found, (rgb + shift).clamp(0, 1), atol=1e-4, rtol=0)


def test_a_picture_of_the_source_is_the_largest_one(
    tmp_path: Path, actor_shot: Shot, photos: tuple[Photo, ...]
) -> None:
    bundle = imported(swapper(tmp_path / "x.onnx", Sketch(256, picture=112)))
    contract = contract_of(build(bundle.networks["generator"]))
    small, large = photos[:2]
    doubled = functional.interpolate(large.picture[None], scale_factor=2, mode="bilinear")[0]
    faces = [
        SourceFace(small.picture, small.track.landmarks[0]),
        SourceFace(doubled, 2 * large.track.landmarks[0]),
    ]
    told = tell_source(contract, SourceParts(), faces)
    crop = aligned_crop(faces[1].landmarks[None], TEMPLATES["arcface_112"])
    assert torch.equal(told, cut(doubled[None], crop))
    swap = published_swapper(with_source(bundle, photos), actor_shot, PublishedConfig(), CPU)
    assert swap.draw(view_of(actor_shot, Window(0, 2))).rgb.shape[1] == 3


def test_masks_of_networks_are_obeyed(
    tmp_path: Path, actor_shot: Shot, photos: tuple[Photo, ...], w600k: Bundle
) -> None:
    bundle = with_source(imported(swapper(tmp_path / "x.onnx", Sketch(256, mask=True))), photos)
    swap = published_swapper(with_parts(bundle, [w600k]), actor_shot, PublishedConfig(), CPU)
    view = view_of(actor_shot, Window(10, 11))
    face = swap.draw(view)
    # The little network's mask is the mean of its picture in [-1,1].
    expected = (view.pixels.mean(1, keepdim=True) * 2 - 1).clamp(0, 1)
    middle = slice(view.crop.size[0] // 2 - 8, view.crop.size[0] // 2 + 8)
    difference = (face.alpha - expected)[..., middle, middle].abs()
    assert float(difference.mean()) < 0.05


def weights_of(name: str, network: torch.nn.Module, config: Any) -> Weights:
    return Weights(name, to_json(config), network.state_dict())


def test_checkpoints_of_torch_run_alike(actor_shot: Shot, photos: tuple[Photo, ...]) -> None:
    torch.manual_seed(0)
    shape = SimSwapConfig((4, 4, 4, 4), 1)
    small = SimSwapIdentityConfig((1, 1), (16, 16), 16)
    bundle = Bundle(
        "swap.simswap",
        {
            "generator": weights_of("simswap", SimSwap(shape), shape),
            "identity": weights_of("identity_simswap", SimSwapIdentity(small), small),
        },
        {}, {}, "none",
    )  # fmt: skip
    swap = published_swapper(with_source(bundle, photos), actor_shot, PublishedConfig(), CPU)
    assert (swap.contract.size, swap.contract.template) == (224, "simswap_224")
    face = swap.draw(view_of(actor_shot, Window(0, 2)))
    assert bool(torch.isfinite(face.rgb).all())
    assert float(face.alpha.max()) == 1
    only = replace(bundle, networks={"generator": bundle.networks["generator"]})
    with pytest.raises(BundleError, match="simswap needs the recognizer simswap"):
        published_swapper(with_source(only, photos), actor_shot, PublishedConfig(), CPU)


def test_faceshifter_is_told_by_its_own_encoder(photos: tuple[Photo, ...]) -> None:
    config = AEIConfig((4, 4, 4), (4, 4, 4, 4), 8)
    contract = contract_of(AEINet(config))
    assert (contract.size, contract.space) == (config.size, "faceshifter")
    assert missing(contract, SourceParts()) == "the recognizer faceshifter"
    describer = Describer(scaled(TEMPLATES["ffhq_512"], 256), lambda rgb: rgb.mean((2, 3)))
    face = SourceFace(photos[0].picture, photos[0].track.landmarks[0])
    told = tell_source(contract, SourceParts({"faceshifter": describer}), [face])
    assert float(told.norm()) == pytest.approx(1)


def test_recognizers_of_torch_have_spaces() -> None:
    torch.manual_seed(0)
    found = {}
    for depth in (14, 30):
        config = IResNetConfig((1, 1, depth, 1), (4, 4, 4, 4), 8)
        weights = weights_of("identity_iresnet", IResNet(config), config)
        found[depth] = parts_of([weights]).describers
    assert list(found[14]) == ["w600k"]
    assert list(found[30]) == ["ghost"]
    assert found[30]["ghost"].template.size == 224


def test_two_recognizers_are_added(photos: tuple[Photo, ...]) -> None:
    contract = SwapContract(
        "cscs_256", 256, "ffhq_512", form="sum", space="cscs", adapter="cscs_adapter"
    )
    parts = SourceParts({
        "cscs": Describer(TEMPLATES["arcface_112"], lambda rgb: torch.tensor([[3.0, 4.0]])),
        "cscs_adapter": Describer(TEMPLATES["arcface_112"], lambda rgb: torch.tensor([[0.0, 2.0]])),
    })  # fmt: skip
    face = SourceFace(photos[0].picture, photos[0].track.landmarks[0])
    torch.testing.assert_close(
        tell_source(contract, parts, [face, face]), torch.tensor([[0.6, 1.8]])
    )
    assert missing(contract, SourceParts()) == "the recognizer cscs and cscs_adapter"


def test_the_verb_swaps_by_a_file(
    tmp_path: Path, actor_shot: Shot, w600k: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    """From files as they are published to a marked video."""
    source = film(tmp_path, seed=5, motion=6, count=12)
    short = film(tmp_path, seed=3, motion=5, count=8)
    for name, shot in (("source", source), ("target", short)):
        save_shot(shot, tmp_path / f"{name}.shot")
    save_bundle(w600k, tmp_path / "w600k.bundle")
    swapper(tmp_path / "inswapper.onnx", INSWAPPER)
    made = ["models", "import", "onnx", str(tmp_path / "inswapper.onnx")]
    assert run([*made, "-o", str(tmp_path / "in.bundle"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"]["family"] == "inswapper_128"
    asked = ["swap", str(tmp_path / "source.shot"), str(tmp_path / "target.shot")]
    asked += ["-o", str(tmp_path / "out.mp4"), "--method", str(tmp_path / "in.bundle"), "--json"]
    assert run(asked) == 1
    assert "needs the recognizer w600k" in capsys.readouterr().out
    assert run([*asked, "--recognizer", str(tmp_path / "w600k.bundle"), "--boost", "1"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["frames"] == 8
    with Decoder(short.clip) as before, Decoder(open_clip(tmp_path / "out.mp4")) as after:
        difference = (before.read(Window(0, 8)) - after.read(Window(0, 8))).abs()
    assert float(difference.mean()) > 0.002


def test_what_a_plan_opens_is_a_method(
    tmp_path: Path, actor_shot: Shot, photos: tuple[Photo, ...], w600k: Bundle
) -> None:
    bundle = with_source(imported(swapper(tmp_path / "x.onnx", INSWAPPER)), photos, w600k)
    plan = plan_swap(actor_shot, (), FinishConfig())
    method = METHODS["swap.onnx"].open(bundle, plan, CPU)
    with Decoder(actor_shot.clip) as decoder:
        frames = decoder.read(Window(0, 4))
    layer = method.synthesize(method.condition(Window(0, 4), frames))
    assert len(layer.crop) == 4
    back = geometry.invert(layer.crop.crop_from_frame)
    assert np.isfinite(back).all()
