"""What every training of a network for any two people shares: batches, and the identity loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.methods.swap.simswap.judges import Judges, Nobody
from likeness.methods.swap.simswap.people import People, chips
from likeness.recognize.source import Describer
from likeness.training import losses
from likeness.training.loop import Losses
from likeness.types import Ints


class Batches(Protocol):
    """Settings that decide what a batch is."""

    @property
    def batch(self) -> int:
        """Faces in a batch."""
        ...

    @property
    def same(self) -> float:
        """Share of them in which source and target are one person."""
        ...


@dataclass(frozen=True, eq=False)
class SwapSample:
    """A batch of targets and sources."""

    target: Tensor
    """(N,3,S,S) RGB in [0,1]."""
    theta: Tensor
    """(N,2,3) where the recognizer looks in them."""
    code: Tensor
    """(N,D) of the sources, from the center, in units of the spread of a number."""
    same: int
    """How many, the first, have source and target of one person."""


class AnyTask:
    """A network for any two people, learned from many: batches of pairs, and who they show.

    Codes are counted from the mean of all people, in units of their spread: a recognizer's have
    most of their length in common.
    """

    def __init__(
        self,
        people: People,
        recognizer: Describer,
        judges: Judges,
        generator: nn.Module,
        batches: Batches,
        device: torch.device,
    ) -> None:
        self.people, self.recognizer, self.device = people, recognizer, device
        self.center = people.center.to(device)
        self.scale = 1 / people.spread
        self.generator = generator.to(device)
        self.judges = judges.to(device)
        self._batches = batches
        indices = people.bank.person_indices
        self._rows = [np.flatnonzero(indices == p) for p in range(len(people.bank.people))]

    @property
    def discriminator(self) -> nn.Module | None:
        """What judges it, if anything does."""
        return None if isinstance(self.judges, Nobody) else self.judges

    def sample(self, random: np.random.Generator) -> SwapSample:
        """Draw people evenly, and their faces."""
        count = self._batches.batch
        same = min(max(round(self._batches.same * count), 1), count - 1)
        targets, sources = self._pairs(random, count, same)
        code = (self.people.codes[sources] - self.center.cpu()) * self.scale
        return SwapSample(self.people.bank.crops(targets), self.people.theta[targets], code, same)

    def losses(self, sample: Any, progress: float) -> Losses:
        """Evaluate one batch: what sets one system apart from the others."""
        raise NotImplementedError

    def identity(self, result: Tensor, theta: Tensor, wanted: Tensor) -> Tensor:
        """Mean of 1 - cosine of the codes of results (N,3,S,S) and those of the sources (N,D)."""
        told = self.recognizer.describe(chips(result, theta, self.people.side)) - self.center
        return (1 - functional.cosine_similarity(told, wanted, dim=1)).mean()

    def fooled(self, result: Tensor) -> Tensor:
        """The hinge loss of the generator, mean of all discriminators."""
        seen = self.judges.features(result)
        return torch.stack([losses.generator_hinge(one[-1]) for one in seen]).mean()

    def judged(self, real: Tensor, fake: Tensor, penalty: float = 0.0) -> Tensor:
        """The discriminators' hinge loss, and their gradient penalty of that weight."""
        pairs = zip(self.judges.features(real), self.judges.features(fake), strict=True)
        hinge = torch.stack([losses.discriminator_hinge(r[-1], f[-1]) for r, f in pairs]).mean()
        if penalty <= 0:
            return hinge
        share = torch.linspace(0, 1, len(real), device=real.device).view(-1, 1, 1, 1)
        between = torch.lerp(real, fake, share).requires_grad_(True)
        logits = torch.stack([seen[-1].mean() for seen in self.judges.features(between)]).sum()
        (slope,) = torch.autograd.grad(logits, between, create_graph=True)
        steep = slope.flatten(1).norm(dim=1) * len(real)
        excess: Tensor = (steep - 1).square().mean()
        return hinge + penalty * excess

    def _pairs(self, random: np.random.Generator, count: int, same: int) -> tuple[Ints, Ints]:
        targets, sources = [], []
        for index in range(count):
            person = int(random.integers(len(self._rows)))
            other = person
            if index >= same:
                other = int(random.integers(len(self._rows) - 1))
                other += other >= person
            targets.append(int(random.choice(self._rows[person])))
            sources.append(int(random.choice(self._rows[other])))
        return np.array(targets), np.array(sources)
