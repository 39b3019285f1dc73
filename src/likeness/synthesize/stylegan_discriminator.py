"""StyleGAN2's discriminator: is a picture real, and does its batch vary as real ones do?

Paper: Karras et al., StyleGAN2 (CVPR 2020), section 4.1 (residual discriminator) and Progressive
Growing of GANs (ICLR 2018), section 3 (deviation over the batch).
Input: rgb (N,3,S,S) in [0,1]. Output: logits (N,1), positive for real.
At 1024 pixels: 29.01 M parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import ConfigError
from likeness.nets.equalized import EqualizedLinear
from likeness.synthesize.stylegan_filters import blur
from likeness.synthesize.stylegan_layers import GAIN, SLOPE
from likeness.types import check

_EPSILON = 1e-8


@dataclass(frozen=True, slots=True)
class StyleganDiscriminatorConfig:
    """Shape of a discriminator."""

    widths: tuple[int, ...] = (512, 512, 512, 512, 512, 256, 128, 64, 32)
    """Channels at 4, 8, ... pixels; their number sets the size. See `stylegan.channels`."""
    group: int = 4
    """Pictures whose deviation is compared; a batch smaller than this is one group."""
    clamp: float | None = None
    """Bound on features; StyleGAN2-ADA's networks have 256, for float16."""

    def __post_init__(self) -> None:
        if not self.widths or min(*self.widths, self.group) < 1:
            raise ConfigError(
                f"widths {self.widths}, group {self.group}: expected at least one width, and "
                "numbers of 1 or more"
            )

    @property
    def size(self) -> int:
        """Side of the picture in pixels."""
        return 2 << len(self.widths)


class EqualizedConvolution(nn.Module):
    """y = W x / sqrt(inputs), with bias and leaky ReLU where it has a bias; halves if asked."""

    def __init__(
        self, inside: int, outside: int, side: int, *, halves: bool = False, active: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outside, inside, side, side))
        self.bias = nn.Parameter(torch.zeros(outside)) if active else None
        self.gain = 1 / math.sqrt(inside * side * side)
        self.halves, self.side = halves, side

    def forward(self, x: Tensor, clamp: float | None = None) -> Tensor:
        """Map (N,inside,h,w) to (N,outside,h,w), or half of it."""
        weight = self.weight * self.gain
        if self.halves and self.side == 1:
            x = functional.conv2d(blur(x, 1, stride=2), weight)
        elif self.halves:
            x = functional.conv2d(blur(x, self.side // 2 + 1), weight, stride=2)
        else:
            x = functional.conv2d(x, weight, padding=self.side // 2)
        if self.bias is None:
            return x
        x = functional.leaky_relu(x + self.bias[:, None, None], SLOPE) * GAIN
        return x if clamp is None else x.clamp(-clamp, clamp)


class HalvingBlock(nn.Module):
    """(conv(conv(x)) + skip(x)) / sqrt(2), at half the size."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv = EqualizedConvolution(inside, inside, 3)
        self.down = EqualizedConvolution(inside, outside, 3, halves=True)
        self.skip = EqualizedConvolution(inside, outside, 1, halves=True, active=False)

    def forward(self, x: Tensor, clamp: float | None) -> Tensor:
        """Map (N,inside,h,w) to (N,outside,h/2,w/2)."""
        answer: Tensor = (self.down(self.conv(x, clamp), clamp) + self.skip(x)) / math.sqrt(2)
        return answer


class StyleganDiscriminator(nn.Module):
    """The network; see the head of this file."""

    def __init__(self, config: StyleganDiscriminatorConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or StyleganDiscriminatorConfig()
        widths = config.widths[::-1]
        self.color = EqualizedConvolution(3, widths[0], 1)
        self.blocks = nn.ModuleList(
            HalvingBlock(inside, outside) for inside, outside in pairwise(widths)
        )
        self.conv = EqualizedConvolution(widths[-1] + 1, widths[-1], 3)
        self.hidden = EqualizedLinear(widths[-1] * 16, widths[-1])
        self.out = EqualizedLinear(widths[-1], 1)

    def forward(self, rgb: Tensor) -> Tensor:
        """Judge N pictures; see the head of this file.

        Raises:
            ContractError: the pictures have another size, or N is no multiple of the group.
        """
        side, clamp = self.config.size, self.config.clamp
        check(
            tuple(rgb.shape[1:]) == (3, side, side),
            f"pictures have shape {tuple(rgb.shape)}, expected (N, 3, {side}, {side})",
        )
        x = self.color(rgb * 2 - 1, clamp)
        for block in self.blocks:
            x = block(x, clamp)
        x = self.conv(torch.cat([x, batch_deviation(x, self.config.group)], 1), clamp)
        x = functional.leaky_relu(self.hidden(x.flatten(1)), SLOPE) * GAIN
        answer: Tensor = self.out(x)
        return answer


def batch_deviation(x: Tensor, group: int) -> Tensor:
    """Return (N,1,h,w): how much features vary in groups of pictures, one number per group.

    Karras 2018, section 3. Picture i belongs to group i mod (N / group), as in published networks.
    """
    n, _, h, w = x.shape
    group = min(group, n)
    check(n % group == 0, f"{n} pictures do not divide into groups of {group}")
    grouped = x.reshape(group, n // group, -1)
    deviation = (grouped.var(0, unbiased=False) + _EPSILON).sqrt().mean(1)
    return deviation.repeat(group).reshape(n, 1, 1, 1).expand(-1, 1, h, w)
