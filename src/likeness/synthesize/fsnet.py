"""FSNet's generator: a latent variable of the source's face, drawn into the rest of the target.

Paper: Natsume et al., FSNet: An Identity-Aware Generative Model for Image-based Face Swapping (ACCV
2018, arXiv 1811.12666): an encoder-decoder learns the source's face as a latent variable by drawing
its face part; a U-shaped network is shown the target without its face, with the latent at its
coarsest maps, and draws the swap. No weights were published.
Differs: the paper's sizes of layers and latents are not known for sure. What tells the U-shaped
network the target's expression where its face was taken out is a drawing of the target's landmarks
and the mean brightness of its face, where the paper lays in a mean face by landmarks.
Input:  rgb (N,3,S,S) in [0,1], points (N,478,3) as `face_maps` has them: the target; sources
(K,3,S,S) and their points (K,478,3): one person's.
Output: (N,4,S,S) in [0,1]: the swap, and the target's face region.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from likeness.synthesize.face_maps import CONTOURS, brightness, heatmaps, hull
from likeness.synthesize.picture_layers import Decoder, Encoder, UNet, check_faces, prove_widths

_GROWN = 1.08
"""How far the region reaches beyond the outline: seams in the training pictures lie inside."""


@dataclass(frozen=True)
class FSNetConfig:
    """Shape of the networks."""

    size: int = 64
    """Side of the crop in pixels."""
    widths: tuple[int, ...] = (24, 48, 96, 128)
    """Channels after each halving, down to 4x4."""
    latent: int = 128
    """Numbers of the face's latent."""

    def __post_init__(self) -> None:
        prove_widths(self.size, self.widths, self.latent)


class FSNet(nn.Module):
    """Encoder-decoder and U-shaped network; see the head of this file."""

    def __init__(self, config: FSNetConfig) -> None:
        super().__init__()
        self.config = config
        told = len(CONTOURS)
        self.encoder = Encoder(4, config.widths, config.latent)
        self.decoder = Decoder(config.latent, config.widths, 3)
        self.swapper = UNet(4 + told, config.widths, 3, config.latent)

    def forward(self, rgb: Tensor, points: Tensor, sources: Tensor, told: Tensor) -> Tensor:
        """Draw the targets with the sources' face; its latent is the mean of all sources'."""
        latent = self.latent(sources, told).mean(0, keepdim=True)
        region = self.region(rgb, points)
        drawn = self.swap(rgb, points, region, latent.expand(len(rgb), -1))
        return torch.cat([drawn, region], 1)

    def region(self, rgb: Tensor, points: Tensor) -> Tensor:
        """Return (N,1,S,S) where the face is.

        Raises:
            ContractError: pictures or points have another shape.
        """
        check_faces(rgb, points, self.config.size)
        return hull(points, self.config.size, _GROWN)

    def latent(self, rgb: Tensor, points: Tensor) -> Tensor:
        """Map sources to the latents (N,latent) of their faces."""
        region = self.region(rgb, points)
        seen = torch.cat([(rgb * 2 - 1) * region, region * 2 - 1], 1)
        latent: Tensor = self.encoder(seen)
        return latent

    def face(self, latent: Tensor) -> Tensor:
        """Draw the face part (N,3,S,S) that a latent was taken from."""
        drawn: Tensor = torch.sigmoid(self.decoder(latent))
        return drawn

    def swap(self, rgb: Tensor, points: Tensor, region: Tensor, latent: Tensor) -> Tensor:
        """Draw (N,3,S,S) in [0,1]: the target's face region anew, of the latent (N,latent)."""
        without = torch.lerp(rgb, brightness(rgb, region).expand_as(rgb), region)
        marks = heatmaps(points, self.config.size)
        drawn: Tensor = torch.sigmoid(
            self.swapper(torch.cat([without * 2 - 1, region, marks], 1), latent)
        )
        return drawn
