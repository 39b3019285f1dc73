"""A network that draws one person: face swapping as style transfer.

Paper: Korshunova et al., Fast Face-swap Using Convolutional Neural Networks (ICCV 2017), section
3.1. A transforming network for each source: branches see the picture at several resolutions, each
convolves, is doubled and joined to the next finer one, as in texture networks (Ulyanov et al.
2016). Whom it draws is in its weights.
Differs: it answers what to add to the picture, from 0 before training, so that an hour on a CPU
changes a face instead of inventing one; a tanh bounds what is added. Leaky instead of plain
rectifiers.
Input:  rgb (N,3,S,S) in [0,1], the target's aligned crop.
Output: rgb (N,3,S,S), unclipped near [0,1].
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import ConfigError
from likeness.nets.layers import begin
from likeness.types import check

_SLOPE = 0.1
_CONVS = 3


@dataclass(frozen=True)
class KorshunovaConfig:
    """Shape of the transforming network."""

    size: int = 64
    """Side of the crop in pixels."""
    branches: int = 4
    """Resolutions at which it looks; each is half of the one before."""
    width: int = 32
    """Channels of a branch; the paper has 32 and, at 128 pixels, a million parameters."""

    def __post_init__(self) -> None:
        if self.branches < 1 or self.width < 1 or self.size % 2 ** (self.branches - 1):
            raise ConfigError(
                f"size {self.size}, branches {self.branches}, width {self.width}: expected numbers "
                "of 1 or more, and a size that the branches can halve"
            )


class Branch(nn.Module):
    """Three convolutions of 3x3, each with a leaky rectifier."""

    def __init__(self, inside: int, width: int) -> None:
        super().__init__()
        widths = [inside] + [width] * _CONVS
        pairs = itertools.pairwise(widths)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairs)
        # Nothing is normed: from torch's own beginning, two dozen layers would pass on nothing.
        begin(self, _SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,inside,h,w) to (N,width,h,w)."""
        for conv in self.convs:
            x = functional.leaky_relu(conv(x), _SLOPE)
        return x


class Korshunova(nn.Module):
    """The network; see the head of this file."""

    def __init__(self, config: KorshunovaConfig) -> None:
        super().__init__()
        self.config = config
        count, width = config.branches, config.width
        self.alone = nn.ModuleList(Branch(3, width) for _ in range(count))
        self.joined = nn.ModuleList(
            Branch(width * (index + 1), width * (index + 1)) for index in range(count)
        )
        self.head = nn.Conv2d(width * count, 3, 1, bias=False)
        nn.init.zeros_(self.head.weight)

    def forward(self, rgb: Tensor) -> Tensor:
        """Draw the one person over the faces in `rgb`; see the head of this file.

        Raises:
            ContractError: the crops are of another size.
        """
        expected = (3, self.config.size, self.config.size)
        check(rgb.shape[1:] == expected, f"crops are {tuple(rgb.shape[1:])}, expected {expected}")
        looks = [rgb * 2 - 1]
        for _ in range(self.config.branches - 1):
            looks.append(functional.avg_pool2d(looks[-1], 2))
        x: Tensor | None = None
        for alone, joined, look in zip(self.alone, self.joined, reversed(looks), strict=True):
            told = alone(look)
            if x is not None:
                told = torch.cat([functional.interpolate(x, scale_factor=2.0), told], 1)
            x = joined(told)
        return rgb + torch.tanh(self.head(x))
