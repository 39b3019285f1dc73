"""What trainings on many people share: the recognizer, the loop, and the sheet of samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from likeness.errors import BundleError
from likeness.methods.swap.simswap.any_settings import PeopleTraining
from likeness.methods.swap.simswap.people import People
from likeness.networks import build, runner
from likeness.recognize.source import Describer, parts_of
from likeness.synthesize.swap_contract import SwapContract
from likeness.training.footage import Budget
from likeness.training.loop import LoopConfig, Outcome, Task, train
from likeness.types import Bundle, Ints, Weights

_SHEET = 5
"""People of the sample sheet."""


def run_loop(task: Task[Any], config: PeopleTraining, budget: Budget) -> Outcome:
    """Train a task at the pace of its settings."""
    loop = LoopConfig(
        minutes=budget.minutes,
        steps=budget.steps,
        learning_rate=config.learning_rate,
        average=config.average,
        restarts=config.restarts,
        restart=config.restart,
        seed=budget.seed,
    )
    return train(task, loop, budget.folder, budget.digest, budget.resume, budget.progress)


def recognizer_of(bundle: Bundle, device: torch.device) -> tuple[str, Describer, Weights]:
    """Open the recognizer that a training asks.

    Raises:
        BundleError: there is none, or it has no gradients.
    """
    able = {name: w for name, w in bundle.networks.items() if w.network.startswith("identity_")}
    for weights in able.values():
        for space, describer in parts_of([weights], device).describers.items():
            return space, describer, weights
    raise BundleError(
        f"the bundle of method {bundle.method!r} holds no recognizer that can teach; expected one "
        "of PyTorch, of kind arcface: ONNX files have no gradients"
    )


def sheet(
    generator: Weights, people: People, contract: SwapContract, device: torch.device
) -> Tensor:
    """Draw who becomes whom: sources in the first row, targets in the first column."""
    run, bank = runner(build(generator), device), people.bank
    rows = [np.flatnonzero(bank.person_indices == p) for p in range(len(bank.people))]
    chosen = np.array([one[len(one) // 2] for one in rows[:_SHEET]])
    pictures = bank.crops(chosen)
    columns = [torch.cat([torch.ones_like(pictures[0]), *pictures], 1)]
    for source, picture in zip(chosen, pictures, strict=True):
        drawn = run(pictures, *_told(contract, people, chosen, source))
        if contract.mask:
            drawn = torch.lerp(pictures, drawn[:, :3], drawn[:, 3:])
        columns.append(torch.cat([picture, *drawn], 1))
    return torch.cat(columns, 2)


def _told(contract: SwapContract, people: People, targets: Ints, source: int) -> tuple[Tensor, ...]:
    """What a network is told of targets, and of a source that is the same for all."""
    if contract.source == "none":
        return ()
    shown = people.bank.crops(np.array([source]))
    if contract.source == "faces" and people.points is not None:
        return people.points[targets], shown, people.points[source][None]
    if contract.source == "picture":
        return (shown.expand(len(targets), -1, -1, -1),)
    codes = contract.counted(people.codes[source][None]).expand(len(targets), -1)
    if not contract.own:
        return (codes,)
    return (torch.cat([codes, contract.counted(people.codes[targets])], 1),)
