"""UniFaceGAN's generator: parts of a face drawn by region, each in the source's own look.

Paper: Cao et al., UniFaceGAN: A Unified Framework for Temporally Consistent Facial Video Editing
(arXiv 2108.05650): conditions drawn from a reconstruction that has the source's shape and the
target's turn and expression; region-aware conditional normalization: scale and shift of normalized
maps differ by region of the face and come from what the source looks like there. No weights were
published.
Differs: the paper's layers are not known for sure. The reconstruction is that of the tracker's
landmarks: the source's shape is laid on the target's landmarks as the difference of both people's
mean shapes, seen from the front, so that turn and expression stay the target's. Light is told by
the mean brightness of the target's face. Regions are those of `face_maps`.
Input:  rgb (N,3,S,S) in [0,1], points (N,478,3) as `face_maps` has them: the target; sources
(K,3,S,S) and their points (K,478,3): one person's; rest (478,3), the target's mean shape of
`face_maps.shape`, or None to keep the target's shape.
Output: (N,4,S,S) in [0,1]: the swap, and where a face was or is.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.synthesize.face_maps import (
    CONTOURS,
    REGIONS,
    brightness,
    heatmaps,
    hull,
    regions,
    rotation,
    shape,
)
from likeness.synthesize.picture_layers import FOLD, SLOPE, Down, check_faces, prove_widths

_GROWN = 1.08
_LOOK = 32
"""Numbers that tell how a region looks."""


@dataclass(frozen=True)
class UniFaceGANConfig:
    """Shape of the networks."""

    size: int = 64
    """Side of the crop in pixels."""
    widths: tuple[int, ...] = (24, 48, 96, 128)
    """Channels after each halving, down to 4x4."""

    def __post_init__(self) -> None:
        prove_widths(self.size, self.widths)


class RegionNorm(nn.Module):
    """Instance norm, then scale and shift by region: sum over regions of map times (1 + g, b)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(len(REGIONS), _LOOK, 2 * width) * 0.02)
        self.bias = nn.Parameter(torch.zeros(len(REGIONS), 2 * width))

    def forward(self, x: Tensor, maps: Tensor, looks: Tensor) -> Tensor:
        """Map (N,width,h,w), maps (N,6,h,w) and looks (N,6,32) to (N,width,h,w)."""
        told = torch.einsum("nrc,rcd->nrd", looks, self.weight) + self.bias
        scale, shift = torch.einsum("nrd,nrhw->ndhw", told, maps).chunk(2, 1)
        return torch.addcmul(shift, functional.instance_norm(x), 1 + scale)


class Rise(nn.Module):
    """Resizing to double, what lies beside, two convolutions, each with a region norm."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, padding=1)
        self.first_norm = RegionNorm(outside)
        self.second = nn.Conv2d(outside, outside, 3, padding=1)
        self.second_norm = RegionNorm(outside)

    def forward(self, x: Tensor, beside: Tensor, maps: Tensor, looks: Tensor) -> Tensor:
        """Map (N,A,h,w) and (N,B,2h,2w), with maps (N,6,2h,2w), to (N,outside,2h,2w)."""
        x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = self.first_norm(self.first(torch.cat([x, beside], 1)), maps, looks)
        x = self.second_norm(self.second(functional.leaky_relu(x, SLOPE)), maps, looks)
        return functional.leaky_relu(x, SLOPE)


class UniFaceGAN(nn.Module):
    """Both encoders and the generator; see the head of this file."""

    def __init__(self, config: UniFaceGANConfig) -> None:
        super().__init__()
        self.config = config
        widths, told = config.widths, 4 + len(CONTOURS) + len(REGIONS)
        self.look = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(widths[0], widths[0], 4, 2, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(widths[0], _LOOK, 3, padding=1),
        )
        pairs = itertools.pairwise((told, *widths))
        self.down = nn.ModuleList(Down(a, b, index > 0) for index, (a, b) in enumerate(pairs))
        pairs = itertools.pairwise(widths[::-1])
        self.up = nn.ModuleList(Rise(a + b, b) for a, b in pairs)
        self.head = nn.Conv2d(widths[0] + told * FOLD**2, 3 * FOLD**2, 3, padding=1)

    def forward(
        self, rgb: Tensor, points: Tensor, sources: Tensor, told: Tensor, rest: Tensor | None = None
    ) -> Tensor:
        """Draw the targets with the sources' face; looks and shape are means of all sources."""
        looks = self.looks(sources, told).mean(0, keepdim=True).expand(len(rgb), -1, -1)
        wanted = points
        if rest is not None:
            wanted = reshaped(points, shape(told)[0].mean(0) - rest)
        drawn, region = self.draw(rgb, points, wanted, looks)
        return torch.cat([drawn, region], 1)

    def looks(self, rgb: Tensor, points: Tensor) -> Tensor:
        """Return (N,6,32): how each region of faces looks; what lies outside is not told.

        Raises:
            ContractError: pictures or points have another shape.
        """
        check_faces(rgb, points, self.config.size)
        seen = self.look(rgb * 2 - 1)
        maps = regions(points, seen.shape[-1])
        area = maps.sum((2, 3)).clamp(min=1e-3)
        found = torch.einsum("nchw,nrhw->nrc", seen, maps) / area[:, :, None]
        return torch.cat([torch.zeros_like(found[:, :1]), found[:, 1:]], 1)

    def draw(
        self, rgb: Tensor, points: Tensor, wanted: Tensor, looks: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Draw faces of wanted landmarks over targets.

        Args:
            rgb: (N,3,S,S) targets.
            points: (N,478,3) their landmarks: what they enclose is taken out.
            wanted: (N,478,3) the landmarks that shall be seen.
            looks: (N,6,32).

        Returns:
            (N,3,S,S) in [0,1], and (N,1,S,S) where a face was or is.
        """
        check_faces(rgb, points, self.config.size)
        side = self.config.size
        own = hull(points, side, _GROWN)
        region = torch.maximum(own, hull(wanted, side, _GROWN))
        without = torch.lerp(rgb, brightness(rgb, own).expand_as(rgb), region)
        maps = regions(wanted, side)
        x = torch.cat([without * 2 - 1, region, heatmaps(wanted, side), maps], 1)
        whole, beside = x, []
        for step in self.down:
            x = step(x)
            beside.append(x)
        x = beside.pop()
        for rise in self.up:
            skip = beside.pop()
            shrunk = functional.adaptive_avg_pool2d(maps, skip.shape[-1])
            x = rise(x, skip, shrunk, looks)
        x = self.head(torch.cat([x, functional.pixel_unshuffle(whole, FOLD)], 1))
        return torch.sigmoid(functional.pixel_shuffle(x, FOLD)), region


def reshaped(points: Tensor, change: Tensor) -> Tensor:
    """Add to faces (N,478,3) a change of shape (478,3) or (N,478,3), turned as they are."""
    _, scale = shape(points)
    return points + scale * (change @ rotation(points).transpose(1, 2))
