"""One step of training a one-to-one network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from likeness.errors import ConfigError
from likeness.methods.swap.autoencoder import marks
from likeness.methods.swap.autoencoder.augment import SwapAugmentConfig
from likeness.methods.swap.autoencoder.data import Batch, Person
from likeness.methods.swap.autoencoder.losses import (
    SwapLossConfig,
    face_weight,
    pointing,
    reconstruction,
    swapped_style,
    variation,
)
from likeness.synthesize.autoencoder import Autoencoder, Face
from likeness.synthesize.comb import Comb
from likeness.synthesize.original import Original
from likeness.synthesize.unet_discriminator import (
    CodeDiscriminator,
    UNetPatchConfig,
    UNetPatchDiscriminator,
)
from likeness.training import losses
from likeness.training.adabelief import AdaBelief
from likeness.training.loop import Losses

Network = Autoencoder | Original | Comb
RATE = 1e-3
"""Peak of the learning rate of short trainings."""
POINTER = "pointer"
"""Name of the linear map that reads points off the code; it is thrown away after training."""


@dataclass(frozen=True)
class SwapScheduleConfig:
    """What is on at which share of the budget, and how fast is learned."""

    learning_rate: float | None = None
    """Peak; half a cosine falls from it. None for what the time allows, 1e-3 in short trainings;
    DeepFaceLab's 5e-5 is for days."""
    constant: bool = False
    """Keep the learning rate at its peak, as DeepFaceLab does."""
    corrected: bool = True
    """Correct the bias of the optimizer's means, which DeepFaceLab does not: without it the first
    hundreds of steps are several times as long."""
    warp_until: float = 0.7
    """Share of the budget after which faces go in unwarped."""
    dropout_from: float = 0.7
    """Share of the budget after which chance holds weights back."""
    kept: float | None = None
    """Share of the weights that move in each step from then on; 1 turns this off, None leaves it
    to the time: where it is short, what is held back is not learned."""
    wave: int = 0
    """Steps in which the learning rate then swings once between full and nothing; DeepFaceLab's is
    500, for days of training; 0 for none."""
    adversarial_from: float = 0.85
    """Share of the budget after which the patch discriminator judges, where it does."""
    fade: float = 0.5
    """Share of its own time in which a new level of the comb is blended in."""
    average: float = 0.995
    """Decay of the moving average of the weights; 0 keeps the last ones, as DeepFaceLab does."""

    def __post_init__(self) -> None:
        shares = (self.warp_until, self.dropout_from, self.adversarial_from, self.fade)
        if not all(0 <= share <= 1 for share in shares) or not 0 <= self.average < 1:
            raise ConfigError(
                f"warp_until, dropout_from, adversarial_from and fade are {shares}, average "
                f"{self.average}; expected shares from 0 to 1, and an average below 1"
            )
        unkept = self.kept is not None and not 0 < self.kept <= 1
        still = self.learning_rate is not None and self.learning_rate <= 0
        if still or unkept or self.wave < 0:
            raise ConfigError(
                f"learning_rate is {self.learning_rate}, kept {self.kept} and wave {self.wave}; "
                "expected a rate above 0, a share above 0 and no negative wave"
            )


@dataclass(frozen=True)
class Growth:
    """The part of a training in which a comb works at one level."""

    level: int
    begin: float
    """Share of the whole training at which it begins."""
    share: float
    """Share of the whole training that it takes."""
    whole: bool = False
    """Whether it is the first, which is not blended in over another."""


class Judges(nn.Module):
    """The discriminators of a training; any of them may be missing."""

    def __init__(
        self, patches: UNetPatchDiscriminator | None, codes: CodeDiscriminator | None
    ) -> None:
        super().__init__()
        self.patches, self.codes = patches, codes


class SwapTask:
    """Draw each person's faces again from what the shared encoder tells of them."""

    def __init__(
        self,
        network: Network,
        people: Sequence[Person],
        batch: int,
        augment: SwapAugmentConfig,
        loss: SwapLossConfig,
        schedule: SwapScheduleConfig,
        seed: int,
        device: torch.device,
        growth: Growth | None = None,
    ) -> None:
        """Prepare a training.

        Args:
            network: what is trained, new; the resume state holds what it has learned.
            people: the source, the target, and for a comb any number of others.
            batch: faces of each person in a step.
            augment, loss, schedule: settings.
            seed: of learning-rate dropout.
            device: where it is trained.
            growth: the level at which a comb works; None for other networks.
        """
        self.generator: Network = begun(network, loss)
        self.people, self.batch, self.augment = people, batch, augment
        self.loss, self.schedule, self.seed, self.device = loss, schedule, seed, device
        self.growth = growth
        self.discriminator: nn.Module | None = _judges(network, loss)
        self._optimizers: list[AdaBelief] = []
        for module in (self.generator, self.discriminator):
            if module is not None:
                module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def sample(self, random: np.random.Generator) -> tuple[Batch, ...]:
        """Draw faces of every person."""
        return tuple(person.draw(random, self.batch, self.augment) for person in self.people)

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return AdaBelief for some parameters; its dropout follows the schedule."""
        rate, corrected = self.schedule.learning_rate or RATE, self.schedule.corrected
        made = AdaBelief(parameters, lr=rate, seed=self.seed, corrected=corrected)
        self._optimizers.append(made)
        return made

    def losses(self, sample: tuple[Batch, ...], progress: float) -> Losses:
        """Evaluate one batch of every person at a share of the whole training."""
        warping = progress < self.schedule.warp_until
        self._follow(progress, warping)
        batches = [batch.to(self.device) for batch in sample]
        given = [batch.warped if warping else batch.real for batch in batches]
        with torch.autocast(self.device.type, torch.bfloat16):
            flats = self.generator.encode(torch.cat(given)).split([len(x) for x in given])
            faces = [self.generator.draw(flat, n) for n, flat in enumerate(flats)]
        parts = [
            reconstruction(face, batch, self.loss)
            for face, batch in zip(faces, batches, strict=True)
        ]
        loss = torch.stack(parts).sum()
        if self.loss.points > 0 and isinstance(self.generator, Autoencoder):
            pointer = self.generator.get_submodule(POINTER)
            parts = [
                pointing(pointer(self.generator.numbers(flat.float())), batch.marks)
                for flat, batch in zip(flats, batches, strict=True)
            ]
            loss = loss + self.loss.points * torch.stack(parts).sum()
        if self.loss.face_style > 0 or self.loss.background_style > 0:
            with torch.autocast(self.device.type, torch.bfloat16):
                swapped = self.generator.draw(flats[1], 0)
            loss = loss + swapped_style(swapped, batches[1], self.loss)
        return self._judged(loss, faces[0], batches[0], flats, progress)

    def _judged(
        self,
        loss: Tensor,
        source: Face,
        batch: Batch,
        flats: Sequence[Tensor],
        progress: float,
    ) -> Losses:
        """Add what the discriminators say of the source."""
        judges = self.discriminator
        if not isinstance(judges, Judges):
            return Losses(loss)
        told: list[tuple[nn.Module, Tensor, Tensor]] = []
        if judges.codes is not None and isinstance(self.generator, Autoencoder):
            with torch.autocast(self.device.type, torch.bfloat16):
                codes = [self.generator.source_code(flat) for flat in flats[:2]]
                verdict = judges.codes(codes[0])
            loss = loss + self.loss.true_face * losses.generator_log(verdict)
            told.append((judges.codes, codes[1].detach(), codes[0].detach()))
        if judges.patches is not None and progress >= self.schedule.adversarial_from:
            loss = loss + self._against(judges.patches, source, batch)
            weight = face_weight(batch.mask) if self.loss.masked else 1.0
            real, fake = batch.real * weight, source.rgb.detach().float() * weight
            told.append((judges.patches, real, fake))
        if not told:
            return Losses(loss)

        def judge() -> Tensor:
            with torch.autocast(self.device.type, torch.bfloat16):
                answers = [(module(real), module(fake)) for module, real, fake in told]
            return torch.stack([_apart(*pair) for pair in answers]).sum()

        return Losses(loss, judge)

    def _against(self, patches: nn.Module, source: Face, batch: Batch) -> Tensor:
        """What the patch discriminator finds in the source's drawn faces."""
        drawn = source.rgb.float()
        shown, loss = drawn, torch.zeros((), device=drawn.device)
        if self.loss.masked:
            weight = face_weight(batch.mask)
            shown = drawn * weight
            outside = (drawn * (1 - weight) - batch.real * (1 - weight)).square().mean()
            loss = 1e-6 * variation(drawn) + 0.02 * outside
        with torch.autocast(self.device.type, torch.bfloat16):
            verdicts = patches(shown)
        fooled = torch.stack([losses.generator_log(verdict) for verdict in verdicts]).sum()
        return loss + self.loss.adversarial * fooled

    def _follow(self, progress: float, warping: bool) -> None:
        """Set what the schedule says for this moment."""
        dropping = progress >= self.schedule.dropout_from
        for optimizer in self._optimizers:
            optimizer.kept = (self.schedule.kept or 1.0) if dropping else 1.0
            optimizer.wave = self.schedule.wave if dropping else 0
        network, growth = self.generator, self.growth
        if isinstance(network, Comb) and growth is not None:
            inside = (progress - growth.begin) / max(growth.share, 1e-9)
            share = 1.0 if growth.whole else inside / max(self.schedule.fade, 1e-9)
            network.grow(growth.level, min(max(share, 0.0), 1.0))
        if isinstance(network, Autoencoder) and network.config.layout == "liae":
            # Unwarped, the shared layer would learn to carry identity along (DeepFaceLab).
            network.inter_shared.requires_grad_(warping)


def begun(network: Network, config: SwapLossConfig) -> Network:
    """Prepare a new network for training.

    df's people begin with the same decoder: a code then means the same to both, and goes on doing
    so. What reads points off the code is added.
    """
    if isinstance(network, Autoencoder):
        if network.config.layout == "df":
            network.decoder_target.load_state_dict(network.decoder_source.state_dict())
        if config.points > 0:
            network.add_module(POINTER, nn.Linear(network.config.inter, marks.COUNT))
    return network


def _judges(network: Network, config: SwapLossConfig) -> Judges | None:
    """Build the discriminators that a training needs."""
    patches = codes = None
    if config.adversarial > 0:
        side = network.config.size
        patch = UNetPatchConfig(config.patch or max(3, side // 8), config.judge_width)
        patches = UNetPatchDiscriminator(patch)
    if config.true_face > 0:
        if not isinstance(network, Autoencoder) or network.config.layout != "df":
            raise ConfigError(
                "true_face is on, which only df has: its one layer between sees both people; "
                "expected 0 for other networks"
            )
        shape = network.config
        side = shape.side * (1 if shape.deep else 2)
        codes = CodeDiscriminator(shape.inter_width, side)
    return Judges(patches, codes) if patches or codes else None


def _apart(real: Tensor | tuple[Tensor, ...], fake: Tensor | tuple[Tensor, ...]) -> Tensor:
    """Cross entropy of a discriminator's answers, summed over its maps."""
    reals = real if isinstance(real, tuple) else (real,)
    fakes = fake if isinstance(fake, tuple) else (fake,)
    parts = [losses.discriminator_log(r, f) for r, f in zip(reals, fakes, strict=True)]
    return torch.stack(parts).sum()
