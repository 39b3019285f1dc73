"""Copies of networks for inference: batch norms merged into convolutions, convolutions in bfloat16.

Convolutions take nearly all the time, and processors with bfloat16 arithmetic run them about twice
as fast. What lies between them stays float32 in networks that answer pictures, where each rounded
sum and norm would show, and is narrow too in recognizers, whose codes hardly change.

Weights are packed once. The library that convolves wants them in an order of its own and otherwise
brings them into it at every call, which takes a fifth of the time for a single picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TypeGuard, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import convert_conv2d_weight_memory_format
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)
Pairs = Mapping[type[nn.Module], tuple[tuple[str, str], ...]]
"""By class of module: names of its convolutions, each with the norm that follows immediately."""

_LONG = 4096
"""Inputs above which a fully connected layer only waits for its weights: half as many bytes."""


class Narrow(nn.Module):
    """A layer that computes in one dtype and answers in another."""

    def __init__(self, layer: nn.Module, dtype: torch.dtype, between: torch.dtype) -> None:
        super().__init__()
        layer = layer.to(dtype)
        self.layer = Packed(layer) if can_pack(layer) else layer
        self.dtype = dtype
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        """Map x, of any dtype, as the layer does."""
        order = torch.channels_last if x.ndim == 4 else torch.preserve_format
        answer: Tensor = self.layer(x.to(self.dtype, memory_format=order))
        return answer.to(self.between)


class Packed(nn.Module):
    """A convolution whose weight lies as the processor's library wants it; cannot be moved.

    Answers bit for bit what the convolution does.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.edge = conv.padding_mode if conv.padding_mode != "zeros" else ""
        self.around = conv._reversed_padding_repeated_twice
        padding = [0, 0] if self.edge else list(conv.padding)
        self.shape = (padding, list(conv.stride), list(conv.dilation), conv.groups)
        # No parameter: nothing may copy, convert or move what has no strides.
        self.weight = (
            torch._C._nn.mkldnn_reorder_conv2d_weight(
                conv.weight.detach().to_mkldnn(), *self.shape, None
            ),
        )
        self.bias = None if conv.bias is None else conv.bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,A,h,w) of the weight's dtype, channels last, to (N,B,h',w')."""
        if self.edge:
            x = functional.pad(x, self.around, mode=self.edge)
        answer: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self.weight[0], self.bias, *self.shape, "none", [], ""
        )
        return answer


def can_pack(conv: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Tell whether a module is a convolution whose weight this processor's torch can pack."""
    return (
        isinstance(conv, nn.Conv2d)
        and conv.weight.device.type == "cpu"
        and not isinstance(conv.padding, str)
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
        and (conv.weight.dtype is torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported())
    )


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
        between: of norms and activations; fully connected layers stay float32 except for long
            ones in copies that are narrow throughout.
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
            elif isinstance(child, nn.Linear) and between is dtype and child.in_features > _LONG:
                setattr(module, name, Narrow(child, dtype, torch.float32))
            elif isinstance(child, nn.BatchNorm2d | nn.PReLU):
                child.to(between)
    return copy
