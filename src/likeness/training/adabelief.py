"""AdaBelief with learning-rate dropout: the optimizer that one-to-one face swaps are trained with.

Papers: Zhuang et al., AdaBelief Optimizer (NeurIPS 2020), algorithm 2; Lin et al., Learning Rate
Dropout (arXiv 1912.00144). Epsilon stands outside the root, and bias correction may be left
out, as DeepFaceLab runs them. No library that is kept up has both; torch has neither.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_SEED_STEP = 1_000_003


class AdaBelief(torch.optim.Optimizer):
    """Step by how much each gradient is as expected.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) (g - m)^2;  w -= rate * m / (sqrt(v) + eps), for the
    share `kept` of the weights that chance leaves in each step. `kept` and `wave` may be changed
    between steps. What chance leaves depends on `seed` and the step alone, so a run that is resumed
    goes on as if it had never stopped.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 5e-5,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        seed: int = 0,
        corrected: bool = False,
    ) -> None:
        """Prepare the optimizer.

        Args:
            parameters: what is trained.
            lr: learning rate.
            betas: memory of the gradient and of its deviation.
            eps: added to the root of the deviation.
            seed: of learning-rate dropout.
            corrected: whether both means are divided by what they have seen so far, as the paper
                does; else the first hundred steps are several times as long.
        """
        super().__init__(parameters, {"lr": lr})
        self.betas, self.eps, self.seed = betas, eps, seed
        self.corrected = corrected
        self.kept = 1.0
        """Probability in (0,1] with which a weight takes part in a step."""
        self.wave = 0
        """Steps of a cosine that the learning rate swings between full and nothing; 0 for none."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take one step along the gradients that were computed.

        Args:
            closure: as torch's optimizers have it; not used.
        """
        for group in self.param_groups:
            moved = [weight for weight in group["params"] if weight.grad is not None]
            if not moved:
                continue
            count = int(self.state[moved[0]].get("step", 0))
            chance = torch.Generator(moved[0].device).manual_seed(self.seed * _SEED_STEP + count)
            swing = (math.cos(2 * math.pi * count / self.wave) + 1) / 2 if self.wave else 1.0
            for weight in moved:
                self._move(weight, group["lr"] * swing, chance)

    def _move(self, weight: Tensor, rate: float, chance: torch.Generator) -> None:
        state, gradient = self.state[weight], weight.grad
        assert gradient is not None  # noqa: S101 - its caller looked
        if not state:
            state["step"] = torch.zeros((), dtype=torch.int64)
            state["exp_avg"] = torch.zeros_like(weight)
            state["exp_avg_deviation"] = torch.zeros_like(weight)
        state["step"] += 1
        mean, deviation = state["exp_avg"], state["exp_avg_deviation"]
        mean.lerp_(gradient, 1 - self.betas[0])
        apart = gradient - mean
        deviation.mul_(self.betas[1]).addcmul_(apart, apart, value=1 - self.betas[1])
        if self.corrected:
            count = int(state["step"])
            rate /= 1 - self.betas[0] ** count
            deviation = deviation / (1 - self.betas[1] ** count)
        step = mean / deviation.sqrt().add_(self.eps)
        if self.kept < 1:
            step *= torch.empty_like(weight).bernoulli_(self.kept, generator=chance)
        weight.add_(step, alpha=-rate)
