"""RSGAN's generator: face and hair as two latent variables, and a picture composed of them.

Paper: Natsume et al., RSGAN: Face Swapping and Editing using Face and Hair Representation in Latent
Spaces (arXiv 1804.03447): two region-separative networks, each a variational autoencoder of one
region's picture, and a composer that draws the whole from both latents. A swap takes the face's
latent from the source. No weights were published.
Differs: the paper's sizes of layers and latents are not known for sure; it also tells encoders and
composer 40 attributes of CelebA, for which there are no labels here. "Hair" is all that lies
outside the outline of the landmarks, scaled by 1.15: without a parser's weights nobody tells hair
from wall, and the paper's composer has to draw that, too.
Input:  rgb (N,3,S,S) in [0,1], points (N,478,3) as `face_maps` has them: the target; sources
(K,3,S,S) and their points (K,478,3): one person's.
Output: (N,4,S,S) in [0,1]: the composed picture, and the target's face region.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from likeness.synthesize.face_maps import hull
from likeness.synthesize.picture_layers import Decoder, Encoder, check_faces, prove_widths

_GROWN = 1.15
_MOST = 8.0
"""Bound of the logarithm of variances: beyond it a step of training overflows."""

_CALM = -7.0
"""Logarithm of the variances before training."""


@dataclass(frozen=True)
class RSGANConfig:
    """Shape of the networks."""

    size: int = 64
    """Side of the crop in pixels."""
    widths: tuple[int, ...] = (24, 48, 96, 128)
    """Channels after each halving, down to 4x4."""
    face: int = 128
    """Numbers of the face's latent."""
    hair: int = 128
    """Numbers of the latent of all else."""

    def __post_init__(self) -> None:
        prove_widths(self.size, self.widths, self.face, self.hair)


class Separator(nn.Module):
    """A variational autoencoder of one region's picture."""

    def __init__(self, config: RSGANConfig, numbers: int) -> None:
        super().__init__()
        self.encoder = Encoder(4, config.widths, 2 * numbers)
        self.decoder = Decoder(numbers, config.widths, 3, unfolds=True)
        # At first latents tell the picture and little chance: else nobody learns to read them.
        with torch.no_grad():
            self.encoder.told.bias[numbers:] = _CALM

    def forward(self, rgb: Tensor, region: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N,3,S,S) and the region (N,1,S,S) to mean and logarithm of the variance."""
        seen = torch.cat([(rgb * 2 - 1) * region, region * 2 - 1], 1)
        mean, spread = self.encoder(seen).chunk(2, 1)
        return mean, spread.clamp(-_MOST, _MOST)


class RSGAN(nn.Module):
    """Both separators and the composer; see the head of this file."""

    def __init__(self, config: RSGANConfig) -> None:
        super().__init__()
        self.config = config
        self.face = Separator(config, config.face)
        self.hair = Separator(config, config.hair)
        self.composer = Decoder(config.face + config.hair, config.widths, 3, unfolds=True)

    def forward(self, rgb: Tensor, points: Tensor, sources: Tensor, told: Tensor) -> Tensor:
        """Draw the targets with the sources' face; latents are means, of all sources."""
        region = self.region(rgb, points)
        face = self.face(sources, self.region(sources, told))[0].mean(0, keepdim=True)
        hair = self.hair(rgb, 1 - region)[0]
        drawn = self.compose(face.expand(len(rgb), -1), hair)
        return torch.cat([drawn, region], 1)

    def region(self, rgb: Tensor, points: Tensor) -> Tensor:
        """Return (N,1,S,S) where the face is.

        Raises:
            ContractError: pictures or points have another shape.
        """
        check_faces(rgb, points, self.config.size)
        return hull(points, self.config.size, _GROWN)

    def compose(self, face: Tensor, hair: Tensor) -> Tensor:
        """Draw (N,3,S,S) in [0,1] of latents (N,face) and (N,hair)."""
        drawn: Tensor = torch.sigmoid(self.composer(torch.cat([face, hair], 1)))
        return drawn
