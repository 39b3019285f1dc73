"""The network that looks at a whole face at a fixed size: does it belong where it is?

Own design, of residual blocks (He et al., Deep Residual Learning for Image Recognition, CVPR 2016).
Beside the network that compares the finest detail (`forensic.py`), this one sees what any viewer
sees: seams, light that comes from elsewhere, somebody else's hair on a forehead, features that do
not fit the head. It learns from pairs of one picture with and without the change.

Input:  (N,4,s,s): RGB in [0,1] and a mask, one inside of the face's outline; s is a multiple of
        16.
Output: evidence (N,) and map (N,1,s/8,s/8), in logits; above 0 is changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import ConfigError

FACE_SIDE = 112
"""Pixels of a face as the network is shown it."""


@dataclass(frozen=True)
class ForensicFaceConfig:
    """Shape of the network."""

    widths: tuple[int, int, int, int] = (16, 32, 64, 128)
    """Channels at a half, a quarter, an eighth and a sixteenth of the side."""
    dropout: float = 0.2

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        if len(self.widths) != 4 or min(self.widths) < 1:
            raise ConfigError(f"widths are {self.widths}; expected four of at least 1")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}; expected from 0 to below 1")


class ForensicFaceNet(nn.Module):
    """Whole faces in, evidence of a change out."""

    def __init__(self, config: ForensicFaceConfig) -> None:
        super().__init__()
        self.config = config
        first, second, third, fourth = config.widths
        self.near = nn.Sequential(
            _conv(4, first, 2), _conv(first, second, 2), _Block(second),
            _conv(second, third, 2), _Block(third),
        )  # fmt: skip
        self.wide = nn.Sequential(_conv(third, fourth, 2), _Block(fourth))
        self.place = nn.Conv2d(third, 1, 1)
        self.around = nn.Conv2d(fourth, 1, 1)
        self.whole = nn.Linear(features_count(config), 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map faces (N,4,s,s) to evidence (N,) and map (N,1,s/8,s/8)."""
        features, where = self.features(x)
        features = functional.dropout(features, self.config.dropout, self.training)
        return self.whole(features)[:, 0], where

    def features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the evidence is a linear function of (N,F), and the map in logits."""
        near = self.near(2 * x - 1)
        wide = self.wide(near)
        around = functional.interpolate(self.around(wide), near.shape[2:], mode="nearest")
        where = self.place(near) + around
        seen = torch.sigmoid(where)
        told = [wide.mean((2, 3)), wide.amax((2, 3)), seen.mean((2, 3)), seen.amax((2, 3))]
        return torch.cat(told, 1), where


def features_count(config: ForensicFaceConfig) -> int:
    """Numbers that a face becomes."""
    return 2 * config.widths[3] + 2


class _Block(nn.Module):
    """Two convolutions, added to what went in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _conv(width, width, 1)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.second(self.first(x)))


def _conv(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, 1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )
