"""Training of FaceShifter's first stage, AEI-Net.

Paper: Li et al., FaceShifter (arXiv 1912.13457), section 3.1, equations 5 to 9:
L = L_adv + 10 L_att + 5 L_id + 10 L_rec, L_att = 1/2 sum_k |z_k(result) - z_k(target)|^2,
L_id = 1 - cos(code of the result, code of the source), L_rec = 1/2 |result - target|^2 where both
are one person's; hinge losses.
Differs: squares are means, not sums, as in the ports, or weights would depend on the size; L_rec
takes another picture of the person for the source as well, not the target itself alone, because
the code of one picture hardly differs from that of another. Two discriminators instead of three
(SimSwap's, which are shared).
L_rec counts as well where the answer is known otherwise (`answers`).
The second stage is `survey.hear`.
"""

from __future__ import annotations

import torch

from likeness.methods.swap.simswap.answers import AnsweredSample, AnsweredTask, counting
from likeness.methods.swap.simswap.judges import TwoScales
from likeness.methods.swap.simswap.learn import Given, System
from likeness.methods.swap.survey.settings import FaceShifterTraining
from likeness.synthesize.faceshifter import AEINet
from likeness.training.loop import Losses


class FaceShifterTask(AnsweredTask):
    """AEI-Net on many people."""

    def __init__(self, given: Given, config: FaceShifterTraining) -> None:
        self.network = AEINet(config.network(given.people.codes.shape[1]))
        judges = TwoScales(config.judge_width, config.size)
        super().__init__(given.people, given.recognizer, judges, self.network, config, given.device)
        self.config = config

    def losses(self, sample: AnsweredSample, progress: float) -> Losses:
        """Evaluate one batch."""
        config, target = self.config, sample.target.to(self.device)
        wanted, theta = sample.code.to(self.device), sample.theta.to(self.device)
        kept = self.network.attributes(target)
        result = self.network.generate(kept, wanted)
        seen = self.network.attributes(result)
        pairs = zip(seen, kept, strict=True)
        attributes = torch.stack([(a - b).square().mean() for a, b in pairs]).sum() / 2
        known, answer = sample.known, sample.answer.to(self.device)
        weight = counting(target, answer, config.changed)[:known]
        again = (weight * (result[:known] - answer[:known]).square()).mean() / 2
        asked = slice(-config.judged, None)
        total = (
            config.adversarial * self.fooled(result)
            + config.attributes * attributes
            + config.identity * self.identity(result[asked], theta[asked], wanted[asked])
            + config.reconstruction * again
        )
        return Losses(total, lambda: self.judged(target, result.detach()))


FACESHIFTER = System("faceshifter", FaceShifterTask)
