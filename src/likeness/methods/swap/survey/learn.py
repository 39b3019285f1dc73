"""What the trainings of published networks share: two-scale discriminators, counted codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from likeness.methods.swap.simswap.any_task import AnyTask
from likeness.methods.swap.simswap.judges import Judges, TwoScales
from likeness.methods.swap.simswap.people import People, PersonFaces
from likeness.methods.swap.simswap.train import learn_any
from likeness.methods.swap.survey.settings import FaceShifterTraining, IPGANTraining
from likeness.recognize.source import Describer
from likeness.synthesize.swap_contract import SwapContract
from likeness.training.footage import Budget, Learned, weights_of
from likeness.types import Bundle, Weights

Making = Callable[[People, Describer, Judges, Any, torch.device], AnyTask]
"""A task of people, recognizer, discriminators, its settings and a device."""


def learn_published(
    family: str,
    task: Making,
    people: Mapping[str, Sequence[PersonFaces]],
    recognizer: Bundle,
    config: FaceShifterTraining | IPGANTraining,
    budget: Budget,
) -> tuple[Learned, SwapContract, Tensor]:
    """Train a published network; other arguments, answer and errors are those of `learn_simswap`.

    Args:
        family: its name.
        task: what is learned.
    """

    def make(found: People, describer: Describer, _: Weights) -> AnyTask:
        judges = TwoScales(config.judge_width, config.size)
        return task(found, describer, judges, config, budget.device)

    def finish(task: AnyTask, state: dict[str, Tensor]) -> Weights:
        return weights_of(family, config.network(task.people.codes.shape[1]), state)

    return learn_any(family, people, recognizer, config, budget, make, finish, counted=True)
