"""The network that looks at a whole face at a fixed size: does it belong where it is?

Own design, of residual blocks (He et al., Deep Residual Learning for Image Recognition, CVPR 2016).
Beside the network that compares the finest detail (`forensic.py`), this one sees what any viewer
sees: seams, light that comes from elsewhere, somebody else's hair on a forehead, features that do
not fit the head. It learns from pairs of one picture with and without the change.

Input:  (N,4,s,s): RGB in [0,1] and a mask, one inside of the face's outline; s is 112 in training
        and a multiple of 16.
Output: evidence (N,) in logits; above 0 is changed.
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
        self.trunk = nn.Sequential(
            _conv(4, first, 2), _conv(first, second, 2), _Block(second),
            _conv(second, third, 2), _Block(third),
            _conv(third, fourth, 2), _Block(fourth),
        )  # fmt: skip
        self.whole = nn.Linear(2 * fourth, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map faces (N,4,s,s) to evidence (N,)."""
        features = functional.dropout(self.features(x), self.config.dropout, self.training)
        evidence: Tensor = self.whole(features)[:, 0]
        return evidence

    def features(self, x: Tensor) -> Tensor:
        """Return what the evidence is a linear function of (N,2C)."""
        trunk = self.trunk(2 * x - 1)
        return torch.cat([trunk.mean((2, 3)), trunk.amax((2, 3))], 1)


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
