"""Training in bfloat16 comes to nearly the same losses, and leaves weights in float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from likeness.training.loop import Losses
from likeness.training.narrow import Narrowed


class Copy:
    """A task: learn to copy pictures."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.generator = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 3, 3, padding=1))
        self.discriminator = nn.Conv2d(3, 1, 3)
        self.types: list[torch.dtype] = []

    def sample(self, random: np.random.Generator) -> torch.Tensor:
        return torch.from_numpy(random.random((2, 3, 8, 8), np.float32))

    def losses(self, sample: torch.Tensor, progress: float) -> Losses:
        result = self.generator(sample)
        self.types.append(result.dtype)

        def judged() -> torch.Tensor:
            verdict = self.discriminator(result.detach())
            self.types.append(verdict.dtype)
            return verdict.float().square().mean()

        return Losses((result.float() - sample).square().mean(), judged)


def test_steps_are_computed_narrowly_and_weights_stay_whole() -> None:
    wide, task = Copy(), Copy()
    narrow = Narrowed(task)
    sample = narrow.sample(np.random.default_rng(0))
    found, expected = narrow.losses(sample, 0.0), wide.losses(sample, 0.0)
    assert float(found.generator.detach()) == pytest.approx(
        float(expected.generator.detach()), rel=0.02
    )
    found.generator.backward()
    assert found.discriminator is not None
    found.discriminator().backward()
    assert task.types == [torch.bfloat16, torch.bfloat16]
    assert wide.types == [torch.float32]
    for network in (narrow.generator, narrow.discriminator):
        assert network is not None
        assert all(
            p.grad is not None and p.grad.dtype == torch.float32 for p in network.parameters()
        )


def test_a_task_that_nobody_judges_stays_one() -> None:
    task = Copy()
    losses = task.losses

    def alone(sample: torch.Tensor, progress: float) -> Losses:
        return Losses(losses(sample, progress).generator)

    task.losses = alone  # type: ignore[method-assign]
    found = Narrowed(task).losses(task.sample(np.random.default_rng(0)), 0.0)
    assert found.discriminator is None
