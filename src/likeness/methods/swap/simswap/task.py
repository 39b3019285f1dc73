"""What a step of SimSwap's training is.

Paper: Chen et al., SimSwap (ACM MM 2020), section 3.3: L = 10 L_id + 10 L_wFM + 10 L_rec + L_adv
+ 1e-5 L_GP. L_id = 1 - cos(code of the result, code of the source); L_wFM = sum over discriminators
and their last layers of the mean absolute difference between result and *target*; L_rec = mean
absolute difference to the target, where source and target are one person; hinge losses.
Differs: each batch holds both kinds of pairs; codes are counted from the mean of all people,
because those of dlib's recognizer have most of their length in common.
"""

from __future__ import annotations

import torch
from torch import Tensor

from likeness.methods.swap.simswap.any_task import AnyTask, SwapSample
from likeness.methods.swap.simswap.judges import Judges
from likeness.methods.swap.simswap.people import People
from likeness.methods.swap.simswap.settings import SimSwapTraining
from likeness.recognize.source import Describer
from likeness.synthesize.simswap import SimSwap
from likeness.training import losses
from likeness.training.loop import Losses


class SimSwapTask(AnyTask):
    """SimSwap on many people."""

    def __init__(
        self,
        people: People,
        recognizer: Describer,
        judges: Judges,
        config: SimSwapTraining,
        device: torch.device,
    ) -> None:
        network = SimSwap(config.network(people.codes.shape[1]))
        super().__init__(people, recognizer, judges, network, config, device)
        self.config = config

    def losses(self, sample: SwapSample, progress: float) -> Losses:
        """Evaluate one batch."""
        config, target = self.config, sample.target.to(self.device)
        wanted, theta = sample.code.to(self.device), sample.theta.to(self.device)
        result: Tensor = self.generator(target, wanted)
        identity = self.identity(result, theta, wanted)
        with torch.no_grad():
            real = self.judges.matched(target, config.matched)
        fake = self.judges.matched(result, config.matched)
        feature = torch.stack([losses.l1(f, r) for f, r in zip(fake, real, strict=True)]).sum()
        again = losses.l1(result[: sample.same], target[: sample.same])
        total = (
            config.identity * identity
            + config.feature * feature
            + config.reconstruction * again
            + config.adversarial * self.fooled(result)
        )
        return Losses(total, lambda: self.judged(target, result.detach(), config.penalty))


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
