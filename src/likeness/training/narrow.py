"""Training in bfloat16: convolutions are computed in it, weights and losses stay float32."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
import torch
from torch import nn

from likeness.training.loop import Losses, Task

Sample = TypeVar("Sample")


class Narrowed(Generic[Sample]):
    """A task whose steps are computed in bfloat16 where that is precise enough.

    Processors with bfloat16 arithmetic take about half the time.
    """

    def __init__(self, task: Task[Sample]) -> None:
        self.task = task
        task.generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def generator(self) -> nn.Module:
        """What is trained."""
        return self.task.generator

    @property
    def discriminator(self) -> nn.Module | None:
        """What judges it, if anything does."""
        return self.task.discriminator

    def sample(self, random: np.random.Generator) -> Sample:
        """Draw one batch."""
        return self.task.sample(random)

    def losses(self, sample: Sample, progress: float) -> Losses:
        """Evaluate one batch."""
        with self._narrow():
            found = self.task.losses(sample, progress)
        judged = found.discriminator
        if judged is None:
            return found

        def narrowly() -> torch.Tensor:
            with self._narrow():
                return judged()

        return Losses(found.generator, narrowly)

    def _narrow(self) -> torch.autocast:
        device = next(self.task.generator.parameters()).device
        return torch.autocast(device.type, torch.bfloat16)
