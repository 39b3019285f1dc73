"""What a step of SimSwap's training is.

Paper: Chen et al., SimSwap (ACM MM 2020), section 3.3: L = 10 L_id + 10 L_wFM + 10 L_rec + L_adv
+ 1e-5 L_GP. L_id = 1 - cos(code of the result, code of the source); L_wFM = sum over discriminators
and their last layers of the mean absolute difference between result and *target*; L_rec = mean
absolute difference to the target, where source and target are one person; hinge losses.
Differs: each batch holds both kinds of pairs; codes are counted from the mean of all people,
because those of dlib's recognizer have most of their length in common. Where the answer is known
(`answers`), it stands for the target in L_rec, in L_wFM and before the discriminators.
"""

from __future__ import annotations

import torch

from likeness.errors import BundleError
from likeness.methods.swap.simswap.answers import AnsweredSample, AnsweredTask, counting
from likeness.methods.swap.simswap.judges import Judges, Projected, TwoScales
from likeness.methods.swap.simswap.learn import Given, System
from likeness.methods.swap.simswap.settings import SimSwapTraining
from likeness.nets.identity_dlib import DlibIdentity
from likeness.networks import build
from likeness.synthesize.simswap import SimSwap
from likeness.training import losses
from likeness.training.loop import Losses
from likeness.types import Weights


class SimSwapTask(AnsweredTask):
    """SimSwap on many people."""

    def __init__(self, given: Given, config: SimSwapTraining) -> None:
        network = SimSwap(config.network(given.people.codes.shape[1]))
        judges = judges_of(config, given.told_by)
        super().__init__(given.people, given.recognizer, judges, network, config, given.device)
        self.config = config

    def losses(self, sample: AnsweredSample, progress: float) -> Losses:
        """Evaluate one batch."""
        config, device = self.config, self.device
        target, answer = sample.target.to(device), sample.answer.to(device)
        wanted, theta = sample.code.to(device), sample.theta.to(device)
        result = self.generator(target, wanted)
        with torch.no_grad():
            real = self.judges.matched(answer, config.matched)
        fake = self.judges.matched(result, config.matched)
        feature = torch.stack([losses.l1(f, r) for f, r in zip(fake, real, strict=True)]).sum()
        known, asked = sample.known, slice(-config.judged, None)
        weight = counting(target, answer, config.changed)[:known]
        total = (
            config.identity_at(progress) * self.identity(result[asked], theta[asked], wanted[asked])
            + config.feature * feature
            + config.reconstruction * losses.l1(result[:known], answer[:known], weight)
            + config.adversarial * self.fooled(result)
        )
        return Losses(total, lambda: self.judged(answer, result.detach(), config.penalty))


def judges_of(config: SimSwapTraining, recognizer: Weights) -> Judges:
    """Make the discriminators that SimSwap's settings name.

    Raises:
        BundleError: they look through another recognizer than the one at hand.
    """
    if config.judge == "paper":
        return TwoScales(config.judge_width, config.size)
    backbone = build(recognizer)
    if not isinstance(backbone, DlibIdentity):
        raise BundleError(
            f"projected discriminators look through dlib's recognizer, found {recognizer.network!r}"
            '; leave --recognizer out, or take judge = "paper"'
        )
    return Projected(backbone, config.judge_width, config.seed)


SIMSWAP = System("simswap", SimSwapTask)
