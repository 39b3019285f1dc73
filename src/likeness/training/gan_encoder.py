"""Teach an encoder the way back: from what a generator draws to the codes it was drawn from.

Papers: Tov et al., e4e (SIGGRAPH 2021), for the network and the weight on what single rows add;
Zhu et al., In-Domain GAN Inversion (ECCV 2020), for learning from drawn pictures, whose codes are
known, and from real ones, which only have to look the same.
The generator stands still. Where it was trained together with an encoder, this is the last polish;
an imported generator gets its encoder here alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from likeness.nets.latents import WPlus
from likeness.training.gan import Pair, band_error
from likeness.training.loop import Losses
from likeness.types import check


@dataclass(frozen=True)
class EncoderConfig:
    """What is minimized."""

    batch: int = 8
    """Drawn pictures in a batch; as many real ones come along where there are any."""
    codes: float = 1.0
    """Weight of the squared error of known codes."""
    pixels: float = 6.0
    """Weight of the absolute error of pictures drawn again, mean over bands."""
    spread: float = 0.05
    """Weight of what single rows add to the mean code."""


@dataclass(frozen=True, eq=False)
class EncoderSample:
    """One batch."""

    z: Tensor
    """(N,Z)."""
    real: Tensor | None
    """(N,3,S,S) in [0,1]."""
    own: Tensor | None = None
    """(N,Z) of the real pictures, where known."""


class EncoderTask:
    """A `loop.Task` that leaves the pair's generator as it is."""

    discriminator: nn.Module | None = None

    def __init__(
        self,
        pair: Pair,
        pixels: NDArray[np.uint8] | None,
        config: EncoderConfig,
        latents: Tensor | None = None,
    ) -> None:
        """Train on what the generator draws, and on `pixels` (M,3,S,S), if there are any.

        `latents` (2,M,Z) are their normal vectors and those of mirrored ones, where known.
        """
        check(pair.encoder is not None, "the pair has no encoder, expected one to be trained")
        pair.faces.requires_grad_(False)
        self.generator: Pair = pair
        self.generator.train()
        self.pixels, self.config, self.latents = pixels, config, latents

    def sample(self, random: np.random.Generator) -> EncoderSample:
        """Draw one batch."""
        n = self.config.batch
        shape = (n, self.generator.faces.config.latent)
        z = torch.from_numpy(random.standard_normal(shape, np.float32))
        if self.pixels is None:
            return EncoderSample(z, None)
        rows = random.integers(len(self.pixels), size=n)
        real = torch.from_numpy(np.array(self.pixels[rows])).float() / 255
        turned = torch.from_numpy(random.random(n) < 0.5)
        real = torch.where(turned[:, None, None, None], real.flip(3), real)
        own = None if self.latents is None else self.latents[turned.long(), torch.from_numpy(rows)]
        return EncoderSample(z, real, own)

    def losses(self, sample: EncoderSample, progress: float) -> Losses:
        """Evaluate one batch."""
        del progress
        faces, config = self.generator.faces, self.config
        noise = faces.synthesis.fixed_noise()
        with torch.no_grad():
            z = sample.z if sample.own is None else torch.cat([sample.z, sample.own])
            code = faces.mapping(z).code
            told = WPlus(_rows(code[: len(sample.z)], faces.config.layers))
            shown = faces.draw(told, noise).clamp(0, 1)
        drawn = len(code)
        if sample.real is not None:
            shown = torch.cat([shown, sample.real])
        found = self.generator.encode(shown).codes
        apart = (found - found.mean(1, keepdim=True)).square().mean()
        known = (found[:drawn] - code[:, None]).square().mean()
        again = faces.draw(WPlus(found), noise)
        loss = config.codes * known + config.spread * apart
        return Losses(loss + config.pixels * band_error(again - shown))


def _rows(code: Tensor, layers: int) -> Tensor:
    return code[:, None].expand(-1, layers, -1)
