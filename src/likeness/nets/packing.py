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
    """A layer that computes in one dtype and answers in another, with the norm before it, if any.

    Where torch can, a convolution's weight is packed for the size of the first picture: the layer
    must be on its device by then. Pictures of other sizes get the same answers, perhaps slower.
    """

    def __init__(
        self,
        layer: nn.Module,
        dtype: torch.dtype,
        between: torch.dtype,
        norm: nn.BatchNorm2d | None = None,
    ) -> None:
        super().__init__()
        self.shift = None
        if norm is not None:
            # Norms stand before no other layers, and shifts know no other edges than zeros.
            assert isinstance(layer, nn.Conv2d) and layer.groups == 1  # noqa: S101, PT018
            assert layer.padding_mode == "zeros"  # noqa: S101
            self.shift = Shift(layer, norm)
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
        if self.shift is None:
            answer: Tensor = layer(x)
        elif isinstance(layer, Packed):
            answer = layer(x, self.shift(x))
        else:
            answer = layer(x) + self.shift(x)
        return answer.to(self.between)


class Shift(nn.Module):
    """What a norm, a x + t per channel, becomes in the convolution after it.

    Scales a go into the weight. Shifts t make a picture of their own, which is not the same
    everywhere: the edges are padded with zeros and not with t. As t is the same at all pixels, that
    picture is the convolution of a picture of ones by the sums over channels of weight times t.
    """

    taps: Tensor

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        assert norm.running_mean is not None and norm.running_var is not None  # noqa: S101, PT018
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        shift = norm.bias - norm.running_mean * scale
        taps = (conv.weight * shift[:, None, None]).sum(1, keepdim=True)
        self.register_buffer("taps", taps)
        self.bias, conv.bias = conv.bias, None
        conv.weight.mul_(scale[:, None, None])
        self.stride, self.padding, self.dilation = conv.stride, conv.padding, conv.dilation
        self.known: tuple[torch.Size, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return the picture for inputs like x, in their dtype; it is kept for the next of them."""
        known = self.known
        if known is None or known[0] != x.shape:
            ones = self.taps.new_ones(len(x), 1, *x.shape[2:])
            answer = functional.conv2d(
                ones, self.taps, self.bias, self.stride, self.padding, self.dilation
            )
            known = (x.shape, answer.to(x.dtype, memory_format=torch.channels_last))
            self.known = known
        return known[1]


class Packed(nn.Module):
    """A convolution whose weight lies as the processor's library wants it; it cannot be moved."""

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d, x: Tensor) -> None:
        super().__init__()
        ops = torch.ops.mkldnn
        self.bias = conv.bias
        self.edge = conv.padding_mode if conv.padding_mode != "zeros" else ""
        self.around = conv._reversed_padding_repeated_twice
        self.shape: tuple[object, ...]
        shape = (conv.stride, conv.dilation, conv.groups)
        if isinstance(conv, nn.ConvTranspose2d):
            self.shape = (conv.padding, conv.output_padding, *shape)
            self.convolve = ops._convolution_transpose_pointwise
            pack = ops._reorder_convolution_transpose_weight
        else:
            self.shape = ((0, 0) if self.edge else conv.padding, *shape)
            self.convolve = ops._convolution_pointwise
            pack = ops._reorder_convolution_weight
        size = self._padded(x).shape
        # No parameter: nothing may copy, convert or move what has no strides.
        self.weight = (pack(conv.weight, *self.shape, size),)

    def forward(self, x: Tensor, beside: Tensor | None = None) -> Tensor:
        """Map (N,A,h,w), dtype and order of the weight, to (N,B,h',w'), plus what is beside."""
        given = (self.weight[0], self.bias, *self.shape)
        if beside is None:
            answer: Tensor = self.convolve(self._padded(x), *given, "none", [], "")
        else:
            answer = self.convolve.binary(
                self._padded(x), beside, *given, "add", None, None, [], None
            )
        return answer

    def _padded(self, x: Tensor) -> Tensor:
        return functional.pad(x, self.around, mode=self.edge) if self.edge else x


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
