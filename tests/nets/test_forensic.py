"""The detector's network: a fixed bank, zones of a face, and what they leave out."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from likeness.errors import BundleError, ConfigError
from likeness.nets.forensic import (
    CHANNELS,
    MAP,
    PAIRS,
    SIDE,
    ZONES,
    ForensicConfig,
    ForensicNet,
    features_count,
)
from likeness.networks import build
from likeness.types import Weights


@pytest.fixture(scope="module")
def network() -> ForensicNet:
    return ForensicNet(ForensicConfig()).eval()


def noise(seed: int, deviation: float = 0.1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.5 + deviation * torch.randn(1, 3, SIDE, SIDE, generator=generator)


def test_filters_are_orthonormal_and_blind_to_flat_places(network: ForensicNet) -> None:
    bank = network.bank.reshape(8, 9)
    assert bank @ bank.T == pytest.approx(np.eye(8), abs=1e-6)
    assert bank.sum(1) == pytest.approx(np.zeros(8), abs=1e-6)
    flat = network.cells(torch.full((1, 3, SIDE, SIDE), 0.4))
    assert flat == pytest.approx(np.full(flat.shape, np.log(5e-4)), abs=1e-2)


def test_zones_are_weights_of_cells(network: ForensicNet) -> None:
    assert network.zones.shape == (len(ZONES), MAP, MAP)
    assert network.zones.sum((1, 2)) == pytest.approx(np.ones(len(ZONES)), abs=1e-5)
    mouth, eyes = (network.zones[ZONES.index(name)] > 0 for name in ("mouth", "eyes"))
    assert not (mouth & eyes).any()
    assert {name for pair in PAIRS for name in pair} <= set(ZONES)


@given(st.floats(0.5, 2.0))
def test_what_all_zones_share_is_left_out(gain: float) -> None:
    network = ForensicNet(ForensicConfig(faint=1e-9)).eval()
    picture = noise(1)
    same, louder = (network(x)[0] for x in (picture, 0.5 + gain * (picture - 0.5)))
    assert louder == pytest.approx(same.detach(), abs=1e-3)


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_a_mouth_of_another_grain_sets_its_zone_apart(network: ForensicNet, factor: float) -> None:
    plain = noise(2, 0.04)
    made = plain.clone()
    rows, columns = slice(96, 125), slice(54, 106)
    made[..., rows, columns] = 0.5 + factor * (plain[..., rows, columns] - 0.5)
    before, after = (network(x)[0].reshape(-1, CHANNELS) for x in (plain, made))
    off = after[ZONES.index("mouth"), 0] - before[ZONES.index("mouth"), 0]
    assert float(off) * np.sign(np.log(factor)) > 0.3
    pair = 2 * len(ZONES) + PAIRS.index(("mouth", "nose"))
    assert float(after[pair, 0] - before[pair, 0]) > 0.3
    around = [network.around(network.cells(x))[0, CHANNELS] for x in (plain, made)]
    changed = (around[1] - around[0]).abs()
    assert changed[10:12, 6:10].min() > 0.3
    assert changed[:8].max() < 0.05


def test_weights_are_small_and_checked(network: ForensicNet) -> None:
    tensors = {name: tensor.half() for name, tensor in network.state_dict().items()}
    assert set(tensors) == {"whole.weight", "whole.bias", "place.weight", "place.bias"}
    assert sum(tensor.numel() * 2 for tensor in tensors.values()) < 6 * 2**20
    built = build(Weights("forensic", {"faint": 5e-4}, tensors), "forensic")
    features, evidence, where = built(noise(3))
    assert features.shape == (1, features_count())
    assert evidence.shape == (1,)
    assert where.shape == (1, 1, MAP, MAP)
    with pytest.raises(BundleError):
        build(Weights("forensic", {}, {**tensors, "whole.bias": torch.zeros(2)}))
    with pytest.raises(ConfigError, match="faint is 0"):
        ForensicConfig(faint=0)
