"""What a training step of each portrait generator is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from likeness.condition.gallery import SLOTS, Features, Gallery
from likeness.condition.guide import Guide, select
from likeness.synthesize.discriminators import LIGHT, PAPER, PatchDiscriminator
from likeness.synthesize.portrait import Portrait, PortraitConfig
from likeness.synthesize.spacetime import Spacetime, SpacetimeConfig
from likeness.training import losses
from likeness.training.data import FrameBank
from likeness.training.loop import Losses
from likeness.types import Condition, FaceParams, Floats, Ints


@dataclass(frozen=True)
class FastConfig:
    """How the fast portrait learns."""

    batch: int = 4
    keyframes: int = 64
    """Frames kept in the gallery."""
    apart: int = 25
    """Keyframes this many frames around the wanted one are not offered in training: at run time the
    nearest keyframe is rarely a neighbor in time."""
    widths: tuple[int, ...] = (24, 48, 96, 128, 160)
    learning_rate: float = 7e-4
    betas: tuple[float, float] = (0.9, 0.99)
    constant: bool = False
    average: float = 0.995
    detail: float = 2.0
    """Weight of the Laplacian-pyramid loss, which keeps texture that a mean would blur."""
    texture: float = 0.5
    """Weight of the local-contrast loss, which asks for as much detail as there is."""
    adversarial: float = 0.0
    """Weight of the patch critic; 0 trains without one."""
    adversarial_from: float = 0.6
    """Share of the training after which the critic joins: first the place, then the grain."""


@dataclass(frozen=True)
class PaperConfig:
    """How the space-time network learns (Deep Video Portraits; AudioDVP's published settings)."""

    batch: int = 2
    """16 in the paper, on a GPU."""
    window: int = 11
    width: int = 64
    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    constant: bool = True
    average: float = 0.0
    """The paper keeps no moving average."""
    reconstruction: float = 100.0
    """Weight of L1 against the adversarial loss."""


@dataclass(frozen=True, eq=False)
class PortraitSample:
    """One batch of either portrait."""

    condition: Condition
    real: Tensor
    """(N,3,h,w) RGB in [0,1]."""
    weight: Tensor
    """(N,1,h,w) importance of each pixel, mean one."""


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


def region_weights(guide: Guide, params: FaceParams) -> Tensor:
    """Return (N,1,h,w) weights: face 3, mouth 6, eyes 7, the rest 1, scaled to mean one.

    Regions are boxes around the posed vertices, so that a closed eye counts as much as an open one.
    """
    posed = guide.mesh.pose(params, guide.crop_from_frame, guide.frame_size)
    regions = guide.mesh.model.regions
    side = guide.side
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
        self,
        guide: Guide,
        gallery: Gallery,
        bank: FrameBank,
        params: FaceParams,
        rows: Ints,
        config: FastConfig,
    ) -> None:
        self.guide, self.kept, self.bank = guide, gallery, bank
        self.params, self.rows, self.config = params, rows, config
        described = guide.describe(params)
        self.probability = rarity(described)
        code = guide.code(select(params, np.array([0]))).shape[1]
        self.generator = Portrait(
            PortraitConfig(guide.side, len(SLOTS), code, tuple(config.widths))
        )
        self.generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.generator.plate.copy_(_median(bank))
        self.critic: nn.Module | None = None
        if config.adversarial > 0:
            self.critic = PatchDiscriminator(LIGHT)
            self.critic.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def sample(self, random: np.random.Generator) -> PortraitSample:
        """Draw rare frames more often; withhold keyframes from around each."""
        chosen = random.choice(len(self.bank), self.config.batch, p=self.probability)
        params = select(self.params, chosen)
        times = self.rows[chosen][:, None]
        banned = times + np.array([[-self.config.apart, self.config.apart]])
        condition = self.guide.from_keyframes(self.kept, params, banned)
        return PortraitSample(
            condition, self.bank.crops(chosen), region_weights(self.guide, params)
        )

    def losses(self, sample: PortraitSample, progress: float) -> Losses:
        """E = L1 + detail * Laplacian pyramid, plus a hinge critic late in training."""
        condition, real = sample.condition, sample.real
        drawn = self.generator(condition.keyframes, condition.maps, condition.code)
        loss = losses.l1(drawn, real, sample.weight)
        loss = loss + self.config.detail * losses.laplacian_pyramid(drawn, real, sample.weight, 2)
        if self.config.texture > 0:
            loss = loss + self.config.texture * losses.texture(drawn, real, sample.weight)
        critic = self.critic
        if critic is None or progress < self.config.adversarial_from:
            return Losses(loss)
        with torch.autocast(real.device.type, torch.bfloat16):
            loss = loss + self.config.adversarial * losses.generator_hinge(critic(drawn))
        fake = drawn.detach()

        def judge() -> Tensor:
            with torch.autocast(real.device.type, torch.bfloat16):
                return losses.discriminator_hinge(critic(real), critic(fake))

        return Losses(loss, judge)


class PaperTask:
    """The space-time network against its conditional patch discriminator."""

    def __init__(
        self,
        guide: Guide,
        gallery: Gallery,
        bank: FrameBank,
        params: FaceParams,
        rows: Ints,
        config: PaperConfig,
    ) -> None:
        self.guide, self.kept, self.bank = guide, gallery, bank
        self.params, self.rows, self.config = params, rows, config
        self.generator = Spacetime(
            SpacetimeConfig(size=guide.side, window=config.window, width=config.width)
        )
        self.critic: nn.Module | None = PatchDiscriminator(
            PAPER
            if config.window == 11 and config.width == 64
            else type(PAPER)(channels=9 * config.window, width=config.width)
        )
        for module in (self.generator, self.critic):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def sample(self, random: np.random.Generator) -> PortraitSample:
        """Draw windows evenly, as the paper does."""
        chosen = random.choice(len(self.bank), self.config.batch)
        stacks = [
            self.guide.from_window(
                select(self.params, np.arange(row - self.config.window + 1, row + 1).clip(0)),
                self.config.window,
            )
            for row in self.rows[chosen]
        ]
        condition = Condition(
            self.guide.crop(len(chosen)),
            torch.cat([stack.maps for stack in stacks]),
            stacks[0].map_names,
        )
        real = self.bank.crops(chosen)
        return PortraitSample(condition, real, torch.ones_like(real[:, :1]))

    def losses(self, sample: PortraitSample, progress: float) -> Losses:
        """E = E_cGAN + reconstruction * E_L1 (sections 5.3 and 1.9 of the paper and the sheet)."""
        maps, real, critic = sample.condition.maps, sample.real, self.critic
        with torch.autocast(real.device.type, torch.bfloat16):
            drawn = self.generator(maps)
            assert critic is not None  # noqa: S101 - set in __init__
            loss = losses.generator_log(critic(drawn, maps))
        loss = loss + self.config.reconstruction * losses.l1(drawn, real)
        fake = drawn.detach()

        def judge() -> Tensor:
            with torch.autocast(real.device.type, torch.bfloat16):
                return losses.discriminator_log(critic(real, maps), critic(fake, maps))

        return Losses(loss, judge)


def _median(bank: FrameBank, count: int = 48) -> Tensor:
    """(1,3,h,w) median of frames spread over the bank: background, and a ghost of the person."""
    rows = np.linspace(0, len(bank) - 1, min(count, len(bank))).astype(np.int64)
    return torch.from_numpy(np.array(bank.pixels[rows])).float().median(0).values[None] / 255
