"""Training of IPGAN.

Paper: Bao et al., Towards Open-Set Identity Preserving Face Synthesis (CVPR 2018), section 3:
L = reconstruction L_GR + divergence L_KL + identity L_GC + feature L_GD + adversarial. L_GR = 1/2
|result - target|^2, at a tenth where they are different people's (the asymmetric loss): result and
target then share everything but the identity. L_KL keeps f_A small, so that the identity does not
hide in it. L_GC and L_GD match features of a classifier to the source's and of a discriminator to
the target's.
Differs: the identity network I and the classifier C are the recognizer, which is not trained on; by
L_GC its codes are matched, by cosine. The adversary is the hinge, and the discriminators are
SimSwap's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from likeness.methods.swap.simswap.answers import AnsweredSample, AnsweredTask
from likeness.methods.swap.simswap.judges import TwoScales
from likeness.methods.swap.simswap.learn import Given, System
from likeness.methods.swap.survey.settings import IPGANTraining
from likeness.synthesize.ipgan import IPGAN
from likeness.training.loop import Losses

_MATCHED = 2
"""Last layers of each discriminator that are matched; the paper takes one."""


@dataclass(frozen=True, eq=False)
class IPGANSample(AnsweredSample):
    """A batch, and what f_A is drawn with."""

    noise: Tensor
    """(N,numbers) of a normal distribution."""


class IPGANTask(AnsweredTask):
    """IPGAN on many people."""

    def __init__(self, given: Given, config: IPGANTraining) -> None:
        self.network = IPGAN(config.network(given.people.codes.shape[1]))
        judges = TwoScales(config.judge_width, config.size)
        super().__init__(given.people, given.recognizer, judges, self.network, config, given.device)
        self.config = config

    def sample(self, random: np.random.Generator) -> IPGANSample:
        """Draw people, their faces, and noise."""
        drawn = super().sample(random)
        shape = (self.config.batch, self.config.numbers)
        noise = torch.from_numpy(random.standard_normal(shape, np.float32))
        return IPGANSample(
            *(drawn.target, drawn.theta, drawn.code, drawn.same),
            source=drawn.source,
            own=drawn.own,
            answer=drawn.answer,
            known=drawn.known,
            noise=noise,
        )

    def losses(self, sample: IPGANSample, progress: float) -> Losses:
        """Evaluate one batch."""
        config, target = self.config, sample.target.to(self.device)
        wanted, theta = sample.code.to(self.device), sample.theta.to(self.device)
        mean, spread = self.network.attributes(target)
        drawn = mean + sample.noise.to(self.device) * (spread / 2).exp()
        result = self.network.generate(drawn, wanted)
        divergence = (mean.square() + spread.exp() - 1 - spread).sum(1).mean() / 2
        errors = (result - sample.answer.to(self.device)).square().mean((1, 2, 3)) / 2
        weights = torch.full_like(errors, config.asymmetric)
        weights[: sample.known] = 1
        with torch.no_grad():
            real = self.judges.matched(target, _MATCHED)
        fake = self.judges.matched(result, _MATCHED)
        matched = [(f - r).square().mean() / 2 for f, r in zip(fake, real, strict=True)]
        total = (
            config.reconstruction * (weights * errors).mean()
            + config.divergence * divergence
            + config.identity * self.identity(result, theta, wanted)
            + config.feature * torch.stack(matched).mean()
            + config.adversarial * self.fooled(result)
        )
        return Losses(total, lambda: self.judged(target, result.detach()))


IPGAN_SYSTEM = System("ipgan", IPGANTask)
