"""Copies of networks for inference: batch norms merged into convolutions, convolutions in bfloat16.

Convolutions take nearly all the time, and processors with bfloat16 arithmetic run them about twice
as fast. What lies between them stays float32 in networks that answer pictures, where each rounded
sum and norm would show, and is narrow too in recognizers, whose codes hardly change.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)
Pairs = Mapping[type[nn.Module], tuple[tuple[str, str], ...]]
"""By class of module: names of its convolutions, each with the norm that follows immediately."""


class Narrow(nn.Module):
    """A convolution that computes in one dtype and answers in another."""

    def __init__(self, conv: nn.Module, dtype: torch.dtype, between: torch.dtype) -> None:
        super().__init__()
        self.conv = conv.to(dtype)
        self.dtype = dtype
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        """Map x, of any dtype, as the convolution does."""
        answer: Tensor = self.conv(x.to(self.dtype))
        return answer.to(self.between)


def folded(
    network: Network,
    pairs: Pairs,
    dtype: torch.dtype = torch.float32,
    between: torch.dtype = torch.float32,
) -> Network:
    """Return a copy for inference that answers the same up to rounding.

    The copy can neither be trained nor loaded into.

    Args:
        network: of float32 weights.
        pairs: which norms can be merged.
        dtype: of the convolutions.
        between: of norms and activations; fully connected layers stay float32.
    """
    copy = deepcopy(network).eval().requires_grad_(False)
    for module in copy.modules():
        for conv, norm in pairs.get(type(module), ()):
            merged = fuse_conv_bn_eval(
                getattr(module, conv),
                getattr(module, norm),
                isinstance(getattr(module, conv), nn.ConvTranspose2d),
            )
            setattr(module, conv, merged)
            setattr(module, norm, nn.Identity())
    convert_conv2d_weight_memory_format(copy, torch.channels_last)
    for module in list(copy.modules()) if dtype is not torch.float32 else ():
        for name, child in module.named_children():
            if isinstance(child, nn.Conv2d | nn.ConvTranspose2d):
                setattr(module, name, Narrow(child, dtype, between))
            elif isinstance(child, nn.BatchNorm2d | nn.PReLU):
                child.to(between)
    return copy
