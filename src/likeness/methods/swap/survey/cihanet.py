"""Training of CihaNet, the one-stage context and identity hallucination network.

Paper: Liu et al., One-stage Context and Identity Hallucination Network (ACM MM 2021). Known of its
losses is that they are adversary, identity, attributes and a reconstruction that the
hallucination maps make possible of two different people's pictures: what lies outside the maps is
the target's.
Decided here: L = L_rec + identity (1 - cos) + attributes + adversary + area, L_rec the mean
absolute difference to the answer where it is known, and elsewhere to the target, weighted by 1 - M
with M the finest map; M gets no gradient from that, or it would grow until it covers all, and its
mean is held down by `area`. Attributes are matched as SimSwap does, weakly, by the last layers of
the discriminators.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from likeness.errors import ConfigError
from likeness.methods.swap.simswap.answers import AnsweredSample, AnsweredTask, counting
from likeness.methods.swap.simswap.any_settings import PairTraining
from likeness.methods.swap.simswap.judges import TwoScales
from likeness.methods.swap.simswap.learn import Given, System
from likeness.synthesize.cihanet import CihaConfig, CihaNet
from likeness.training import losses
from likeness.training.loop import Losses

_MATCHED = 2
"""Last layers of each discriminator that are matched."""


@dataclass(frozen=True)
class CihaTraining(PairTraining):
    """How CihaNet is trained; weights are decided here, as the paper's are not known."""

    size: int = 64
    """Side of the crops in pixels: a power of two."""
    width: int = 16
    """Channels at full size, doubled up to `most`."""
    most: int = 96
    """Channels of the coarsest maps."""
    halvings: int = 4
    same: float = 0.3
    reconstruction: float = 10.0
    identity: float = 1.0
    attributes: float = 1.0
    """Weight of the matched features of the discriminators."""
    adversarial: float = 0.05
    area: float = 0.05
    """Weight of the maps' mean."""
    changed: float = 0.0
    """How much more than others pixels count that a known swap changes (`answers.counting`)."""
    judged: int = 4
    """Faces of a batch, the last, of which the recognizer is asked."""
    judge_width: int = 16
    """Channels of a discriminator's first layer."""
    learning_rate: float = 1e-3
    average: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.width, self.most, self.halvings, self.judged) < 1:
            raise ConfigError(
                f"width {self.width}, most {self.most}, halvings {self.halvings}, judged "
                f"{self.judged}: expected 1 or more"
            )

    def network(self, code: int) -> CihaConfig:
        """Return the network's shape for codes of so many numbers."""
        widths = (min(self.width * 2**step, self.most) for step in range(self.halvings + 1))
        return CihaConfig(tuple(widths), code)


class CihaTask(AnsweredTask):
    """CihaNet on many people."""

    def __init__(self, given: Given, config: CihaTraining) -> None:
        self.network = CihaNet(config.network(given.people.codes.shape[1]))
        judges = TwoScales(config.judge_width, config.size)
        super().__init__(given.people, given.recognizer, judges, self.network, config, given.device)
        self.config = config

    def losses(self, sample: AnsweredSample, progress: float) -> Losses:
        """Evaluate one batch."""
        config, device = self.config, self.device
        target, answer = sample.target.to(device), sample.answer.to(device)
        wanted, theta = sample.code.to(device), sample.theta.to(device)
        result, maps = self.network.hallucinate(target, wanted)
        weight = 1 - maps[-1].detach()
        weight[: sample.known] = counting(target, answer, config.changed)[: sample.known]
        with torch.no_grad():
            real = self.judges.matched(answer, _MATCHED)
        fake = self.judges.matched(result, _MATCHED)
        asked = slice(-config.judged, None)
        total = (
            config.reconstruction * losses.l1(result, answer, weight)
            + config.identity * self.identity(result[asked], theta[asked], wanted[asked])
            + config.attributes * losses.feature_matching(real, fake)
            + config.adversarial * self.fooled(result)
            + config.area * torch.stack([one.mean() for one in maps]).mean()
        )
        return Losses(total, lambda: self.judged(answer, result.detach()))


CIHANET = System("cihanet", CihaTask)
