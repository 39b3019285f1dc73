"""What pictures are made of: doublings that smooth and doublings that do not."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from likeness.synthesize.picture_layers import Decoder, Unfold, Up


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


def test_decoders_draw_pictures_either_way() -> None:
    torch.manual_seed(0)
    told = torch.randn(2, 6)
    for unfolds in (False, True):
        network = Decoder(6, (8, 8, 16), 3, unfolds=unfolds)
        drawn = network(told)
        assert drawn.shape == (2, 3, 32, 32)
        drawn.square().mean().backward()
        grads = [p.grad for p in network.parameters()]
        assert all(grad is not None and float(grad.abs().max()) > 0 for grad in grads)
