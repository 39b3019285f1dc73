"""CihaNet's generator: one stage that decides at every resolution what is context, what identity.

Paper: Liu et al., One-stage Context and Identity Hallucination Network (ACM MM 2021). An encoder
keeps the target's context at several resolutions. The generator hallucinates a soft map in each:
outside it lies the context, inside it features whose statistics come first from the source's
identity and then, in a second AdaIN, from the context, so that the new face has the target's light.
No mask is cut and nothing is blended afterward.
Differs: what could be read of the paper names neither layers nor widths. Decided here: convolutions
of 4x4 and stride 2 down, doubling and 3x3 up; at level l, from h below and the context F_l,
M_l = sigmoid(conv([h, F_l])) and h' = (1 - M_l) F_l + M_l AdaIN(AdaIN(h, code), statistics of F_l),
with statistics the mean and deviation over the picture.
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
from likeness.nets.layers import begin
from likeness.types import check

_SLOPE = 0.2
_EPSILON = 1e-5


@dataclass(frozen=True)
class CihaConfig:
    """Shape of encoder and generator."""

    widths: tuple[int, ...] = (16, 32, 64, 128, 128)
    """Channels at full size and after each halving."""
    code: int = 128
    """Numbers in the source's code."""

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or min(*self.widths, self.code) < 1:
            raise ConfigError(
                f"widths {self.widths} and code {self.code}: expected two widths or more, and all "
                "of them 1 or more"
            )


class Restyle(nn.Module):
    """AdaIN: features of mean 0 and deviation 1, scaled and shifted as a vector says."""

    def __init__(self, width: int, told: int) -> None:
        super().__init__()
        self.style = nn.Linear(told, 2 * width)
        nn.init.zeros_(self.style.bias)

    def forward(self, h: Tensor, told: Tensor) -> Tensor:
        """Map h (N,width,h,w) by told (N,T) to the same shape."""
        scale, shift = self.style(told)[:, :, None, None].chunk(2, 1)
        normed = functional.instance_norm(h, eps=_EPSILON)
        answer: Tensor = normed * (1 + scale) + shift
        return answer


class Level(nn.Module):
    """One resolution: hallucinate where the identity is, and draw it there."""

    def __init__(self, inside: int, width: int, code: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inside, width, 3, padding=1)
        self.map = nn.Conv2d(2 * width, 1, 3, padding=1, bias=False)
        # Places are told apart by the convolution; how much the map covers is one slow number.
        self.spread = nn.GroupNorm(1, 1)
        self.identity = Restyle(width, code)
        self.between = nn.Conv2d(width, width, 3, padding=1)
        self.context = Restyle(width, 2 * width)
        self.leave = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, h: Tensor, context: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (N,width,h,w) and the map (N,1,h,w) in [0,1]."""
        h = functional.leaky_relu(self.enter(h), _SLOPE)
        where = torch.sigmoid(self.spread(self.map(torch.cat([h, context], 1))))
        told = torch.cat([context.mean((2, 3)), context.std((2, 3))], 1)
        drawn = functional.leaky_relu(self.between(self.identity(h, code)), _SLOPE)
        drawn = functional.leaky_relu(self.leave(self.context(drawn, told)), _SLOPE)
        return torch.lerp(context, drawn, where.to(context.dtype)), where


class CihaNet(nn.Module):
    """The network; see the head of this file."""

    def __init__(self, config: CihaConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.stem = nn.Conv2d(3, widths[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in itertools.pairwise(widths))
        inside = [widths[-1], *reversed(widths[1:])]
        levels = zip(inside, reversed(widths), strict=True)
        self.levels = nn.ModuleList(Level(a, b, config.code) for a, b in levels)
        self.head = nn.Conv2d(widths[0], 3, 3, padding=1)
        begin(self, _SLOPE)

    def forward(self, rgb: Tensor, code: Tensor) -> Tensor:
        """Put the identity of `code` on the faces in `rgb`; see the head of this file."""
        return self.hallucinate(rgb, code)[0]

    def hallucinate(self, rgb: Tensor, code: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the faces, and the maps (N,1,h,w) of where their identity is, coarse to fine.

        Raises:
            ContractError: crops or codes do not fit.
        """
        halvings = 2 ** len(self.down)
        check(
            rgb.shape[2] % halvings == 0 and rgb.shape[3] % halvings == 0,
            f"crops are {tuple(rgb.shape[2:])}, expected sides that {halvings} divides",
        )
        expected = (len(rgb), self.config.code)
        check(code.shape == expected, f"the codes are {tuple(code.shape)}, expected {expected}")
        contexts = [functional.leaky_relu(self.stem(rgb * 2 - 1), _SLOPE)]
        for step in self.down:
            contexts.append(functional.leaky_relu(step(contexts[-1]), _SLOPE))
        h, maps = contexts[-1], []
        for level in self.levels:
            context = contexts.pop()
            if h.shape[2] != context.shape[2]:
                h = functional.interpolate(h, scale_factor=2, mode="bilinear", align_corners=False)
            h, where = level(h, context, code)
            maps.append(where)
        return torch.sigmoid(self.head(h)), tuple(maps)
