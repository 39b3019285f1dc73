"""The network that tells made faces from recorded ones, and where it sees the change.

Own design, meant to be fitted on few faces in minutes: what cameras, coders and blending do to the
finest detail is read by a fixed bank of high-pass filters at three sizes (cosine filters of 3x3, as
in the rich models of Fridrich and Kodovsky, IEEE TIFS 2012), as the logarithm of their energy in a
grid of cells. A face that was blended in carries another energy than what surrounds it, more or
less. So a number for the whole crop is a linear function of how far the energy in zones of the face
is from that of all zones, with and without its sign, and of the differences between zones; what all
zones share is of the camera and the coder, and is left out. A map is a linear function of how far
each cell is from the outside. Only these two layers are learned, on self-blended images (Shiohara
and Yamasaki, Detecting Deepfakes with Self-Blended Images, CVPR 2022) and on what methods make.

Input:  x (N,3,160,160), RGB in [0,1], aligned by `POINTS`.
Output: features (N,812), evidence (N,) in logits, map (N,1,16,16) in logits; above 0 is changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import ConfigError
from likeness.types import Floats

SIDE = 160
"""Side of the crop in pixels."""
MAP = 16
"""Side of the map, and of the grid of cells."""
POINTS = ((0.36, 0.40), (0.64, 0.40), (0.50, 0.55), (0.39, 0.68), (0.61, 0.68))
"""Where eyes, nose and mouth corners lie in the crop, in shares of its side: the whole outline of
the face and some of what is around it are seen."""
CHANNELS = 28
"""Luma at three sizes by eight filters, and four of color."""
_SHRUNK = (1, 2, 5)
_BOXES = {
    "forehead": (0.14, 0.30, 0.30, 0.70), "eyes": (0.30, 0.48, 0.25, 0.75),
    "nose": (0.48, 0.60, 0.38, 0.62), "mouth": (0.60, 0.78, 0.34, 0.66),
    "chin": (0.78, 0.92, 0.36, 0.64), "left": (0.46, 0.70, 0.20, 0.36),
    "right": (0.46, 0.70, 0.64, 0.80),
}  # fmt: skip
"""Top, bottom, left and right in shares of the crop."""
_OVAL = (0.50, 0.54, 0.31, 0.42)
"""Middle and half axes of an average face's outline."""
_RINGS = {"inside": (0.0, 0.8), "edge": (0.85, 1.15), "outside": (1.3, 9.0)}
ZONES = (*_BOXES, *_RINGS)
PAIRS = (
    ("inside", "outside"), ("inside", "edge"), ("edge", "outside"), ("mouth", "nose"),
    ("mouth", "left"), ("eyes", "nose"), ("eyes", "forehead"), ("chin", "mouth"),
    ("forehead", "outside"),
)  # fmt: skip


@dataclass(frozen=True)
class ForensicConfig:
    """Shape of the network."""

    faint: float = 5e-4
    """Energy of detail, in RGB [0,1], below which it is rounding."""

    def __post_init__(self) -> None:
        if not 0 < self.faint < 1:
            raise ConfigError(f"faint is {self.faint}; expected between 0 and 1")


class ForensicNet(nn.Module):
    """Faces in, evidence of a change and its place out."""

    bank: Tensor
    zones: Tensor

    def __init__(self, config: ForensicConfig) -> None:
        super().__init__()
        self.config = config
        # Fixed: they are made anew and never stored.
        self.register_buffer("bank", torch.from_numpy(_filters()), persistent=False)
        self.register_buffer("zones", torch.from_numpy(_zones()), persistent=False)
        self.place = nn.Conv2d(3 * CHANNELS, 1, 1)
        self.whole = nn.Linear(features_count(), 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map crops (N,3,160,160) to features (N,F), evidence (N,), map (N,1,16,16)."""
        cells = self.cells(x)
        features = self.features(cells)
        return features, self.whole(features)[:, 0], self.place(self.around(cells))

    def cells(self, x: Tensor) -> Tensor:
        """Map crops (N,3,160,160) to logarithms of energies (N,CHANNELS,16,16)."""
        luma = 0.299 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:]
        color = torch.cat([x[:, 2:] - luma, x[:, :1] - luma], 1)
        found = []
        for shrunk in _SHRUNK:
            small = functional.avg_pool2d(luma, shrunk) if shrunk > 1 else luma
            found.append(self._energy(small, self.bank))
        for shrunk in _SHRUNK[:2]:
            small = functional.avg_pool2d(color, shrunk) if shrunk > 1 else color
            finest = self.bank[-1:]
            both = [self._energy(small[:, i : i + 1], finest) for i in range(2)]
            found.append(torch.cat(both, 1))
        return torch.cat(found, 1)

    def features(self, cells: Tensor) -> Tensor:
        """Map cells (N,C,16,16) to what sets zones apart (N,F)."""
        means = torch.einsum("nchw,zhw->nzc", cells, self.zones)
        off = means - means.mean(1, keepdim=True)
        first, second = ([ZONES.index(pair[side]) for pair in PAIRS] for side in (0, 1))
        apart = (means[:, first] - means[:, second]).abs()
        return torch.cat([part.flatten(1) for part in (off, off.abs(), apart)], 1)

    def around(self, cells: Tensor) -> Tensor:
        """Tell how far cells (N,C,16,16) are from the outside and their neighbors, (N,3C,16,16)."""
        outside = torch.einsum("nchw,hw->nc", cells, self.zones[ZONES.index("outside")])
        off = cells - outside[:, :, None, None]
        padded = functional.pad(cells, (1, 1, 1, 1), mode="replicate")
        beside = (cells - functional.avg_pool2d(padded, 3, 1)).abs()
        return torch.cat([off, off.abs(), beside], 1)

    def _energy(self, picture: Tensor, bank: Tensor) -> Tensor:
        """(N,K,16,16) logarithm of the mean absolute answer of K filters to (N,1,h,w)."""
        padded = functional.pad(picture, (1, 1, 1, 1), mode="replicate")
        answer = functional.conv2d(padded, bank).abs()
        return (functional.avg_pool2d(answer, picture.shape[-1] // MAP) + self.config.faint).log()


def features_count() -> int:
    """Numbers that a face becomes."""
    return CHANNELS * (2 * len(ZONES) + len(PAIRS))


def _filters() -> Floats:
    """(8,1,3,3) products of cosines without the constant one, each of unit length."""
    at = np.arange(3) + 0.5
    waves = np.stack([np.cos(np.pi * k * at / 3) for k in range(3)])
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    both = np.einsum("iy,jx->ijyx", waves, waves).reshape(9, 1, 3, 3)
    return np.asarray(both[1:], np.float32)


def _zones() -> Floats:
    """(Z,16,16) weights of the cells in each zone, which sum to one."""
    y, x = (np.mgrid[:MAP, :MAP] + 0.5) / MAP
    masks = [
        (y >= top) & (y < bottom) & (x >= left) & (x < right)
        for top, bottom, left, right in _BOXES.values()
    ]
    radius = np.sqrt(((x - _OVAL[0]) / _OVAL[2]) ** 2 + ((y - _OVAL[1]) / _OVAL[3]) ** 2)
    masks += [(radius >= low) & (radius < high) for low, high in _RINGS.values()]
    weights = np.stack(masks).astype(np.float32)
    return np.asarray(weights / weights.sum((1, 2), keepdims=True), np.float32)
