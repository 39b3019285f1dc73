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
from torch import nn
from torch.nn.utils import convert_conv2d_weight_memory_format
from torch.nn.utils.fusion import fuse_conv_bn_eval

from likeness.nets.packing import Narrow

Network = TypeVar("Network", bound=nn.Module)
Pairs = Mapping[type[nn.Module], tuple[tuple[str, str], ...]]
"""By class of module: names of its convolutions, each with the norm that follows immediately."""

_LONG = 4096
"""Inputs above which a fully connected layer only waits for its weights: half as many bytes."""


def folded(
    network: Network,
    pairs: Pairs,
    dtype: torch.dtype = torch.float32,
    between: torch.dtype = torch.float32,
    exact: tuple[str, ...] = (),
) -> Network:
    """Return a copy for inference that answers the same up to rounding.

    The copy can neither be trained nor loaded into.

    Args:
        network: of float32 weights.
        pairs: which norms can be merged.
        dtype: of the convolutions.
        between: of norms and activations; fully connected layers stay float32 except for long
            ones in copies that are narrow throughout.
        exact: names of modules whose convolutions stay float32: the last ones of a network, whose
            rounding goes straight into the picture.
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
    for path, module in list(copy.named_modules()) if dtype is not torch.float32 else ():
        inside = torch.float32 if path in exact else dtype
        for name, child in module.named_children():
            if isinstance(child, nn.Conv2d | nn.ConvTranspose2d):
                setattr(module, name, Narrow(child, inside, between))
            elif isinstance(child, nn.Linear) and between is dtype and child.in_features > _LONG:
                setattr(module, name, Narrow(child, dtype, torch.float32))
            elif isinstance(child, nn.PReLU) and child.num_parameters == 1:
                setattr(module, name, nn.LeakyReLU(float(child.weight)))
            elif isinstance(child, nn.BatchNorm2d | nn.PReLU):
                child.to(between)
    return copy
