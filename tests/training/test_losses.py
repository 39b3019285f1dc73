"""Losses against values worked out by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.errors import ContractError
from likeness.training import losses


def test_l1_counts_weighted_pixels_only():
    real = torch.zeros(1, 3, 2, 2)
    result = torch.zeros(1, 3, 2, 2)
    result[..., 0, 0], result[..., 1, 1] = 0.4, 1.0
    assert losses.l1(result, real).item() == pytest.approx(0.35)
    mask = torch.tensor([[1.0, 1.0], [0.0, 0.0]]).view(1, 1, 2, 2)
    assert losses.l1(result, real, mask).item() == pytest.approx(0.2)
    assert losses.l1(result, real, torch.zeros(1, 1, 2, 2)).item() == 0


@settings(max_examples=20)
@given(st.floats(0.1, 9))
def test_scaling_the_weight_changes_nothing(factor):
    torch.manual_seed(1)
    a, b, w = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16), torch.rand(2, 1, 16, 16)
    for loss in (losses.l1, losses.charbonnier, losses.gradient, losses.laplacian_pyramid):
        assert loss(a, b, w).item() == pytest.approx(loss(a, b, w * factor).item(), rel=1e-4)


def test_charbonnier_lies_just_under_l1():
    a, b = torch.full((1, 3, 4, 4), 0.5), torch.zeros(1, 3, 4, 4)
    assert losses.charbonnier(a, b, epsilon=0.1).item() == pytest.approx(math.sqrt(0.26) - 0.1)
    assert losses.charbonnier(a, a).item() == 0


def test_gradient_of_a_ramp_is_its_slope():
    ramp = torch.arange(8.0).view(1, 1, 1, 8).expand(1, 3, 8, 8) / 8
    zero = torch.zeros_like(ramp)
    assert losses.gradient(ramp, zero).item() == pytest.approx(1 / 8)
    assert losses.gradient(ramp + 0.3, ramp).item() == pytest.approx(0, abs=1e-6)
    assert losses.gradient(ramp, zero, torch.ones(1, 1, 8, 8)).item() == pytest.approx(1 / 8)


def test_laplacian_ignores_brightness_and_sees_detail():
    torch.manual_seed(0)
    real = torch.rand(1, 3, 32, 32)
    assert losses.laplacian_pyramid(real + 0.25, real).item() == pytest.approx(0, abs=1e-6)
    board = torch.ones(1, 3, 32, 32)
    board[..., ::2, 1::2] = board[..., 1::2, ::2] = -1
    # The binomial filter removes a checkerboard wholly: all of it lies in the finest band.
    flat = torch.zeros_like(board)
    assert losses.laplacian_pyramid(board, flat, levels=1).item() == pytest.approx(1, abs=1e-5)
    assert losses.laplacian_pyramid(board, flat, levels=2).item() == pytest.approx(0.5, abs=1e-5)


def test_laplacian_weight_excludes_what_lies_far_away():
    real, result = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)
    result[..., 50:, 50:] = torch.rand(14, 14)
    weight = torch.zeros(1, 1, 64, 64)
    weight[..., :20, :20] = 1
    assert losses.laplacian_pyramid(result, real, weight).item() == 0
    with pytest.raises(ContractError, match="9 levels"):
        losses.laplacian_pyramid(real, real, levels=9)


def test_adversarial_losses_at_known_logits():
    zero, two = torch.zeros(2, 1, 3, 3), torch.full((2, 1, 3, 3), 2.0)
    assert losses.discriminator_log(zero, zero).item() == pytest.approx(math.log(2))
    assert losses.generator_log(zero).item() == pytest.approx(math.log(2))
    assert losses.generator_log(two).item() == pytest.approx(math.log(1 + math.exp(-2)))
    assert losses.discriminator_log(two, -two).item() == pytest.approx(math.log(1 + math.exp(-2)))
    assert losses.discriminator_hinge(zero, zero).item() == 2
    assert losses.discriminator_hinge(two, -two).item() == 0
    assert losses.discriminator_hinge(-two, two).item() == 6
    assert losses.generator_hinge(two).item() == -2


def test_generator_gradient_does_not_die_when_the_discriminator_wins():
    logits = torch.full((1,), -20.0, requires_grad=True)
    losses.generator_log(logits).backward()
    assert logits.grad is not None
    assert logits.grad.item() == pytest.approx(-1)


def test_feature_matching_is_a_mean_over_layers_and_leaves_the_real_side_alone():
    real = [torch.zeros(1, 2, 4, 4, requires_grad=True), torch.zeros(1, 4, 2, 2)]
    fake = [torch.full((1, 2, 4, 4), 0.5, requires_grad=True), torch.ones(1, 4, 2, 2)]
    loss = losses.feature_matching(real, fake)
    assert loss.item() == pytest.approx(0.75)
    loss.backward()
    assert real[0].grad is None
    assert fake[0].grad is not None
    with pytest.raises(ContractError, match="1 real and 2"):
        losses.feature_matching(real[:1], fake)


def test_half_precision_is_added_in_float32():
    ones = torch.ones(1, 3, 64, 64, dtype=torch.bfloat16)
    for loss in (losses.l1, losses.charbonnier, losses.gradient, losses.laplacian_pyramid):
        assert loss(ones, ones * 0).dtype == torch.float32
    assert losses.l1(ones, ones * 0).item() == 1
