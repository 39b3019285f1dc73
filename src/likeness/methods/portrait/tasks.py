"""What a training step of each portrait generator is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.condition.conditioner import (
    GuideStack,
    KeyframeCondition,
    PortraitConditioner,
    select,
)
from likeness.condition.gallery import KEYFRAMES, Features, Gallery, distances
from likeness.condition.matte import Layers
from likeness.synthesize.discriminators import LIGHT, PatchConfig, PatchDiscriminator
from likeness.synthesize.portrait import Portrait, PortraitConfig
from likeness.synthesize.portrait_cpu import PortraitCPU
from likeness.synthesize.spacetime import Spacetime, SpacetimeConfig
from likeness.training import losses
from likeness.training.augment import random_turns
from likeness.training.bank import CropBank
from likeness.training.footage import Footage
from likeness.training.loop import Losses
from likeness.types import FaceParams, Floats

AnyCondition = TypeVar("AnyCondition", KeyframeCondition, GuideStack)
GuideImages = Literal["color", "correspondence", "gaze"]
GUIDE_CHANNELS: Mapping[GuideImages, int] = {"color": 3, "correspondence": 6, "gaze": 9}
"""Guide channels up to and including each of the three guide images."""
_NOISE = 0.03
"""Departure from the plate, in [0,1], that noise and compression cause on a still wall."""


@dataclass(frozen=True)
class FastConfig:
    """How the fast portrait learns."""

    batch: int = 4
    keyframes: int = 256
    """Frames kept in the gallery."""
    apart: int = 25
    """Keyframes this many frames around the wanted one are not offered in training: at run time the
    nearest keyframe is rarely a neighbor in time."""
    layers: bool = True
    """Cut the person out of the keyframes; without, walls are warped with the head."""
    turned: float = 0.5
    """Share of the draws whose keyframes are turned, shifted and scaled a little."""
    widths: tuple[int, ...] = (32, 64, 96, 128)
    learning_rate: float = 7e-4
    betas: tuple[float, float] = (0.9, 0.99)
    constant: bool = False
    average: float = 0.995
    detail: float = 2.0
    """Weight of the Laplacian-pyramid loss, which keeps texture that a mean would blur."""
    pose: float = 0.3
    """What a step of pose counts against one of the body's looks when a keyframe lends its body."""
    texture: float = 0.6
    """Weight of the local-contrast loss, which asks for as much detail as there is."""
    correction: float = 1e-3
    """Weight of the mean square of the warps' corrections, in 256ths of the crop."""
    adversarial: float = 0.0
    """Weight of the patch discriminator; 0 trains without one."""
    adversarial_from: float = 0.6
    """Share of the training after which it joins: first the place, then the grain."""


@dataclass(frozen=True)
class PaperConfig:
    """How the space-time network learns (Deep Video Portraits; AudioDVP's published settings)."""

    batch: int = 2
    """16 in the paper, on a GPU."""
    window: int = 11
    """Guide frames that the network sees at once, the current one last."""
    width: int = 64
    refine: bool = True
    """Two convolutions before each doubling."""
    guides: GuideImages = "gaze"
    """Last guide image that is told: color alone, correspondence besides, or gaze too."""
    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    constant: bool = True
    average: float = 0.0
    """The paper keeps no moving average."""
    reconstruction: float = 100.0
    """Weight of L1 against the adversarial loss."""


PIX2PIX = PaperConfig(window=1, refine=False)
"""Plain image-to-image translation (Isola et al. 2017): one frame in, no refinement blocks."""


@dataclass(frozen=True, eq=False)
class PortraitSample(Generic[AnyCondition]):
    """One batch of either portrait."""

    condition: AnyCondition
    real: Tensor
    """(N,3,h,w) RGB in [0,1]."""
    weight: Tensor
    """(N,1,h,w) importance of each pixel, mean one."""
    told: Tensor | None = None
    """What the fast portrait's network is told of the condition, made ahead."""

    def to(self, device: torch.device) -> PortraitSample[AnyCondition]:
        """Return the sample with its pixels on another device."""
        condition = self.condition.to(device)
        told = None if self.told is None else self.told.to(device)
        return PortraitSample(condition, self.real.to(device), self.weight.to(device), told)


def rarity(described: Features, seed: int = 0) -> Floats:
    """Return (N,) sampling probabilities: half even, half by how alone a frame stands.

    Rare states (blinks, laughter, extreme poses) are what a portrait is judged by and what an even
    draw hardly ever shows. A frame stands alone when even its sixth neighbor among 300 frames
    drawn at random is far.
    """
    points = described.joined()
    count = len(points)
    random = np.random.default_rng(seed)
    sample = points[random.choice(count, min(300, count), replace=False)]
    squares = np.square(points).sum(1)[:, None] + np.square(sample).sum(1) - 2 * points @ sample.T
    alone = np.sqrt(np.sort(squares.clip(0), 1)[:, min(5, len(sample) - 1)])
    even = np.full(count, 1 / count)
    total = alone.sum()
    probability = 0.5 * even + 0.5 * (alone / total if total > 0 else even)
    normalized: Floats = probability / probability.sum()
    return normalized


def region_weights(conditioner: PortraitConditioner, params: FaceParams) -> Tensor:
    """Return (N,1,h,w) weights: face 3, mouth 6, eyes 7, the rest 1, scaled to mean one.

    Regions are boxes around the posed vertices, so that a closed eye counts as much as an open one.
    """
    posed = conditioner.mesh.pose(params, conditioner.crop_from_frame, conditioner.frame_size)
    regions = conditioner.mesh.model.regions
    side = conditioner.side
    weight = np.ones((len(params), 1, side, side), np.float32)
    margin = side * 0.02
    for name, extra in (("face_oval", 2), ("lips", 3), ("right_eye", 4), ("left_eye", 4)):
        points = posed.vertices[:, regions[name], :2]
        low = np.floor(points.min(1) - margin).astype(int).clip(0)
        high = np.ceil(points.max(1) + margin).astype(int).clip(0)
        for n in range(len(params)):
            weight[n, 0, low[n, 1] : high[n, 1], low[n, 0] : high[n, 0]] += extra
    return torch.from_numpy(weight / weight.mean((1, 2, 3), keepdims=True))


class FastTask:
    """Draw frames of the target from its other frames."""

    def __init__(
        self, footage: Footage, gallery: Gallery, layers: Layers, config: FastConfig
    ) -> None:
        self.footage, self.gallery, self.config = footage, gallery, config
        conditioner = footage.conditioner
        self.probability = rarity(conditioner.describe(footage.params))
        code = conditioner.code(select(footage.shot.params, np.array([0]))).shape[1]
        self.generator = Portrait(
            PortraitConfig(conditioner.side, KEYFRAMES, code, tuple(config.widths))
        )
        self.generator.plate.copy_(layers.plate)
        self.generator.still.copy_(stillness(footage.bank, layers.plate))
        # Compiled, and while the step before is still running: half of a step's pixels.
        self._teller = PortraitCPU(self.generator)
        self.discriminator: nn.Module | None = None
        if config.adversarial > 0:
            self.discriminator = PatchDiscriminator(LIGHT)
        _place(footage.budget.device, self.generator, self.discriminator)

    def sample(self, random: np.random.Generator) -> PortraitSample[KeyframeCondition]:
        """Draw rare frames more often; withhold keyframes from around each."""
        footage, conditioner, gallery = self.footage, self.footage.conditioner, self.gallery
        chosen = random.choice(len(footage.bank), self.config.batch, p=self.probability)
        frames = footage.rows[chosen]
        params = select(footage.shot.params, frames)
        real = footage.bank.crops(chosen)
        # Nearer in time than at run time, a keyframe would teach copying.
        banned = np.abs(gallery.times - frames[:, None]) <= self.config.apart
        unlike = conditioner.bodies(params, real).apart(gallery.bodies)
        unlike += self.config.pose * distances(conditioner.describe(params).pose, gallery.pose)
        body_keyframes = np.where(banned, unlike + 1e9, unlike).argmin(1)
        turns = random_turns(random, len(chosen), KEYFRAMES, conditioner.side, self.config.turned)
        condition = conditioner.from_keyframes(gallery, params, body_keyframes, banned, turns)
        told = self._teller.tell(condition.keyframes, condition.maps)
        return PortraitSample(condition, real, region_weights(conditioner, params), told)

    def losses(self, sample: PortraitSample[KeyframeCondition], progress: float) -> Losses:
        """E = L1 + detail * Laplacian pyramid, plus a hinge discriminator late in training."""
        sample = sample.to(self.footage.budget.device)
        condition, real = sample.condition, sample.real
        drawn, wish = self.generator.draw(
            condition.keyframes, condition.maps, condition.code, sample.told
        )
        loss = losses.l1(drawn, real, sample.weight)
        loss = loss + self.config.correction * wish.square().mean()
        loss = loss + self.config.detail * losses.laplacian_pyramid(drawn, real, sample.weight, 2)
        if self.config.texture > 0:
            loss = loss + self.config.texture * losses.texture(drawn, real, sample.weight)
        discriminator = self.discriminator
        if discriminator is None or progress < self.config.adversarial_from:
            return Losses(loss)
        with torch.autocast(real.device.type, torch.bfloat16):
            loss = loss + self.config.adversarial * losses.generator_hinge(discriminator(drawn))
        fake = drawn.detach()

        def judge() -> Tensor:
            with torch.autocast(real.device.type, torch.bfloat16):
                return losses.discriminator_hinge(discriminator(real), discriminator(fake))

        return Losses(loss, judge)


class PaperTask:
    """The space-time network against its conditional patch discriminator."""

    def __init__(self, footage: Footage, config: PaperConfig) -> None:
        self.footage, self.config = footage, config
        channels = GUIDE_CHANNELS[config.guides]
        self.generator = Spacetime(
            SpacetimeConfig(
                size=footage.conditioner.side,
                window=config.window,
                channels=channels,
                width=config.width,
                levels=halvings(footage.conditioner.side),
                refine=config.refine,
            )
        )
        self.discriminator = PatchDiscriminator(
            PatchConfig(channels=channels * config.window, width=config.width)
        )
        _place(footage.budget.device, self.generator, self.discriminator)

    def sample(self, random: np.random.Generator) -> PortraitSample[GuideStack]:
        """Draw windows evenly, as the paper does."""
        footage, length = self.footage, self.config.window
        chosen = random.choice(len(footage.bank), self.config.batch)
        stacks = [
            footage.conditioner.from_window(
                select(footage.shot.params, np.arange(row - length + 1, row + 1).clip(0)),
                length,
                GUIDE_CHANNELS[self.config.guides],
            ).maps
            for row in footage.rows[chosen]
        ]
        real = footage.bank.crops(chosen)
        return PortraitSample(GuideStack(torch.cat(stacks)), real, torch.ones_like(real[:, :1]))

    def losses(self, sample: PortraitSample[GuideStack], progress: float) -> Losses:
        """E = E_cGAN + reconstruction * E_L1 (Deep Video Portraits, section 5.3)."""
        sample = sample.to(self.footage.budget.device)
        maps, real, discriminator = sample.condition.maps, sample.real, self.discriminator
        with torch.autocast(real.device.type, torch.bfloat16):
            drawn = self.generator(maps)
            loss = losses.generator_log(discriminator(drawn, maps))
        loss = loss + self.config.reconstruction * losses.l1(drawn, real)
        fake = drawn.detach()

        def judge() -> Tensor:
            with torch.autocast(real.device.type, torch.bfloat16):
                return losses.discriminator_log(
                    discriminator(real, maps), discriminator(fake, maps)
                )

        return Losses(loss, judge)


def halvings(side: int) -> int:
    """Return how often a picture can be halved: 8 times at 256, 9 at 512, 7 at 384."""
    return (side & -side).bit_length() - 1


def _place(device: torch.device, *modules: nn.Module | None) -> None:
    for module in modules:
        if module is not None:
            module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def stillness(bank: CropBank, plate: Tensor, count: int = 96) -> Tensor:
    """Find where nothing but the plate is ever seen.

    Args:
        bank: crops of one fixed square.
        plate: (3,h,w) the background.
        count: frames to look at, spread over the bank.

    Returns:
        (1,1,h,w) in [0,1]: 1 where no frame departs from the plate by more than a camera's noise,
        0 where something passes.
    """
    rows = np.linspace(0, len(bank) - 1, min(count, len(bank))).astype(np.int64)
    frames = bank.raw(rows)
    # The 95th percentile: a hand that passes once is no reason to redraw the wall ever after.
    departure = torch.zeros(plate.shape[1:])
    for line in range(plate.shape[1]):
        row = (frames[:, :, line].float() / 255 - plate[:, line]).abs().mean(1)
        departure[line] = row.quantile(0.95, dim=0)
    smooth = functional.avg_pool2d(departure[None, None], 5, 1, 2, count_include_pad=False)
    return torch.exp(-((smooth / _NOISE) ** 2))
