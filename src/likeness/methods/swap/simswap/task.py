"""What a step of SimSwap's training is.

Paper: Chen et al., SimSwap (ACM MM 2020), section 3.3: L = 10 L_id + 10 L_wFM + 10 L_rec + L_adv
+ 1e-5 L_GP. L_id = 1 - cos(code of the result, code of the source); L_wFM = sum over discriminators
and their last layers of the mean absolute difference between result and *target*; L_rec = mean
absolute difference to the target, where source and target are one person; hinge losses.
Differs: each batch holds both kinds of pairs; codes are counted from the mean of all people,
because those of dlib's recognizer have most of their length in common.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.methods.swap.simswap.judges import Judges
from likeness.methods.swap.simswap.people import People, chips
from likeness.methods.swap.simswap.settings import SimSwapTraining
from likeness.recognize.source import Describer
from likeness.synthesize.simswap import SimSwap
from likeness.training import losses
from likeness.training.loop import Losses
from likeness.types import Ints


@dataclass(frozen=True, eq=False)
class SwapSample:
    """A batch of targets and sources."""

    target: Tensor
    """(N,3,S,S) RGB in [0,1]."""
    theta: Tensor
    """(N,2,3) where the recognizer looks in them."""
    code: Tensor
    """(N,D) of the sources, from the center, in units of the spread."""
    same: int
    """How many, the first, have source and target of one person."""


class SimSwapTask:
    """SimSwap on many people."""

    def __init__(
        self,
        people: People,
        recognizer: Describer,
        judges: Judges,
        config: SimSwapTraining,
        device: torch.device,
    ) -> None:
        self.people, self.recognizer, self.config, self.device = people, recognizer, config, device
        self.center = people.center.to(device)
        self.scale = 1 / people.spread
        network = SimSwap(config.network(people.codes.shape[1]))
        self.generator: nn.Module = network.to(device)
        self.judges = judges.to(device)
        indices = people.bank.person_indices
        self._rows = [np.flatnonzero(indices == p) for p in range(len(people.bank.people))]

    @property
    def discriminator(self) -> nn.Module:
        """What judges it."""
        return self.judges

    def sample(self, random: np.random.Generator) -> SwapSample:
        """Draw people evenly, and their faces."""
        count = self.config.batch
        same = min(max(round(self.config.same * count), 1), count - 1)
        targets, sources = self._pairs(random, count, same)
        code = (self.people.codes[sources] - self.center.cpu()) * self.scale
        return SwapSample(self.people.bank.crops(targets), self.people.theta[targets], code, same)

    def losses(self, sample: SwapSample, progress: float) -> Losses:
        """Evaluate one batch."""
        config, target = self.config, sample.target.to(self.device)
        wanted, theta = sample.code.to(self.device), sample.theta.to(self.device)
        result: Tensor = self.generator(target, wanted)
        judged = self.judges.features(result)
        told = self.recognizer.describe(chips(result, theta, self.people.side)) - self.center
        identity = (1 - functional.cosine_similarity(told, wanted, dim=1)).mean()
        with torch.no_grad():
            real = self.judges.matched(target, config.matched)
        fake = self.judges.matched(result, config.matched)
        feature = torch.stack([losses.l1(f, r) for f, r in zip(fake, real, strict=True)]).sum()
        again = losses.l1(result[: sample.same], target[: sample.same])
        fooled = torch.stack([losses.generator_hinge(seen[-1]) for seen in judged]).mean()
        total = (
            config.identity * identity
            + config.feature * feature
            + config.reconstruction * again
            + config.adversarial * fooled
        )
        return Losses(total, lambda: self._judged(target, result.detach()))

    def _judged(self, real: Tensor, fake: Tensor) -> Tensor:
        """The discriminators' loss."""
        pairs = zip(self.judges.features(real), self.judges.features(fake), strict=True)
        hinge = torch.stack([losses.discriminator_hinge(r[-1], f[-1]) for r, f in pairs]).mean()
        if self.config.penalty <= 0:
            return hinge
        share = torch.linspace(0, 1, len(real), device=real.device).view(-1, 1, 1, 1)
        between = torch.lerp(real, fake, share).requires_grad_(True)
        logits = torch.stack([seen[-1].mean() for seen in self.judges.features(between)]).sum()
        (slope,) = torch.autograd.grad(logits, between, create_graph=True)
        steep = slope.flatten(1).norm(dim=1) * len(real)
        penalty: Tensor = (steep - 1).square().mean()
        return hinge + self.config.penalty * penalty

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


def folded_codes(state: dict[str, Tensor], center: Tensor, scale: float) -> dict[str, Tensor]:
    """Let a trained generator take codes as the recognizer gives them.

    It learned from (c - m) k; a linear layer W x + b of that is W k c + (b - W k m).
    """
    answer = dict(state)
    for name in [key for key in state if key.endswith("style.weight")]:
        bias = name.replace("style.weight", "style.bias")
        weight = state[name] * scale
        answer[name] = weight
        answer[bias] = state[bias] - weight @ center.to(weight)
    return answer
