"""Patch discriminators: size, patches, condition, and that they learn."""

import pytest
import torch

from likeness.errors import ConfigError, ContractError
from likeness.synthesize.discriminators import LIGHT, PAPER, PatchConfig, PatchDiscriminator
from likeness.training.losses import discriminator_hinge


def test_the_papers_has_the_published_size_and_patches():
    with torch.device("meta"):
        network = PatchDiscriminator(PAPER)
        logits = network(torch.empty(1, 3, 256, 256), torch.empty(1, 99, 256, 256))
    assert logits.shape == (1, 1, 30, 30)
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(2.867, abs=0.0005)


def test_a_patch_sees_70_pixels():
    network = PatchDiscriminator(PatchConfig(channels=0, width=4, norm="none"))
    image = torch.rand(1, 3, 256, 256, requires_grad=True)
    network(image)[0, 0, 15, 15].backward()
    assert image.grad is not None
    touched = image.grad.abs().sum(dim=(0, 1)) > 0
    assert touched.any(dim=0).sum() == touched.any(dim=1).sum() == 70


def test_the_light_one_is_small_and_needs_no_condition():
    network = PatchDiscriminator(LIGHT)
    features = network.features(torch.rand(2, 3, 64, 64))
    assert [f.shape[1] for f in features] == [32, 64, 128, 1]
    assert features[-1].shape[-2:] == (6, 6)
    assert sum(p.numel() for p in network.parameters()) < 0.2e6


def test_spectral_norm_bounds_every_layer():
    torch.manual_seed(0)
    network = PatchDiscriminator(LIGHT)
    for _ in range(30):
        network(torch.rand(1, 3, 32, 32))
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            largest = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)
            assert float(largest) == pytest.approx(1, abs=0.02)


def test_the_condition_is_heard():
    torch.manual_seed(0)
    network = PatchDiscriminator(PatchConfig(channels=4, width=8)).eval()
    image = torch.rand(1, 3, 64, 64)
    one, other = network(image, torch.zeros(1, 4, 64, 64)), network(image, torch.ones(1, 4, 64, 64))
    assert float((one - other).abs().max().detach()) > 1e-6
    with pytest.raises(ContractError, match="0 channels, expected 4"):
        network(image)
    with pytest.raises(ContractError, match="3 channels, expected 0"):
        PatchDiscriminator(LIGHT)(image, image)


def test_it_learns_to_tell_sharp_from_blurred():
    torch.manual_seed(0)
    network = PatchDiscriminator(PatchConfig(channels=0, width=8, halvings=2, norm="spectral"))
    optimizer = torch.optim.Adam(network.parameters(), 5e-3, betas=(0.5, 0.99))
    for _ in range(60):
        sharp = torch.rand(4, 3, 32, 32)
        blurred = torch.nn.functional.avg_pool2d(sharp, 3, 1, 1)
        error = discriminator_hinge(network(sharp), network(blurred))
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    sharp = torch.rand(8, 3, 32, 32)
    gap = network(sharp).mean() - network(torch.nn.functional.avg_pool2d(sharp, 3, 1, 1)).mean()
    assert float(gap.detach()) > 0.5
    assert float(error.detach()) < 1.5


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="halvings 0"):
        PatchConfig(halvings=0)
