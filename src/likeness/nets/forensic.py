"""The network that tells made faces from recorded ones, and where it sees the change.

Own design: a small residual network over an aligned face, given the colors and what a 3x3 mean
takes off them, because blending and resampling leave their traces in the finest detail. One output
is a map of where the picture was changed; the other, from the mean and the largest of the last
features, a number for the whole crop. Trained by self-blended images (Shiohara and Yamasaki,
Detecting Deepfakes with Self-Blended Images, CVPR 2022): real faces blended with a changed copy of
themselves, so that it learns the traces of blending and not one generator's.

Input:  x (N,3,128,128), RGB in [0,1], aligned by `POINTS`.
Output: features (N,F), evidence (N,) in logits, map (N,1,16,16) in logits; above 0 is changed.
At widths (16,32,64,96) 0.26 M parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import ConfigError

SIDE = 128
"""Side of the crop in pixels."""
MAP = 16
"""Side of the map."""
POINTS = ((0.36, 0.40), (0.64, 0.40), (0.50, 0.55), (0.39, 0.68), (0.61, 0.68))
"""Where eyes, nose and mouth corners lie in the crop, in shares of its side: the whole outline of
the face and some of what is around it are seen."""


@dataclass(frozen=True)
class ForensicConfig:
    """Shape of the network."""

    widths: tuple[int, ...] = (16, 32, 64, 96)
    """Channels after each halving."""

    def __post_init__(self) -> None:
        if len(self.widths) != 4 or min(self.widths) < 4:
            raise ConfigError(f"widths are {self.widths}; expected four, each 4 or more")


class _Block(nn.Module):
    """relu(x + two convolutions), the first of which may halve."""

    def __init__(self, inside: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, width, 3, 2, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)
        self.shortcut = nn.Conv2d(inside, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,inside,h,w) to (N,width,h/2,w/2)."""
        y = functional.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        return functional.relu(y + self.shortcut(functional.avg_pool2d(x, 2)))


class ForensicNet(nn.Module):
    """Faces in, evidence of a change and its place out."""

    def __init__(self, config: ForensicConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.blocks = nn.ModuleList(
            _Block(inside, width) for inside, width in zip((6, *widths), widths, strict=False)
        )
        self.place = nn.Conv2d(widths[2], 1, 1)
        self.whole = nn.Linear(self.features_count, 1)

    @property
    def features_count(self) -> int:
        """Numbers that a face becomes: mean and largest of the last features."""
        return 2 * self.config.widths[3]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map crops (N,3,128,128) to features (N,F), evidence (N,), map (N,1,16,16)."""
        smooth = functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
        y = torch.cat([2 * x - 1, 8 * (x - smooth)], 1)
        for block in self.blocks[:3]:
            y = block(y)
        where = self.place(y)
        last = self.blocks[3](y)
        features = torch.cat([last.mean((2, 3)), last.amax((2, 3))], 1)
        return features, self.whole(features)[:, 0], where
