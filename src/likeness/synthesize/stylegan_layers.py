"""Convolutions whose weights a style modulates: StyleGAN2's, in three ways that agree.

Paper: Karras et al., Analyzing and Improving the Image Quality of StyleGAN (CVPR 2020), section 2:
w'_oik = s_i w_oik (eq. 1) and w''_oik = w'_oik / sqrt(sum_ik w'_oik^2 + 1e-8) (eq. 3).

`modulated_reference` is that definition, one grouped convolution with weights per sample. What runs
is `modulated`: as the modulation is linear it can as well scale what comes in and what goes out, so
all samples share one weight. For a single large picture it scales the weight, which is then smaller
than the features. All that only multiplies (demodulation, gain) is folded into that one scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.nets.equalized import EqualizedLinear
from likeness.synthesize.stylegan_filters import blur

SLOPE = 0.2
GAIN = math.sqrt(2.0)
"""Restores the variance that the leaky ReLU takes away."""

_EPSILON = 1e-8

Convolve = Callable[[Tensor, Tensor, "Tensor | None", int], Tensor]
"""(x, weight (O,I,k,k), bias (O,) or None, groups) to features: plain or up-sampling."""


def plain(x: Tensor, weight: Tensor, bias: Tensor | None = None, groups: int = 1) -> Tensor:
    """Convolve at the same size."""
    return functional.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=groups)


def doubling(x: Tensor, weight: Tensor, bias: Tensor | None = None, groups: int = 1) -> Tensor:
    """Convolve to twice the size: transposed, then blurred with gain 4.

    Transposing does the nine products per pixel that are needed and none with inserted zeros;
    merging the blur into the weight would need four times as many.
    """
    # A transposed convolution wants (I,O,k,k), per group.
    turned = weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1)
    spread = functional.conv_transpose2d(x, turned, stride=2, groups=groups)
    return blur(spread, 1, gain=4.0, bias=bias)


def _exact(x: Tensor) -> Tensor:
    """Return x in float32, or float64 if it has that."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def energy_of(weight: Tensor) -> Tensor:
    """Return (O,I), the sum of squares over a kernel: what demodulation needs of the weight."""
    return _exact(weight).square().sum((2, 3))


def demodulation(weight: Tensor, style: Tensor, energy: Tensor | None = None) -> Tensor:
    """Return (N,O) factors that give every output channel unit variance (eq. 3).

    The `energy_of` the weight may be given where the weight does not change.
    """
    energy = energy_of(weight) if energy is None else energy
    return torch.rsqrt(_exact(style).square() @ energy.T + _EPSILON)


def modulated_reference(
    x: Tensor,
    weight: Tensor,
    style: Tensor,
    *,
    convolve: Convolve = plain,
    demodulate: bool = True,
) -> Tensor:
    """Convolve each sample with its own weight, as the paper writes it.

    Args:
        x: (N,I,H,W).
        weight: (O,I,k,k).
        style: (N,I).
        convolve: `plain` or `doubling`.
        demodulate: divide every output channel by its expected deviation.

    Returns:
        (N,O,H,W) or, when doubling, (N,O,2H,2W).
    """
    n = len(x)
    own = weight * style[:, None, :, None, None]
    if demodulate:
        own = own * torch.rsqrt(own.square().sum((2, 3, 4), keepdim=True) + _EPSILON)
    answer = convolve(x.reshape(1, -1, *x.shape[2:]), own.flatten(0, 1), None, n)
    return answer.reshape(n, -1, *answer.shape[2:])


def modulated(
    x: Tensor,
    weight: Tensor,
    style: Tensor,
    bias: Tensor,
    *,
    convolve: Convolve = plain,
    demodulate: bool = True,
    gain: float = 1.0,
    energy: Tensor | None = None,
) -> Tensor:
    """Return gain * (modulated_reference(...) + bias), without a weight per sample.

    Styles and factors are computed in float32 whatever the features are.

    Args:
        bias: (O,); the rest as in `modulated_reference`.
        gain: one factor on the answer.
        energy: of the weight, if it is known.
    """
    style, bias = _exact(style), _exact(bias) * gain
    n, outside = len(style), len(weight)
    ones = style.new_ones(n, outside)
    factor = (demodulation(weight, style, energy) if demodulate else ones) * gain
    if n == 1 and weight.numel() < x.numel():
        scaled = _exact(weight) * style[0, :, None, None] * factor[0, :, None, None, None]
        return convolve(x, scaled.to(x.dtype), bias.to(x.dtype), 1)
    answer = convolve(x * style.to(x.dtype)[:, :, None, None], weight.to(x.dtype), None, 1)
    factor, bias = factor.to(x.dtype), bias.to(x.dtype)
    return torch.addcmul(bias[:, None, None], answer, factor[:, :, None, None])


class StyledConvolution(nn.Module):
    """Modulated 3x3 convolution, noise, bias, leaky ReLU: one layer of the synthesis network."""

    noise: Tensor

    def __init__(self, inside: int, outside: int, code: int, side: int, *, doubles: bool) -> None:
        super().__init__()
        self.style = EqualizedLinear(code, inside, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outside, inside, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outside))
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.randn(1, 1, side, side))
        self.doubles = doubles
        self.energy: Tensor | None = None

    def freeze(self) -> None:
        """Compute once what depends on the weight alone; it must not change any more."""
        self.energy = energy_of(self.weight)

    def forward(
        self, x: Tensor, style: Tensor, noise: Tensor | None, clamp: float | None
    ) -> Tensor:
        """Map (N,inside,h,w), styles (N,inside) and noise (N or 1,1,side,side) to features.

        Returns:
            (N,outside,side,side), bounded by `clamp` if it is given.
        """
        convolve = doubling if self.doubles else plain
        # max(x, 0.2 x) * g = max(g x, 0.2 g x): the gain can stand before the activation.
        answer = modulated(
            x, self.weight, style, self.bias, convolve=convolve, gain=GAIN, energy=self.energy
        )
        if noise is not None:
            answer = answer.add_((noise * (self.noise_strength * GAIN)).to(answer.dtype))
        answer = functional.leaky_relu(answer, SLOPE, inplace=True)
        return answer if clamp is None else answer.clamp(-clamp, clamp)


class ColorLayer(nn.Module):
    """Modulated 1x1 convolution to RGB, not demodulated."""

    def __init__(self, inside: int, code: int) -> None:
        super().__init__()
        self.style = EqualizedLinear(code, inside, bias=1.0)
        self.weight = nn.Parameter(torch.randn(3, inside, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.gain = 1 / math.sqrt(inside)

    def forward(self, x: Tensor, style: Tensor, clamp: float | None) -> Tensor:
        """Map (N,inside,h,w) and styles (N,inside) to float32 (N,3,h,w) around [-1,1]."""
        scaled = style * self.gain
        answer = _exact(modulated(x, self.weight, scaled, self.bias, demodulate=False))
        return answer if clamp is None else answer.clamp(-clamp, clamp)
