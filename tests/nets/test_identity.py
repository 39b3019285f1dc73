"""Recognizers: official layouts drop in, codes have length 1, published sizes are exact."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

import pytest
import torch
from torch import nn

from likeness.errors import BundleError, ConfigError, ContractError
from likeness.nets import identity_faceshifter, identity_iresnet, identity_simswap
from likeness.nets.checkpoints import shapes_of
from likeness.nets.identity_faceshifter import FaceShifterIdentity, FaceShifterIdentityConfig
from likeness.nets.identity_iresnet import IResNet, IResNetConfig
from likeness.nets.identity_simswap import (
    Gate,
    SimSwapIdentity,
    SimSwapIdentityConfig,
    recognition_crop,
)
from tests.nets import official

DEPTHS, WIDTHS = (1, 2), (16, 32)
IRESNET = official.iresnet(DEPTHS, WIDTHS, code=8, side=2)
SIMSWAP = official.simswap_identity(DEPTHS, WIDTHS, code=8, side=2, squeeze=4)
UNGATED = official.simswap_identity(DEPTHS, WIDTHS, code=8, side=2, squeeze=0)
FACESHIFTER = official.resnet(DEPTHS, WIDTHS, bottleneck=True, outputs=8)

CASES = {
    "iresnet": (identity_iresnet, IResNet, IRESNET, IResNetConfig(DEPTHS, WIDTHS, 8, 8)),
    "simswap": (
        identity_simswap,
        SimSwapIdentity,
        SIMSWAP,
        SimSwapIdentityConfig(DEPTHS, WIDTHS, squeeze=4, code=8, size=8),
    ),
    "simswap_ungated": (
        identity_simswap,
        SimSwapIdentity,
        UNGATED,
        SimSwapIdentityConfig(DEPTHS, WIDTHS, squeeze=0, code=8, size=8),
    ),
    "faceshifter": (
        identity_faceshifter,
        FaceShifterIdentity,
        FACESHIFTER,
        FaceShifterIdentityConfig(DEPTHS, WIDTHS, 8),
    ),
}
EVERY = pytest.mark.parametrize("name", CASES)


def loaded(name: str) -> nn.Module:
    module, network_class, shapes, config = CASES[name]
    network = network_class(config)
    network.load_state_dict(module.rename(official.state(shapes)), strict=True)
    return network.eval()


def crops(count: int = 2, size: int = 8) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1))


@EVERY
def test_depth_and_widths_are_read_from_an_official_file(name: str) -> None:
    module, _, shapes, config = CASES[name]
    assert module.infer(shapes) == config


@EVERY
def test_an_official_file_fills_every_tensor(name: str) -> None:
    module, network_class, shapes, config = CASES[name]
    state = official.state(shapes)
    renamed = module.rename(state)
    assert len(renamed) == len(state)
    assert shapes_of(renamed) == shapes_of(network_class(config).state_dict())
    assert {id(tensor) for tensor in renamed.values()} == {id(t) for t in state.values()}


@EVERY
def test_codes_have_length_one_and_depend_on_nothing_but_their_own_crop(name: str) -> None:
    network, pictures = loaded(name), crops(3)
    with torch.no_grad():
        codes = network(pictures)
        alone = torch.cat([network(picture[None]) for picture in pictures])
    assert codes.shape == (3, 8)
    torch.testing.assert_close(codes.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(codes, alone, atol=1e-6, rtol=0)
    assert (codes[0] - codes[1]).norm() > 1e-3
    with torch.no_grad():
        assert torch.equal(codes, network(pictures))


@EVERY
def test_gradients_reach_every_parameter(name: str) -> None:
    network = loaded(name).train()
    network(crops(4)).square().mul(torch.rand(8)).sum().backward()
    still = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still


@pytest.mark.parametrize(
    ("module", "network", "config", "parameters", "keys"),
    [
        (identity_iresnet, IResNet, IResNetConfig(), 43_590_848, 475),
        (identity_iresnet, IResNet, IResNetConfig((3, 13, 30, 3)), 65_156_160, 925),
        (identity_simswap, SimSwapIdentity, SimSwapIdentityConfig(), 52_193_215, 796),
        (identity_simswap, SimSwapIdentity, SimSwapIdentityConfig((2, 2, 2, 2)), 21_785_161, 221),
        # torchvision's resnet101 has 44,549,160 with its 1000 outputs of 2048 + 1 numbers.
        (
            identity_faceshifter,
            FaceShifterIdentity,
            FaceShifterIdentityConfig(),
            44_549_160 - 744 * 2049,
            626,
        ),
    ],
)
def test_published_networks_have_their_published_size(
    module: ModuleType, network: type[nn.Module], config: object, parameters: int, keys: int
) -> None:
    with torch.device("meta"):
        built = network(config)
    assert sum(p.numel() for p in built.parameters()) == parameters
    assert len(built.state_dict()) == keys


def test_colors_are_normalized_inside() -> None:
    pictures = crops()
    iresnet, simswap = loaded("iresnet"), loaded("simswap")
    assert isinstance(iresnet, IResNet)
    assert isinstance(simswap, SimSwapIdentity)
    gray = torch.full((1, 3, 8, 8), 0.5)
    seen: list[torch.Tensor] = []
    iresnet.stem.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    simswap.stem.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        iresnet(gray)
        simswap(gray)
        iresnet(pictures)
    assert float(seen[0].abs().max()) == 0
    wanted = (0.5 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(seen[1][0, :, 3, 3], wanted)
    torch.testing.assert_close(seen[2], pictures * 255 / 127.5 - 1)


@pytest.mark.parametrize("name", ["iresnet", "simswap"])
def test_crops_of_another_size_are_refused(name: str) -> None:
    with pytest.raises(ContractError, match=r"crops are \(3, 10, 10\), expected \(3, 8, 8\)"):
        loaded(name)(crops(size=10))


def test_simswap_s_crop_takes_every_second_pixel_at_224() -> None:
    picture = crops(1, 224)
    assert torch.equal(recognition_crop(picture), picture[:, :, ::2, ::2])


def test_faceshifter_s_source_is_shrunk_to_112() -> None:
    network = loaded("faceshifter")
    small = crops(1, 112)
    assert isinstance(network, FaceShifterIdentity)
    with torch.no_grad():
        expected = nn.functional.normalize(network.describe(small))
        torch.testing.assert_close(network(small), expected)
        # Each pixel four times: the mean of the four in the middle is the pixel itself.
        large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
        torch.testing.assert_close(network(large), expected)


def test_a_gate_weighs_whole_channels() -> None:
    gate, x = Gate(8, 4), crops(1, 8)[:, :1].expand(-1, 8, -1, -1) + 1
    with torch.no_grad():
        ratio = gate(x) / x
    assert float(ratio.min()) > 0
    assert float(ratio.max()) < 1
    torch.testing.assert_close(ratio, ratio[:, :, :1, :1].expand_as(ratio))


MISTAKEN: Mapping[str, tuple[ModuleType, official.Shapes]] = {
    "simswap's as insightface's": (identity_iresnet, SIMSWAP),
    "insightface's as simswap's": (identity_simswap, IRESNET),
    "a resnet-18 as faceshifter's": (identity_faceshifter, official.resnet((2,), (8,), False, 4)),
    "no head": (identity_faceshifter, official.resnet((2,), (8,), True)),
    "half a file": (identity_iresnet, official.without(IRESNET, ["fc.weight"])),
    "an odd head": (identity_iresnet, {**IRESNET, "fc.weight": (8, 100)}),
}


@pytest.mark.parametrize("case", MISTAKEN)
def test_another_network_s_file_is_refused(case: str) -> None:
    module, shapes = MISTAKEN[case]
    with pytest.raises(BundleError):
        module.rename(official.state(shapes))


@pytest.mark.parametrize(
    "make",
    [
        lambda: IResNetConfig(depths=(1, 2)),
        lambda: IResNetConfig(depths=(0, 2, 2, 2)),
        lambda: IResNetConfig(size=100),
        lambda: SimSwapIdentityConfig(squeeze=24),
        lambda: SimSwapIdentityConfig(size=2),
    ],
)
def test_impossible_settings_are_refused(make: object) -> None:
    assert callable(make)
    with pytest.raises(ConfigError):
        make()
