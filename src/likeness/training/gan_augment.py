"""Adaptive augmentation: a discriminator that cannot learn its few pictures by heart.

Paper: Karras et al., Training Generative Adversarial Networks with Limited Data (NeurIPS 2020),
sections 2 and 3 and appendix B: every transformation is applied with probability p to real and
drawn pictures alike, and p follows how surely real ones are told from drawn ones (r_t, equation 1).
Differs: geometry is one bilinear sampling with mirrored borders (the paper filters with a wavelet);
quarter turns are left out, as faces stand upright; filters and corruptions are left out, as in the
paper's recommended set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.types import Floats

_GEOMETRY, _COLOR = 5, 5
CHANCES = _GEOMETRY + _COLOR
"""Transformations that are switched on one by one."""
AMOUNTS = 11
"""Numbers that say how far the transformations go."""

_LUMA = np.full(3, 1 / np.sqrt(3))


@dataclass(frozen=True)
class AdaptConfig:
    """How the probability of augmentation is led."""

    target: float = 0.6
    """r_t: mean sign of the discriminator's answer to real pictures that is aimed at."""
    speed: float = 100_000
    """Pictures over which p may rise from 0 to 1; the paper takes 500 000 for longer trainings."""
    most: float = 0.8
    """Upper bound of p, above which augmentations leak into what is drawn."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Chance for N pictures, drawn ahead; what comes of it depends on p."""

    chances: Tensor
    """(N,CHANCES) uniform: a transformation with a number below p is applied."""
    amounts: Tensor
    """(N,AMOUNTS) standard normal."""

    @staticmethod
    def of(random: np.random.Generator, count: int) -> Draws:
        """Draw for `count` pictures."""
        return Draws(
            torch.from_numpy(random.random((count, CHANCES), np.float32)),
            torch.from_numpy(random.standard_normal((count, AMOUNTS), np.float32)),
        )


class Adaptation(nn.Module):
    """p, and what it is led by; buffers, so that a resumed training goes on with them."""

    probability: Tensor
    signs: Tensor
    """Moving mean of sign(D(real))."""

    def __init__(self, config: AdaptConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("probability", torch.zeros(()))
        self.register_buffer("signs", torch.zeros(()))

    @torch.no_grad()
    def observe(self, logits: Tensor) -> None:
        """Move p by what the discriminator has answered to a batch of real pictures."""
        self.signs.lerp_(logits.float().sign().mean(), 0.1)
        step = len(logits) / self.config.speed
        towards = torch.sign(self.signs - self.config.target)
        self.probability.add_(towards * step).clamp_(0, self.config.most)

    def forward(self, rgb: Tensor, draws: Draws) -> Tensor:
        """Transform (N,3,S,S) pictures in [0,1], differentiably."""
        p = float(self.probability)
        if p <= 0:
            return rgb
        on = (draws.chances < p).float()
        return _recolored(_moved(rgb, on, draws.amounts), on, draws.amounts)


def _moved(rgb: Tensor, on: Tensor, amounts: Tensor) -> Tensor:
    """Mirror, shift, scale, stretch and turn: one sampling."""
    n = len(rgb)
    mirror = 1 - 2 * on[:, 0] * (amounts[:, 0] > 0).float()
    scale = torch.exp2(0.2 * amounts[:, 1] * on[:, 1])
    stretch = torch.exp2(0.2 * amounts[:, 2] * on[:, 2])
    angle = 0.25 * amounts[:, 3] * on[:, 3]
    shift = 0.125 * amounts[:, 4:6] * on[:, 4:5] * 2
    cosine, sine = torch.cos(angle), torch.sin(angle)
    theta = torch.stack(
        [
            torch.stack([mirror * cosine * scale * stretch, -sine * scale, shift[:, 0]], 1),
            torch.stack([mirror * sine * scale, cosine * scale / stretch, shift[:, 1]], 1),
        ],
        1,
    )
    still = torch.zeros(n, 2, 3)
    still[:, 0, 0] = still[:, 1, 1] = 1
    moved = (theta - still).abs().amax((1, 2)) > 0
    if not moved.any():
        return rgb
    grid = functional.affine_grid(theta[moved], [int(moved.sum()), *rgb.shape[1:]], False)
    sampled = functional.grid_sample(
        rgb[moved].float(), grid, padding_mode="reflection", align_corners=False
    )
    answer = rgb.clone()
    answer[moved] = sampled.to(rgb.dtype)
    return answer


def _recolored(rgb: Tensor, on: Tensor, amounts: Tensor) -> Tensor:
    """Brightness, contrast, luma flip, hue and saturation: one matrix per picture."""
    n = len(rgb)
    luma = torch.from_numpy(np.outer(_LUMA, _LUMA)).float()
    one = torch.eye(3)
    contrast = torch.exp2(0.5 * amounts[:, 7] * on[:, 6])[:, None, None]
    flip = (on[:, 7] * (amounts[:, 8] > 0).float())[:, None, None]
    hue = torch.from_numpy(_turns((amounts[:, 9] * on[:, 8]).numpy()))
    saturation = torch.exp2(amounts[:, 10] * on[:, 9])[:, None, None]
    matrix = (luma + (one - luma) * saturation) @ hue @ (one - 2 * flip * luma) * contrast
    brightness = (0.2 * amounts[:, 6] * on[:, 5])[:, None, None]
    centered = rgb.float().flatten(2) * 2 - 1
    return ((matrix @ centered + brightness + 1) / 2).reshape(n, *rgb.shape[1:]).to(rgb.dtype)


def _turns(amount: Floats) -> Floats:
    """(N,3,3) rotations about the gray axis by up to half a turn."""
    angle = np.pi * np.clip(amount, -1, 1)
    c, s = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    x, y, z = _LUMA
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(c * np.eye(3) + s * cross + (1 - c) * np.outer(_LUMA, _LUMA), np.float32)
