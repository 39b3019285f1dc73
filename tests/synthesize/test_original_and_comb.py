"""The first autoencoder and the comb: published sizes, growth, what is shared."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from likeness.errors import ConfigError, ContractError
from likeness.networks import NETWORKS
from likeness.synthesize.comb import Comb, CombConfig
from likeness.synthesize.original import Original, OriginalConfig


def count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def test_the_published_sizes() -> None:
    with torch.device("meta"):
        original, comb = Original(), Comb(CombConfig(1024))
    assert count(original.encoder) == 69_662_976
    assert count(original.decoder_source.picture) == 6_199_747
    # The proof of concept has 32 channels inside the encoder's level of 256 pixels, we have 64.
    irregular = (64 * 64 + 64 * 128) * 9 + 64 - (64 * 32 + 32 * 128) * 9 - 32
    assert count(comb.encoder) - irregular == 23_026_800
    mask = sum(comb.config.channels(level) + 1 for level in range(9))
    assert count(comb.decoders[0]) - mask == 23_079_115


@pytest.mark.parametrize(
    "network",
    [Original(OriginalConfig(32, 4, 8, 2)), Comb(CombConfig(32, 3, 32))],
    ids=["original", "comb"],
)
def test_each_person_has_a_decoder_and_all_share_the_encoder(network: Original | Comb) -> None:
    torch.manual_seed(0)
    picture = torch.rand(2, 3, 32, 32)
    code = network.encode(picture)
    source, target = network.draw(code, 0), network.draw(code, 1)
    assert source.rgb.shape == (2, 3, 32, 32)
    assert source.mask.shape == (2, 1, 32, 32)
    assert 0 <= float(source.rgb.min()) <= float(source.rgb.max()) <= 1
    torch.testing.assert_close(network(picture), source)
    torch.testing.assert_close(network.reconstruct_target(picture), target)
    assert not torch.equal(source.rgb, target.rgb)
    network.draw(code, 1).rgb.mean().backward()
    moved = {name for name, weight in network.named_parameters() if weight.grad is not None}
    own = "decoder_target" if isinstance(network, Original) else "decoders.1"
    others = ("decoder_source",) if isinstance(network, Original) else ("decoders.0", "decoders.2")
    assert any(name.startswith("encoder") for name in moved)
    assert any(name.startswith(own) for name in moved)
    assert not any(name.startswith(others) for name in moved)
    network.zero_grad()
    with pytest.raises(ContractError, match=r"expected \(N, 3, 32, 32\)"):
        network(torch.zeros(1, 3, 64, 64))


def test_a_new_level_is_blended_in() -> None:
    torch.manual_seed(0)
    network = Comb(CombConfig(64, 2, 32)).eval()
    picture = torch.rand(1, 3, 32, 32)
    small = torch.nn.functional.avg_pool2d(picture, 2)
    with torch.no_grad():
        network.grow(2)
        below, code = network(small).rgb, network.encode(small)
        network.grow(3, 0.0)
        torch.testing.assert_close(network.encode(picture), code)
        begun = network(picture).rgb
        network.grow(3, 1.0)
        whole = network(picture).rgb
        network.grow(3, 0.25)
        mixed = network.draw(network.encode(picture), 0).rgb
    torch.testing.assert_close(begun, torch.nn.functional.interpolate(below, scale_factor=2))
    assert network.size == 32
    # Both ways are blended: the answer lies between, and is neither.
    assert float((mixed - begun).abs().mean()) > 0
    assert float((mixed - begun).abs().mean()) < float((whole - begun).abs().mean())
    with pytest.raises(ContractError, match="level 5, expected 0 to 4"):
        network.grow(5)


@pytest.mark.parametrize(("size", "top"), [(8, 1), (256, 6), (1024, 8)])
def test_levels(size: int, top: int) -> None:
    assert CombConfig(size).top == top
    with torch.device("meta"):
        face = Comb(CombConfig(size))(torch.empty(1, 3, size, size))
    assert face.rgb.shape == (1, 3, size, size)


def test_folded_answers_the_same() -> None:
    torch.manual_seed(0)
    for network in (Original(OriginalConfig(32, 8, 16, 2)), Comb(CombConfig(32, 2, 32))):
        picture = torch.rand(2, 3, 32, 32)
        with torch.no_grad():
            exact = network(picture)
            torch.testing.assert_close(network.folded()(picture), exact, atol=1e-5, rtol=0)
            narrow = network.folded(torch.bfloat16)(picture)
        assert float((narrow.rgb - exact.rgb).abs().mean()) < 2 / 255


def test_settings_are_checked_and_bundles_know_them() -> None:
    with pytest.raises(ConfigError, match="multiple of 16"):
        OriginalConfig(40)
    with pytest.raises(ConfigError, match="even width"):
        OriginalConfig(width=7)
    with pytest.raises(ConfigError, match="power of two"):
        CombConfig(96)
    with pytest.raises(ConfigError, match="2 or more people"):
        CombConfig(people=1)
    assert NETWORKS["comb"] == (Comb, CombConfig)
    assert NETWORKS["original"] == (Original, OriginalConfig)
