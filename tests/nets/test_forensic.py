"""The detector's network: residuals, zones of a face, any size, and what it is made of."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.errors import BundleError, ConfigError
from likeness.nets.forensic import (
    OVAL_STRIDE,
    STRIDE,
    ForensicConfig,
    ForensicNet,
    features_count,
    zones_of,
)
from likeness.networks import build
from likeness.types import Weights

SMALL = ForensicConfig(stem=4, widths=(4, 6, 8), head=6)


@pytest.fixture(scope="module")
def network() -> ForensicNet:
    torch.manual_seed(0)
    return ForensicNet(SMALL).eval().requires_grad_(False)


def picture(seed: int, height: int = 96, width: int = 96) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.5 + 0.1 * torch.randn(1, 3, height, width, generator=generator)


def oval(height: int = 96, width: int = 96) -> torch.Tensor:
    mask = torch.zeros(1, 1, height // OVAL_STRIDE, width // OVAL_STRIDE)
    mask[..., 6:18, 6:18] = 1
    return mask


def test_a_flat_picture_has_no_residual(network: ForensicNet) -> None:
    gray = network.residuals(torch.full((1, 3, 64, 64), 0.4))
    assert gray[:, 0] == pytest.approx(torch.full((1, 64, 64), -0.1), abs=1e-5)
    assert gray[:, 1:].abs().max() < 1e-5


def test_a_gray_pattern_leaves_residuals_in_luma_alone(network: ForensicNet) -> None:
    x = torch.full((1, 3, 64, 64), 0.5)
    x[..., ::2, :] += 0.02
    found = network.residuals(x)[0, 3:]
    # A line is 0.02 above its neighbors above and below: two thirds of that are its residual.
    assert float(found[0, 32, 32]) == pytest.approx(math.tanh(12 * 0.04 / 3), abs=1e-3)
    assert found[1:].abs().max() < 1e-4


@settings(max_examples=10, deadline=None)
@given(st.integers(8, 20), st.integers(8, 20))
def test_it_takes_any_size_that_its_stride_divides(rows: int, columns: int) -> None:
    torch.manual_seed(0)
    network = ForensicNet(SMALL).eval()
    height, width = rows * STRIDE, columns * STRIDE
    with torch.inference_mode():
        evidence, where = network(picture(1, height, width), oval(height, width))
    assert evidence.shape == (1,)
    assert where.shape == (1, 1, rows, columns)
    assert evidence.isfinite().all()


def test_zones_share_the_crop() -> None:
    zones = zones_of(oval())
    assert zones.shape == (1, 3, 12, 12)
    assert zones.sum(1) == pytest.approx(torch.ones(1, 12, 12))
    inside, ring, outside = zones[0]
    assert inside[6, 6] == 1
    assert ring[6, 6] == 0
    assert outside[0, 0] == 1
    assert inside[0, 0] == 0
    assert ring[2:10, 3].min() == 1
    nobody = zones_of(torch.zeros(1, 1, 24, 24))
    assert nobody[:, 2].min() == 1


def test_evidence_is_linear_in_the_features(network: ForensicNet) -> None:
    features, where = network.features(picture(2), oval())
    assert features.shape == (1, features_count(SMALL))
    evidence, again = network(picture(2), oval())
    assert evidence == pytest.approx(network.whole(features)[:, 0], abs=1e-6)
    assert again == pytest.approx(where, abs=1e-6)


def test_a_place_is_compared_with_the_whole_face(network: ForensicNet) -> None:
    """What is far off reaches a place through the means, so that a change can be seen at all."""
    plain = picture(3, 160, 160)
    mask = oval(160, 160)
    worn = plain.clone()
    worn[..., 60:100, 60:100] = 0.5
    before, after = (network(x, mask)[1] for x in (plain, worn))
    assert (before - after)[0, 0, 19, 19].abs() > 1e-6


def test_weights_are_small_and_checked() -> None:
    network = ForensicNet(ForensicConfig()).eval()
    tensors = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in network.state_dict().items()
    }
    assert not any(name.startswith("colors") for name in tensors)
    assert sum(tensor.numel() * 2 for tensor in tensors.values()) < 6 * 2**20
    built = build(Weights("forensic", {}, tensors), "forensic")
    evidence, where = built(picture(4), oval())
    assert evidence.dtype == torch.float32
    assert where.shape == (1, 1, 12, 12)
    with pytest.raises(BundleError):
        build(Weights("forensic", {}, {**tensors, "whole.bias": torch.zeros(2)}))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"stem": 0}, "channels are 0"), ({"widths": (3, 4)}, "three"), ({"dropout": 1.0}, "dropout")],
)
def test_settings_that_make_no_network_are_refused(wrong: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ForensicConfig(**wrong)
