"""Convolutions that run as fast as the processor can, for one picture at a time.

The library that convolves wants weights in an order of its own, and otherwise brings them into it
at every call, which takes up to a quarter of the time for a single picture. `Narrow` keeps them in
that order from its first picture on, and answers what the layer does that it is made of.
"""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional


class Narrow(nn.Module):
    """A layer that computes in one dtype and answers in another.

    Where torch can, a convolution's weight is packed for the size of the first picture: the layer
    must be on its device by then. Pictures of other sizes get the same answers, perhaps slower.
    """

    def __init__(self, layer: nn.Module, dtype: torch.dtype, between: torch.dtype) -> None:
        super().__init__()
        self.layer = layer.to(dtype)
        self.dtype = dtype
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        """Map x, of any dtype, as the layer does."""
        order = torch.channels_last if x.ndim == 4 else torch.preserve_format
        x = x.to(self.dtype, memory_format=order)
        layer = self.layer
        if can_pack(layer):
            # Two threads may both do this once; either answer is right.
            layer = self.layer = Packed(layer, x)
        answer: Tensor = layer(x)
        return answer.to(self.between)


class Packed(nn.Module):
    """A convolution whose weight lies as the processor's library wants it; it cannot be moved."""

    def __init__(
        self, conv: nn.Conv2d | nn.ConvTranspose2d, x: Tensor, *, silu: bool = False
    ) -> None:
        """Pack it for pictures like x; with `silu`, that follows without another way to memory."""
        super().__init__()
        ops = torch.ops.mkldnn
        self.then = "swish" if silu else "none"
        self.bias = conv.bias
        self.edge = conv.padding_mode if conv.padding_mode != "zeros" else ""
        self.around = conv._reversed_padding_repeated_twice
        self.shape: tuple[object, ...]
        shape = (conv.stride, conv.dilation, conv.groups)
        if isinstance(conv, nn.ConvTranspose2d):
            self.shape = (conv.padding, conv.output_padding, *shape)
            self.convolve = ops._convolution_transpose_pointwise.default
            pack = ops._reorder_convolution_transpose_weight
        else:
            self.shape = ((0, 0) if self.edge else conv.padding, *shape)
            self.convolve = ops._convolution_pointwise.default
            pack = ops._reorder_convolution_weight
        size = self._padded(x).shape
        # No parameter: nothing may copy, convert or move what has no strides.
        self.weight = (pack(conv.weight, *self.shape, size),)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,A,h,w), dtype and order of the weight, to (N,B,h',w')."""
        answer: Tensor = self.convolve(
            self._padded(x), self.weight[0], self.bias, *self.shape, self.then, [], ""
        )
        return answer

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """Add another answer to that for x, where nothing follows; not transposed."""
        convolve = torch.ops.mkldnn._convolution_pointwise.binary
        answer: Tensor = convolve(
            self._padded(x), other, self.weight[0], self.bias, *self.shape, "add", 1.0, None, [], ""
        )
        return answer

    def _padded(self, x: Tensor) -> Tensor:
        return functional.pad(x, self.around, mode=self.edge) if self.edge else x


class Plain(nn.Module):
    """What `Packed` does, where weights cannot be packed."""

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d, *, silu: bool = False) -> None:
        super().__init__()
        self.conv, self.silu = conv, silu

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,A,h,w) to (N,B,h',w')."""
        answer: Tensor = self.conv(x)
        return functional.silu(answer, inplace=True) if self.silu else answer

    def plus(self, x: Tensor, other: Tensor) -> Tensor:
        """Add another answer to that for x."""
        answer: Tensor = self.conv(x) + other
        return answer


def packed(
    conv: nn.Conv2d | nn.ConvTranspose2d, x: Tensor, *, silu: bool = False
) -> Packed | Plain:
    """Make a convolution fast for pictures of the shape and dtype of x, and those alone."""
    return Packed(conv, x, silu=silu) if can_pack(conv) else Plain(conv, silu=silu)


def can_pack(layer: nn.Module) -> TypeGuard[nn.Conv2d | nn.ConvTranspose2d]:
    """Tell whether a layer is a convolution whose weight this processor's torch can pack now."""
    if not isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) or isinstance(layer.padding, str):
        return False
    here = layer.weight.device.type == "cpu" and torch.backends.mkldnn.is_available()
    # A compiler orders weights by itself, and cannot see into packed ones.
    if not here or torch.compiler.is_compiling():
        return False
    ops = torch.ops.mkldnn
    if not hasattr(ops, "_convolution_pointwise"):
        return False
    narrow = layer.weight.dtype is torch.bfloat16 and ops._is_mkldnn_bf16_supported()
    return narrow or layer.weight.dtype is torch.float32
