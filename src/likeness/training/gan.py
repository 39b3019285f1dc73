"""How a face generator and its encoder are trained: StyleGAN2 against a discriminator.

Papers: Karras et al., StyleGAN2 (CVPR 2020): non-saturating loss with R1 (Mescheder 2018) and path
length regularization, both lazy (section 3.1 and 3.2, appendix B), mixed styles; Karras et al.,
StyleGAN2-ADA (NeurIPS 2020) for augmentation and for R1's weight by size and batch.
Differs: one loop trains both (`loop.train`), so the generator moves first, and its discriminator
is shown the same drawn pictures; lazy steps come by chance instead of by count, so that each step
knows its own from (seed, step) alone; gradients are clipped; the rate falls along half a cosine,
because these trainings end after an hour or so; R1 is taken at the augmented picture.

Where there is an encoder, a part of each batch is drawn from codes that it finds in real pictures,
and shall be these pictures again (Larsen et al., Autoencoding beyond Pixels, ICML 2016), while it
finds the codes of drawn pictures again: a generator that has to reconstruct learns faces from few
pictures and little time, and inverts what it was shown. A training may begin with that alone,
without a discriminator, which costs a third of a step; codes that are drawn are then brought to
those that are found by their energy distance (Székely and Rizzo 2013). Or each picture has a normal
vector of its own from the start (Bojanowski et al., Optimizing the Latent Space of Generative
Networks, ICML 2018), here its coefficients in eigenfaces, and the encoder is taught afterward.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from likeness.nets.inversion import Inversion
from likeness.nets.latents import W, WPlus
from likeness.synthesize.stylegan import Noise, Stylegan
from likeness.synthesize.stylegan_discriminator import StyleganDiscriminator
from likeness.training.gan_augment import Adaptation, AdaptConfig, Draws
from likeness.training.loop import Losses
from likeness.training.losses import discriminator_log, generator_log
from likeness.types import check

_FOLLOW = 0.005
"""Share by which the average code and the mean path follow those of a batch."""


@dataclass(frozen=True)
class GanConfig:
    """What is minimized, and how often."""

    batch: int = 16
    mirror: bool = True
    """Whether real pictures are mirrored by half."""
    r1: float = 0.3
    """Weight of R1 in published units (pictures in [-1,1]); 0.0002 S^2 / batch is a good start."""
    r1_share: float = 1 / 16
    """Share of the steps that pay for R1, then by its inverse more."""
    path: float = 2.0
    """Weight of the path length."""
    path_share: float = 1 / 8
    mixing: float = 0.9
    """Share of the pictures that are drawn from two codes."""
    adapt: AdaptConfig = field(default_factory=AdaptConfig)
    encoded: float = 0.5
    """Share of a batch that is drawn from encoded pictures, where there is an encoder."""
    pixels: float = 6.0
    """Weight of their error: absolute, mean over the bands of a pyramid."""
    codes: float = 0.5
    """Weight of the squared error of codes that were drawn and found again."""
    match: float = 1.0
    """Weight of the energy distance between drawn and found codes, while nobody judges."""
    spread: float = 0.05
    """Weight of what the encoder adds to single rows, which keeps its codes near W."""
    narrow: bool = False
    """Compute convolutions in bfloat16, where that is faster."""


@dataclass(frozen=True, eq=False)
class GanSample:
    """One batch: pictures and all the chance that goes into a step."""

    real: Tensor
    """(N,3,S,S) in [0,1]."""
    z: Tensor
    """(2,N,Z): codes, and those that take over."""
    takeover: Tensor
    """(N,) layer from which on the second code rules."""
    seed: int
    """Of the noise pictures."""
    real_draws: Draws
    fake_draws: Draws
    punish_gradient: bool
    punish_path: bool
    own: Tensor | None = None
    """(N,Z) normal vectors of the real pictures, where they are known."""


class Pair(nn.Module):
    """What is trained: a generator, and its encoder if it has one."""

    def __init__(self, faces: Stylegan, encoder: Inversion | None) -> None:
        super().__init__()
        self.faces = faces
        self.encoder = encoder

    def encode(self, rgb: Tensor) -> WPlus:
        """Find the codes of (N,3,S,S) pictures, for as many rows as the generator has."""
        encoder = self.encoder
        assert encoder is not None  # noqa: S101 - the caller has looked
        side = encoder.config.size
        if rgb.shape[2] != side:
            rgb = functional.interpolate(
                rgb, size=(side, side), mode="bilinear", align_corners=False
            )
        found: WPlus = encoder(rgb)
        return WPlus(found.codes[:, : self.faces.config.layers])


class Judge(nn.Module):
    """The discriminator with what a training keeps beside it."""

    path_mean: Tensor

    def __init__(self, network: StyleganDiscriminator, adapt: AdaptConfig) -> None:
        super().__init__()
        self.network = network
        self.adaptation = Adaptation(adapt)
        self.register_buffer("path_mean", torch.zeros(()))

    def forward(self, rgb: Tensor, draws: Draws) -> Tensor:
        """Judge augmented pictures: (N,3,S,S) in [0,1] to logits (N,1)."""
        logits: Tensor = self.network(self.adaptation(rgb, draws)).float()
        return logits


class GanTask:
    """Generator and encoder against Judge; a `loop.Task`."""

    def __init__(
        self,
        pair: Pair,
        discriminator: StyleganDiscriminator | None,
        pixels: NDArray[np.uint8],
        config: GanConfig,
        latents: Tensor | None = None,
    ) -> None:
        """Train on `pixels` (M,3,S,S), S the side of the networks or a multiple of it.

        Without a discriminator the pair learns to reconstruct, from its encoder's codes or from
        `latents` (2,M,Z): a normal vector for each picture, and for each mirrored.
        """
        self.faces = pair.faces
        side = self.faces.config.size
        judged = side if discriminator is None else discriminator.config.size
        check(
            pixels.shape[2] % side == 0 and judged == side,
            f"pictures have shape {pixels.shape}, the discriminator takes {judged} pixels; "
            f"expected (M, 3, {side}, {side}) or more",
        )
        check(
            discriminator is not None or pair.encoder is not None or latents is not None,
            "neither encoder, latents nor discriminator, expected one to learn from",
        )
        self.reduction = pixels.shape[2] // side
        self.generator: Pair = pair.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.generator.train()
        self.discriminator: Judge | None = (
            None if discriminator is None else Judge(discriminator, config.adapt)
        )
        self.pixels, self.config = pixels, config
        share = config.encoded if discriminator is not None else 1.0
        known = pair.encoder is not None or latents is not None
        self.encoded = round(config.batch * share) if known else 0
        self.latents = latents

    def sample(self, random: np.random.Generator) -> GanSample:
        """Draw one batch."""
        n, network = self.config.batch, self.faces.config
        rows = random.integers(len(self.pixels), size=n)
        real = torch.from_numpy(np.array(self.pixels[rows])).float() / 255
        if self.reduction > 1:
            real = functional.avg_pool2d(real, self.reduction)
        turned = torch.from_numpy((random.random(n) < 0.5) & self.config.mirror)
        real = torch.where(turned[:, None, None, None], real.flip(3), real)
        own = None if self.latents is None else self.latents[turned.long(), torch.from_numpy(rows)]
        count = n - self.encoded if self.discriminator is not None else n
        z = torch.from_numpy(random.standard_normal((2, count, network.latent), np.float32))
        takeover = random.integers(1, network.layers, count)
        takeover[random.random(count) >= self.config.mixing] = network.layers
        return GanSample(
            real,
            z,
            torch.from_numpy(takeover),
            int(random.integers(2**31)),
            Draws.of(random, n),
            Draws.of(random, n),
            bool(random.random() < self.config.r1_share),
            bool(random.random() < self.config.path_share),
            own,
        )

    def losses(self, sample: GanSample, progress: float) -> Losses:
        """Evaluate one batch."""
        del progress
        chance = torch.Generator().manual_seed(sample.seed)
        if self.discriminator is None:
            return Losses(self._reconstructed(sample, chance))
        self.discriminator.requires_grad_(False)
        fake, loss = self._drawn(sample, chance)
        with self._narrow():
            judged = self._judge()(fake, sample.fake_draws)
        loss = loss + generator_log(judged)
        if sample.punish_path:
            loss = loss + self._path(sample, chance)
        return Losses(loss, self._discriminate(sample, fake.detach()))

    def _drawn(self, sample: GanSample, chance: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw from normal vectors and from encoded pictures; return all, and what was missed."""
        config, synthesis = self.config, self.faces.synthesis
        codes = self._codes(sample)
        noise = synthesis.random_noise(len(codes.codes), chance)
        with self._narrow():
            invented = self.faces.draw(codes, noise)
        if not self.encoded:
            return invented, invented.new_zeros(())
        shown = sample.real[: self.encoded]
        if sample.own is not None:
            mapped = self.faces.mapping(sample.own[: self.encoded])
            with self._narrow():
                same = self.faces.draw(mapped, synthesis.random_noise(len(shown), chance))
            missed = config.pixels * band_error(same.float() - shown)
            return torch.cat([invented, same]), missed
        found = self.generator.encode(torch.cat([shown, invented.detach().float().clamp(0, 1)]))
        own, again = found.codes[: self.encoded], found.codes[self.encoded :]
        with self._narrow():
            same = self.faces.draw(WPlus(own), synthesis.random_noise(len(own), chance))
        missed = config.pixels * band_error(same.float() - shown)
        missed = missed + config.codes * (again - codes.codes.detach()).square().mean()
        apart = (own - own.mean(1, keepdim=True)).square().mean()
        return torch.cat([invented, same]), missed + config.spread * apart

    def _reconstructed(self, sample: GanSample, chance: torch.Generator) -> Tensor:
        """What is missed of real pictures, and how unlike drawn codes are to found ones."""
        config = self.config
        if sample.own is not None:
            noise = self.faces.synthesis.random_noise(len(sample.real), chance)
            mapped = self.faces.mapping(sample.own)
            with torch.no_grad():
                self.faces.mapping.average.lerp_(mapped.code.mean(0), _FOLLOW)
            with self._narrow():
                same = self.faces.draw(mapped, noise)
            return config.pixels * band_error(same.float() - sample.real)
        own = self.generator.encode(sample.real).codes
        drawn = self._codes(sample).codes[:, 0]
        with self._narrow():
            noise = self.faces.synthesis.random_noise(len(own), chance)
            same = self.faces.draw(WPlus(own), noise)
        missed = config.pixels * band_error(same.float() - sample.real)
        middle = own.mean(1)
        apart = (own - middle[:, None]).square().mean()
        return missed + config.match * _energy(middle, drawn) + config.spread * apart

    def _codes(self, sample: GanSample) -> WPlus:
        first, second = (self.faces.mapping(z).code for z in sample.z)
        with torch.no_grad():
            self.faces.mapping.average.lerp_(first.mean(0), _FOLLOW)
        own = torch.arange(self.faces.config.layers)[None] < sample.takeover[:, None]
        return WPlus(torch.where(own[:, :, None], first[:, None], second[:, None]))

    def _discriminate(self, sample: GanSample, fake: Tensor) -> Callable[[], Tensor]:
        def loss() -> Tensor:
            judge, config = self._judge(), self.config
            judge.requires_grad_(True)
            with self._narrow():
                told = judge(fake, sample.fake_draws)
                if not sample.punish_gradient:
                    judged = judge(sample.real, sample.real_draws)
            if sample.punish_gradient:
                # In float32: gradients of gradients are small.
                seen = judge.adaptation(sample.real, sample.real_draws).requires_grad_(True)
                judged = judge.network(seen)
            answer = 2 * discriminator_log(judged, told)
            if sample.punish_gradient:
                (slope,) = torch.autograd.grad(judged.sum(), seen, create_graph=True)
                # Published weights are for pictures in [-1,1], whose gradient is half of this.
                penalty = slope.square().sum((1, 2, 3)).mean() / 4
                answer = answer + penalty * (config.r1 / 2 / config.r1_share)
            judge.adaptation.observe(judged.detach())
            return answer

        return loss

    def _path(self, sample: GanSample, chance: torch.Generator) -> Tensor:
        """Path length: |J^T y| shall be alike everywhere in W (StyleGAN2, equation 4)."""
        count = max(1, sample.z.shape[1] // 2)
        code = self.faces.mapping(sample.z[1, :count]).code
        rows = W(code).broadcast(self.faces.config.layers)
        noise: Noise = self.faces.synthesis.random_noise(count, chance)
        drawn = self.faces.draw(rows, noise) * 2 - 1
        side = self.faces.config.size
        along = torch.randn(drawn.shape, generator=chance) / side
        (slope,) = torch.autograd.grad((drawn * along).sum(), rows.codes, create_graph=True)
        lengths = slope.square().sum(2).mean(1).sqrt()
        mean = self._judge().path_mean
        with torch.no_grad():
            # The first mean is the first that was seen: all would be punished otherwise.
            mean.copy_(torch.lerp(mean, lengths.mean(), 0.05) if float(mean) else lengths.mean())
        weight = self.config.path / self.config.path_share
        return (lengths - mean).square().mean() * weight

    def _judge(self) -> Judge:
        assert self.discriminator is not None  # noqa: S101 - asked for where there is one
        return self.discriminator

    def _narrow(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.config.narrow)


def _energy(a: Tensor, b: Tensor) -> Tensor:
    """Energy distance of two sets (N,D) and (M,D), in units of the root of D; 0 if alike."""
    across = torch.cdist(a, b).mean()
    within = [torch.cdist(x, x).sum() / (len(x) * (len(x) - 1)) for x in (a, b)]
    return (2 * across - within[0] - within[1]) / math.sqrt(a.shape[1])


def band_error(difference: Tensor) -> Tensor:
    """Mean absolute error over the bands of a pyramid of means, each counting the same."""
    total, count, rest = difference.new_zeros(()), 0, difference
    while rest.shape[2] >= 8:
        low = functional.avg_pool2d(rest, 2)
        again = functional.interpolate(low, scale_factor=2.0, mode="nearest")
        total = total + (rest - again).abs().mean()
        count, rest = count + 1, low
    return (total + rest.abs().mean()) / (count + 1)
