"""What one-to-one networks minimize, term by term.

After DeepFaceLab's SAEHD trainer (arXiv 2005.05535, section 3.3, which gives no equations; weights
are its program's). Pictures are (N,3,S,S) RGB in [0,1], masks (N,1,S,S) in [0,1]; each function
returns one float32 number.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from likeness.errors import ConfigError
from likeness.methods.swap.autoencoder.data import Batch
from likeness.synthesize.autoencoder import Face
from likeness.training import losses

_FINE = 256
"""Side from which structure is compared at two scales."""


@dataclass(frozen=True)
class SwapLossConfig:
    """Weights of the terms."""

    structure: float = 10.0
    """Of structural dissimilarity."""
    pixels: float = 10.0
    """Of the squared error of colors."""
    mask: float = 10.0
    """Of the squared error of the mask."""
    eyes_mouth: float = 30.0
    """Of the absolute error at eyes and mouth; DeepFaceLab's priority is 300."""
    points: float = 1.0
    """How strongly the code has to tell where points and irises stand; only df and liae."""
    masked: bool = True
    """Whether only the face counts, not what is around it."""
    blurred_outside: bool = False
    """Whether what is around the face is blurred in the pictures to be drawn."""
    true_face: float = 0.0
    """How strongly codes of the source are made to look like the target's; only df."""
    adversarial: float = 0.1
    """Weight of the patch discriminator, once it begins."""
    patch: int | None = None
    """Side in pixels of what it judges; None for an eighth of the picture."""
    judge_width: int = 16
    """Channels of its first layer."""
    face_style: float = 0.0
    """How strongly the swapped face takes the target's mean color and contrast, 0 to 100."""
    background_style: float = 0.0
    """How strongly the surroundings of the swapped face are the target's, 0 to 100."""

    def __post_init__(self) -> None:
        weights = (self.structure, self.pixels, self.mask, self.eyes_mouth, self.true_face)
        if min(*weights, self.points, self.adversarial, self.face_style, self.background_style) < 0:
            raise ConfigError("a weight of a loss is below 0; expected 0 or more")
        if self.structure + self.pixels == 0:
            raise ConfigError("structure and pixels are both 0; expected one above it")


def reconstruction(drawn: Face, batch: Batch, config: SwapLossConfig) -> Tensor:
    """Compare a drawn face with the real one.

    E = structure * DSSIM + pixels * mean (x - y)^2 + eyes_mouth * mean |x e - y e|
        + mask * mean (m_x - m_y)^2,
    the first two of pictures times `face_weight`, where only the face counts.
    """
    result, real = drawn.rgb.float(), batch.real
    if config.blurred_outside:
        real = blurred_outside(real, batch.mask)
    x, y = result, real
    if config.masked:
        weight = face_weight(batch.mask)
        x, y = x * weight, y * weight
    loss = config.pixels * (x - y).square().mean()
    if config.structure > 0:
        loss = loss + config.structure * structure(x, y)
    if config.eyes_mouth > 0:
        apart = (result - real).abs() * batch.features
        loss = loss + config.eyes_mouth * apart.mean()
    return loss + config.mask * (drawn.mask.float() - batch.mask).square().mean()


def pointing(told: Tensor, marks: Tensor) -> Tensor:
    """Compare what a code tells of a face with what the face does.

    E = mean over known numbers of d^2/2 where |d| < 1, |d| - 1/2 elsewhere.

    Args:
        told: (N,140) read from the code by one linear map that both people share.
        marks: (N,140), NaN where not known.
    """
    known = torch.isfinite(marks)
    apart = functional.smooth_l1_loss(
        torch.where(known, told.float(), 0.0), torch.where(known, marks, 0.0), reduction="sum"
    )
    return apart / known.sum().clamp(min=1)


def structure(result: Tensor, real: Tensor) -> Tensor:
    """Structural dissimilarity, of one scale below 256 pixels and the mean of two from there on."""
    side = result.shape[-1]
    coarse = losses.dssim(result, real, max(3, int(side / 11.6)))
    if side < _FINE:
        return coarse
    return (coarse + losses.dssim(result, real, int(side / 23.2))) / 2


def face_weight(mask: Tensor) -> Tensor:
    """Return (N,1,S,S) weights: 1 in the face, falling to 0 outside: 2 min(blurred mask, 1/2)."""
    return blurred(mask, max(1.0, mask.shape[-1] / 32)).clamp(0, 0.5) * 2


def blurred(picture: Tensor, deviation: float) -> Tensor:
    """Blur (N,C,S,S) by a Gaussian of a deviation in pixels; borders are repeated."""
    reach = max(1, round(2 * deviation))
    places = torch.arange(-reach, reach + 1, dtype=torch.float32, device=picture.device)
    taps = torch.softmax(-places.square() / (2 * deviation**2), 0)
    count = picture.shape[1]
    padded = functional.pad(picture.float(), [reach] * 4, mode="replicate")
    across, along = taps.view(1, 1, 1, -1), taps.view(1, 1, -1, 1)
    rows = functional.conv2d(padded, across.expand(count, -1, -1, -1), groups=count)
    return functional.conv2d(rows, along.expand(count, -1, -1, -1), groups=count)


def blurred_outside(real: Tensor, mask: Tensor) -> Tensor:
    """Blur what is around the face, without letting the face into it."""
    deviation = max(1.0, real.shape[-1] / 128)
    outside = 1 - mask
    share = blurred(outside, deviation)
    share = torch.where(share > 0, share, torch.ones_like(share))
    return real * mask + blurred(real * outside, deviation) / share * outside


def style(result: Tensor, real: Tensor) -> Tensor:
    """Compare blurred means and deviations per channel: mean over channels of squared differences.

    Pictures are blurred by an eighth of their side first.
    """
    side = result.shape[-1]
    x, y = blurred(result, side / 16), blurred(real, side / 16)
    means = (x.mean((2, 3)) - y.mean((2, 3))).square()
    spreads = ((x.var((2, 3)) + 1e-5).sqrt() - (y.var((2, 3)) + 1e-5).sqrt()).square()
    return (means + spreads).mean()


def swapped_style(drawn: Face, target: Batch, config: SwapLossConfig) -> Tensor:
    """Hold a swapped face to the target's look, inside and around it.

    E = 100 f style(x m, y m) + b/10 (DSSIM + MSE) of both times 1 - m, with m the target's mask.
    """
    x, mask = drawn.rgb.float(), face_weight(target.mask)
    loss = torch.zeros((), device=x.device)
    if config.face_style > 0:
        inside = style(x * mask, target.real * mask)
        loss = loss + 100 * config.face_style * inside
    if config.background_style > 0:
        outside = 1 - mask
        a, b = x * outside, target.real * outside
        apart = structure(a, b) + (a - b).square().mean()
        loss = loss + config.background_style / 10 * apart
    return loss


def variation(picture: Tensor) -> Tensor:
    """Mean squared difference of neighbors along x and y."""
    across = picture[..., :, 1:] - picture[..., :, :-1]
    along = picture[..., 1:, :] - picture[..., :-1, :]
    return across.square().mean() + along.square().mean()
