"""FaceShifter's AEI-Net: official layout, the attention between identity and attributes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from likeness.errors import BundleError, ConfigError, ContractError
from likeness.nets.checkpoints import shapes_of
from likeness.synthesize import faceshifter
from likeness.synthesize.faceshifter import AAD, AEIConfig, AEINet
from tests.nets import official

ENCODER, GENERATOR = (4, 6, 8, 8), (10, 10, 8, 6, 4)
SMALL = AEIConfig(ENCODER, GENERATOR, code=5)
OFFICIAL = official.faceshifter(ENCODER, GENERATOR, code=5)


@pytest.fixture(scope="module")
def network() -> AEINet:
    built = AEINet(SMALL)
    built.load_state_dict(faceshifter.rename(official.state(OFFICIAL)), strict=True)
    return built.eval()


def given_pair(count: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    rgb = torch.rand(count, 3, 32, 32, generator=generator)
    return rgb, functional.normalize(torch.randn(count, 5, generator=generator))


def test_widths_are_read_from_an_official_file_and_every_tensor_is_used() -> None:
    assert faceshifter.infer(OFFICIAL) == SMALL
    renamed = faceshifter.rename(official.state(OFFICIAL))
    assert shapes_of(renamed) == shapes_of(AEINet(SMALL).state_dict())


def test_the_published_network_has_its_published_size() -> None:
    with torch.device("meta"):
        built = AEINet(AEIConfig())
    assert sum(p.numel() for p in built.parameters()) == 439_313_606
    assert len(built.state_dict()) == 450
    assert built.config.size == 256
    assert built.config.attributes == (1024, 2048, 1024, 512, 256, 128, 64, 64)


def test_attributes_come_at_every_resolution_and_a_face_from_them(network: AEINet) -> None:
    rgb, code = given_pair()
    with torch.no_grad():
        maps = network.attributes(rgb)
        answer = network(rgb, code)
        torch.testing.assert_close(answer, network.generate(maps, code))
        alone = torch.cat([network(rgb[i : i + 1], code[i : i + 1]) for i in range(2)])
    assert [tuple(m.shape[1:]) for m in maps] == [
        (width, 2 << level, 2 << level) for level, width in enumerate(SMALL.attributes)
    ]
    assert answer.shape == rgb.shape
    assert 0 < float(answer.min()) < float(answer.max()) < 1
    torch.testing.assert_close(answer, alone, atol=1e-6, rtol=0)


def test_source_and_target_both_speak(network: AEINet) -> None:
    rgb, code = given_pair()
    with torch.no_grad():
        answer = network(rgb, code)
        assert float((answer - network(rgb, code.flip(0))).abs().mean()) > 1e-3
        assert float((answer - network(rgb.flip(0), code)).abs().mean()) > 1e-3


@pytest.mark.parametrize("side", ["identity", "attribute"])
def test_the_mask_says_which_of_them_speaks(side: str) -> None:
    generator = torch.Generator().manual_seed(1)
    layer = AAD(4, 4, 3, 5).eval()
    with torch.no_grad():
        layer.mask.weight.zero_()
        layer.mask.bias.fill_(40.0 if side == "identity" else -40.0)
        h = torch.randn(1, 4, 6, 6, generator=generator)
        maps = torch.randn(2, 3, 6, 6, generator=generator)
        codes = torch.randn(2, 5, generator=generator)
        here = layer(h, maps[:1], codes[:1])
        other_map, other_code = layer(h, maps[1:], codes[:1]), layer(h, maps[:1], codes[1:])
    same, changed = (other_map, other_code) if side == "identity" else (other_code, other_map)
    torch.testing.assert_close(same, here, atol=1e-6, rtol=0)
    assert float((changed - here).abs().max()) > 1e-2


def test_half_a_mask_is_the_mean_of_both() -> None:
    layer = AAD(4, 4, 3, 5).eval()
    generator = torch.Generator().manual_seed(1)
    h, z = torch.randn(1, 4, 6, 6, generator=generator), torch.randn(1, 3, 6, 6)
    code = torch.randn(1, 5, generator=generator)
    with torch.no_grad():
        layer.mask.weight.zero_()
        layer.mask.bias.zero_()
        normal = layer.norm(h)
        attributes = layer.attribute_scale(z) * normal + layer.attribute_shift(z)
        scale, shift = layer.identity_scale(code), layer.identity_shift(code)
        identity = scale[..., None, None] * normal + shift[..., None, None]
        expected = layer.conv(functional.relu((attributes + identity) / 2))
        torch.testing.assert_close(layer(h, z, code), expected)


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    trained = AEINet(SMALL)
    rgb, code = given_pair(4)
    (trained(rgb, code) - rgb).square().mean().backward()
    still = [key for key, p in trained.named_parameters() if p.grad is None or not p.grad.any()]
    # A bias before batch norm cannot change anything.
    assert not [key for key in still if not key.endswith("conv.bias") and key != "seed.bias"]


def test_what_does_not_fit_is_refused(network: AEINet) -> None:
    rgb, code = given_pair()
    with pytest.raises(ContractError, match=r"crops are \(3, 16, 32\), expected \(3, 32, 32\)"):
        network(rgb[:, :, :16], code)
    with pytest.raises(ContractError, match=r"codes are \(1, 5\), expected \(2, 5\)"):
        network(rgb, code[:1])
    with pytest.raises(ConfigError, match="one block more"):
        AEIConfig(encoder=(4, 8), generator=(8, 8))


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        {key: shape for key, shape in OFFICIAL.items() if key.startswith("G.")},
        official.simswap((4, 8, 12, 16), 1, 2, 6),
        OFFICIAL | {"D.layer.0.weight": (1, 2, 3, 3)},
    ],
    ids=["nothing", "half of it", "another network", "with a discriminator"],
)
def test_another_network_s_file_is_refused(shapes: official.Shapes) -> None:
    with pytest.raises(BundleError):
        faceshifter.rename(official.state(shapes))
