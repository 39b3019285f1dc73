"""HEAR-Net: FaceShifter's second stage, which brings back what the first one loses.

Paper: Li et al., FaceShifter (arXiv 1912.13457), section 3.2. The first stage cannot draw what lies
before a face: glasses, hands, hair. Where it fails it shows by itself: put a face's own identity on
it, and what then differs from the face is the heuristic error, X_t - AEI(X_t, X_t). A U-Net gets
that and the swap, and refines the swap.
Differs: the U-Net answers what to add to the swap, from 0 before training, instead of the picture,
so that a short training starts from the first stage's result; a tanh bounds what is added. Norms
count over one picture instead of a batch: batches are small here, and an error is nearly nothing in
one picture and all there is in another.
Input:  rgb (N,3,S,S) in [0,1], the target's aligned crop; code (N,2D), the source's code and after
it the target's own.
Output: rgb (N,3,S,S), unclipped near [0,1].
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import ConfigError
from likeness.synthesize.faceshifter import AEIConfig, AEINet
from likeness.types import check

_SLOPE = 0.1


@dataclass(frozen=True)
class HearConfig:
    """Shape of both stages; the paper's second one has 64, 128, 256, 512, 512."""

    first: AEIConfig = field(default_factory=AEIConfig)
    """The first stage's."""
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    """Channels after each halving of the second."""

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise ConfigError(f"widths are {self.widths}, expected two or more, of 1 or more")
        if self.first.size % 2 ** len(self.widths):
            raise ConfigError(
                f"{len(self.widths)} halvings of {self.first.size} pixels, expected at most "
                f"{self.first.size.bit_length() - 1}"
            )


class Step(nn.Module):
    """A convolution (or transposed one) of 4x4 and stride 2, a norm, leaky ReLU."""

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.GroupNorm(1, conv.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,A,h,w) to (N,B,h/2,w/2), or twice the size."""
        return functional.leaky_relu(self.norm(self.conv(x)), _SLOPE)


class Hear(nn.Module):
    """Both stages; see the head of this file. The first one stands still, in training as well."""

    def __init__(self, config: HearConfig) -> None:
        super().__init__()
        self.config = config
        self.first = AEINet(config.first)
        widths = config.widths
        down = itertools.pairwise((6, *widths))
        self.down = nn.ModuleList(Step(nn.Conv2d(a, b, 4, 2, 1)) for a, b in down)
        # From the second step up, what lies beside comes along.
        inside = [widths[-1], *(2 * width for width in reversed(widths[1:-1]))]
        ups = zip(inside, reversed(widths[:-1]), strict=True)
        self.up = nn.ModuleList(Step(nn.ConvTranspose2d(a, b, 4, 2, 1)) for a, b in ups)
        self.head = nn.Conv2d(2 * widths[0], 3, 3, padding=1, bias=False)
        nn.init.zeros_(self.head.weight)

    def train(self, mode: bool = True) -> Hear:
        """Train the second stage alone: the first one's norms stay as they were learned."""
        super().train(mode)
        self.first.eval()
        return self

    def forward(self, rgb: Tensor, code: Tensor) -> Tensor:
        """Swap by both stages; see the head of this file."""
        swapped, error = self.begun(rgb, code)
        return self.refine(swapped, error)

    def begun(self, rgb: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Return the first stage's swap (N,3,S,S) and its heuristic error (N,3,S,S).

        Raises:
            ContractError: the codes do not fit.
        """
        wanted = 2 * self.config.first.code
        check(
            code.shape == (len(rgb), wanted),
            f"the codes are {tuple(code.shape)}, expected {(len(rgb), wanted)}: the source's and "
            "the target's own",
        )
        source, own = code.chunk(2, 1)
        kept = self.first.attributes(rgb)
        swapped = self.first.generate(kept, source)
        return swapped, rgb - self.first.generate(kept, own)

    def refine(self, swapped: Tensor, error: Tensor) -> Tensor:
        """Run the second stage on a swap and the heuristic error, (N,3,S,S) each."""
        x, beside = torch.cat([swapped, error], 1), []
        for step in self.down:
            x = step(x)
            beside.append(x)
        beside.pop()
        for step in self.up:
            x = torch.cat([step(x), beside.pop()], 1)
        x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return swapped + torch.tanh(self.head(x))
