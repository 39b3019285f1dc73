"""The network that tells made faces from recorded ones, and where it sees the change.

Own design. What cameras and coders leave in the finest detail, and what a layer that was bent,
enlarged, smoothed or given grain lacks, is lost by any scaling: so the network takes crops at the
frame's own pixel density, of any size, and looks at luma and color beside what a small blur takes
from them (the residuals of steganalysis; Fridrich and Kodovsky, IEEE TIFS 2012). It is
convolutional throughout. A change shows in how places of one picture differ, so that each place is
compared with the means over the face and over what is around it; the outline of the face is told to
it as a mask. Learned from self-blended images (Shiohara and Yamasaki, Detecting Deepfakes with
Self-Blended Images, CVPR 2022) with the blended region as a second answer.

Input:  x (N,3,h,w), RGB in [0,1] at the frame's density, and oval (N,1,h/4,w/4) in [0,1], one
        inside of the face's outline; h and w are multiples of 8 from 64 on.
Output: evidence (N,) and map (N,1,h/8,w/8), in logits; above 0 is changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import ConfigError

STRIDE = 8
"""Pixels of the crop for each place of the map."""
OVAL_STRIDE = 4
"""Pixels of the crop for each place of the face's mask."""
_YCC = (
    (0.299, 0.587, 0.114),
    (-0.168736, -0.331264, 0.5),
    (0.5, -0.418688, -0.081312),
)
_GAIN = 12.0
"""Residuals times this are of order one."""


@dataclass(frozen=True)
class ForensicConfig:
    """Shape of the network."""

    stem: int = 16
    """Channels at full density."""
    widths: tuple[int, int, int] = (32, 48, 64)
    """Channels at a half, a quarter and an eighth of it."""
    head: int = 48
    """Channels behind the comparison."""
    dropout: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        if min(self.stem, self.head, *self.widths) < 1 or len(self.widths) != 3:
            raise ConfigError(f"channels are {self.stem}, {self.widths}, {self.head}; expected "
                              "three widths, and all of them at least 1")  # fmt: skip
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}; expected from 0 to below 1")


class ForensicNet(nn.Module):
    """Faces in, evidence of a change and its place out."""

    colors: Tensor

    def __init__(self, config: ForensicConfig) -> None:
        super().__init__()
        self.config = config
        # Fixed: it is made anew and never stored.
        self.register_buffer("colors", torch.tensor(_YCC)[:, :, None, None], persistent=False)
        first, second, third = config.widths
        self.stem = nn.Sequential(_conv(6, config.stem), _conv(config.stem, config.stem))
        self.trunk = nn.Sequential(
            nn.AvgPool2d(2), _conv(config.stem, first),
            nn.AvgPool2d(2), _conv(first, second),
            nn.AvgPool2d(2), _conv(second, third),
        )  # fmt: skip
        self.compare = nn.Linear(2 * third, config.head)
        self.place = nn.Conv2d(third + 1, config.head, 1)
        self.beside = _conv(config.head, config.head)
        self.map = nn.Conv2d(config.head, 1, 1)
        self.whole = nn.Linear(features_count(config), 1)

    def forward(self, x: Tensor, oval: Tensor) -> tuple[Tensor, Tensor]:
        """Map crops (N,3,h,w) and masks (N,1,h/4,w/4) to evidence (N,), map (N,1,h/8,w/8)."""
        features, where = self.features(x, oval)
        features = functional.dropout(features, self.config.dropout, self.training)
        return self.whole(features)[:, 0], where

    def features(self, x: Tensor, oval: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the evidence is a linear function of (N,F), and the map in logits."""
        trunk = self.trunk(self.stem(self.residuals(x)))
        zones = zones_of(oval)
        inside, ring, outside = (zones[:, k : k + 1] for k in range(3))
        means = torch.cat([_mean(trunk, inside), _mean(trunk, outside)], 1)
        told = self.place(torch.cat([trunk, inside], 1)) + self.compare(means)[:, :, None, None]
        told = self.beside(torch.relu(told))
        where = self.map(told)
        seen = torch.sigmoid(where)
        pooled = [_mean(torch.cat([told, seen], 1), zone) for zone in (inside, ring, outside)]
        most = functional.adaptive_max_pool2d(seen, 1).flatten(1)
        return torch.cat([*pooled, most], 1), where

    def residuals(self, x: Tensor) -> Tensor:
        """Map RGB (N,3,h,w) to luma, color and what a small blur takes from them (N,6,h,w)."""
        # Differences of neighbors would be lost in the eight bits of bfloat16.
        with torch.autocast(x.device.type, enabled=False):
            ycc = functional.conv2d(x, self.colors)
            padded = functional.pad(ycc, (1, 1, 1, 1), mode="replicate")
            fine = torch.tanh(_GAIN * (ycc - functional.avg_pool2d(padded, 3, 1)))
        level = torch.cat([ycc[:, :1] - 0.5, 4 * ycc[:, 1:]], 1)
        return torch.cat([level, fine], 1)


def features_count(config: ForensicConfig) -> int:
    """Numbers that a face becomes."""
    return 3 * (config.head + 1) + 1


def zones_of(oval: Tensor) -> Tensor:
    """Map masks (N,1,h/4,w/4) to inside, edge and outside of the face, (N,3,h/8,w/8)."""
    small = functional.avg_pool2d(oval, STRIDE // OVAL_STRIDE)
    wide = functional.max_pool2d(small, 3, 1, 1)
    narrow = -functional.max_pool2d(-small, 3, 1, 1)
    return torch.cat([narrow, wide - narrow, 1 - wide], 1)


def _conv(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """(N,C) weighted means of (N,C,h,w); where nothing has weight, zero."""
    return (values * weights).sum((2, 3)) / (weights.sum((2, 3)) + 1e-3)
