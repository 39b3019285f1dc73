"""IPGAN's generator: a face drawn anew from who it is and from everything else.

Paper: Bao et al., Towards Open-Set Identity Preserving Face Synthesis (CVPR 2018, arXiv
1803.11182), section 3: the attribute network A, a variational encoder, and the generator G, which
draws a picture of the identity vector f_I and the attribute vector f_A alone. No weights were
published.
Differs: the paper gives no layers; these are strided convolutions down and resized convolutions up.
The recognizer of the project is the identity network I.
Input:  rgb (N,3,S,S) in [0,1], the target's aligned crop; code (N,D), who shall be seen.
Output: rgb (N,3,S,S) in [0,1].
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import ConfigError
from likeness.types import check

_SLOPE = 0.2
_LEAST = 4
"""Side of the coarsest maps."""
_MOST = 8.0
"""Bound of the logarithm of variances: beyond it a step of training overflows."""


@dataclass(frozen=True)
class IPGANConfig:
    """Shape of attribute network and generator."""

    size: int = 64
    """Side of the crop in pixels."""
    widths: tuple[int, ...] = (32, 64, 128, 256)
    """Channels after each halving, down to 4x4."""
    attributes: int = 128
    """Numbers of f_A."""
    code: int = 128
    """Numbers of f_I."""

    def __post_init__(self) -> None:
        if not self.widths or min(*self.widths, self.attributes, self.code) < 1:
            raise ConfigError(
                f"widths {self.widths}, attributes {self.attributes}, code {self.code}: expected "
                "one width or more, and all of them 1 or more"
            )
        if self.size != _LEAST * 2 ** len(self.widths):
            raise ConfigError(
                f"size is {self.size} with {len(self.widths)} widths, expected "
                f"{_LEAST * 2 ** len(self.widths)}: each halves the picture, down to 4x4"
            )


class AttributeNetwork(nn.Module):
    """A: all of a picture but who is seen, as a normal distribution."""

    def __init__(self, config: IPGANConfig) -> None:
        super().__init__()
        pairs = itertools.pairwise((3, *config.widths))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, padding=1) for a, b in pairs)
        self.norms = nn.ModuleList(nn.GroupNorm(1, width) for width in config.widths)
        self.told = nn.Linear(config.widths[-1] * _LEAST**2, 2 * config.attributes)

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N,3,S,S) to mean and logarithm of the variance, (N,attributes) each."""
        x = rgb * 2 - 1
        for conv, norm in zip(self.down, self.norms, strict=True):
            x = functional.leaky_relu(norm(conv(x)), _SLOPE)
        mean, spread = self.told(x.flatten(1)).chunk(2, 1)
        return mean, spread.clamp(-_MOST, _MOST)


class IPGAN(nn.Module):
    """A and G; see the head of this file."""

    def __init__(self, config: IPGANConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = AttributeNetwork(config)
        widths = config.widths[::-1]
        self.seed = nn.Linear(config.code + config.attributes, widths[0] * _LEAST**2)
        pairs = list(itertools.pairwise((*widths, widths[-1])))
        self.up = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairs)
        self.norms = nn.ModuleList(nn.GroupNorm(1, b) for _, b in pairs)
        self.head = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, rgb: Tensor, code: Tensor) -> Tensor:
        """Draw the faces of `rgb` with the identity of `code`; f_A is its distribution's mean."""
        return self.generate(self.attributes(rgb)[0], code)

    def attributes(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and logarithm of the variance of f_A, (N,attributes) each.

        Raises:
            ContractError: the crops are of another size.
        """
        expected = (3, self.config.size, self.config.size)
        check(rgb.shape[1:] == expected, f"crops are {tuple(rgb.shape[1:])}, expected {expected}")
        answer: tuple[Tensor, Tensor] = self.encoder(rgb)
        return answer

    def generate(self, attributes: Tensor, code: Tensor) -> Tensor:
        """Draw (N,3,S,S) in [0,1] from f_A (N,attributes) and f_I (N,code).

        Raises:
            ContractError: the codes do not fit.
        """
        expected = (len(attributes), self.config.code)
        check(code.shape == expected, f"the codes are {tuple(code.shape)}, expected {expected}")
        x = self.seed(torch.cat([code, attributes], 1))
        x = x.reshape(len(x), -1, _LEAST, _LEAST)
        for conv, norm in zip(self.up, self.norms, strict=True):
            x = functional.interpolate(
                functional.leaky_relu(x, _SLOPE), scale_factor=2, mode="bilinear"
            )
            x = norm(conv(x))
        return torch.sigmoid(self.head(functional.leaky_relu(x, _SLOPE)))
