"""Shared layers: color spaces undo each other, and the other resizing keeps corners."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from likeness.nets.layers import ConvNorm, imagenet_from_rgb, rgb_from_imagenet, stretch


@given(seed=st.integers(0, 999), height=st.integers(1, 9))
def test_imagenet_s_normalization_is_undone(seed: int, height: int) -> None:
    rgb = torch.rand(2, 3, height, 4, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(rgb_from_imagenet(imagenet_from_rgb(rgb)), rgb, atol=1e-6, rtol=0)


def test_imagenet_s_mean_color_becomes_zero() -> None:
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    torch.testing.assert_close(imagenet_from_rgb(mean), torch.zeros(1, 3, 1, 1))
    white = imagenet_from_rgb(torch.ones(1, 3, 1, 1)).flatten()
    torch.testing.assert_close(white, torch.tensor([2.2489, 2.4286, 2.64]), atol=1e-4, rtol=0)


def test_stretching_keeps_corner_pixels_and_steps_evenly() -> None:
    ramp = torch.tensor([0.0, 1.0]).expand(1, 1, 2, 2)
    answer = stretch(ramp, (3, 5))
    torch.testing.assert_close(answer[0, 0], torch.linspace(0, 1, 5).expand(3, 5))


@pytest.mark.parametrize(("kernel", "stride", "side"), [(3, 1, 7), (3, 2, 4), (1, 2, 4), (7, 2, 4)])
def test_convolutions_keep_the_size_up_to_their_stride(kernel: int, stride: int, side: int) -> None:
    layer = ConvNorm(2, 5, kernel, stride)
    assert layer(torch.zeros(3, 2, 7, 7)).shape == (3, 5, side, side)
    assert layer.conv.bias is None
