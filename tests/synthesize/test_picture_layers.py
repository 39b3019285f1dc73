"""What pictures are made of: doublings that smooth and doublings that do not."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from likeness.synthesize.picture_layers import Decoder, UNet, Unfold, UnfoldBeside, Up


def fine_share(maps: Tensor) -> float:
    """Energy inside of blocks of 2x2 pixels, relative to that between them."""
    coarse = functional.avg_pool2d(maps, 2)
    fine = maps - functional.interpolate(coarse, scale_factor=2)
    apart = coarse - coarse.mean((2, 3), keepdim=True)
    return float(fine.square().mean() / apart.square().mean())


def test_unfolding_does_not_smooth() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 16, 8, 8)
    with torch.no_grad():
        resized, unfolded = Up(16, 8)(x), Unfold(16, 8)(x)
    assert resized.shape == unfolded.shape == (4, 8, 16, 16)
    assert fine_share(unfolded) > 2
    assert fine_share(resized) < 0.8


def test_what_lies_beside_is_seen() -> None:
    torch.manual_seed(0)
    layer = UnfoldBeside(8, 4)
    x, beside = torch.randn(2, 8, 4, 4), torch.randn(2, 4, 8, 8)
    with torch.no_grad():
        drawn = layer(x, beside)
        assert drawn.shape == (2, 4, 8, 8)
        assert float((layer(x, beside.flip(0)) - drawn).abs().mean()) > 0.05
        assert float((layer(x.flip(0), beside) - drawn).abs().mean()) > 0.05


def test_both_ways_back_draw_pictures() -> None:
    torch.manual_seed(0)
    x, told = torch.rand(2, 3, 32, 32), torch.randn(2, 6)
    for unfolds in (False, True):
        network = UNet(3, (8, 8, 16), 5, told=6, unfolds=unfolds)
        drawn = network(x, told)
        assert drawn.shape == (2, 5, 32, 32)
        drawn.square().mean().backward()
        grads = [p.grad for p in network.parameters()]
        assert all(grad is not None and float(grad.abs().max()) > 0 for grad in grads)
    assert Decoder(6, (8, 8, 16), 3)(told).shape == (2, 3, 32, 32)
