"""Training SimSwap on many people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from likeness.errors import BundleError
from likeness.methods.swap.simswap.any_task import AnyTask
from likeness.methods.swap.simswap.judges import Judges, Projected, TwoScales
from likeness.methods.swap.simswap.people import TEMPLATE, People, PersonFaces, collect
from likeness.methods.swap.simswap.settings import SimSwapTraining
from likeness.methods.swap.simswap.task import SimSwapTask, folded_codes
from likeness.nets.identity_dlib import DlibIdentity
from likeness.networks import build, runner
from likeness.recognize.source import Describer, parts_of
from likeness.synthesize.swap_contract import SwapContract
from likeness.training.footage import Budget, Learned, weights_of
from likeness.training.loop import LoopConfig, Outcome, Task, train
from likeness.types import Bundle, Ints, Weights

_SHEET = 5
"""People of the sample sheet."""


def learn_simswap(
    people: Mapping[str, Sequence[PersonFaces]],
    recognizer: Bundle,
    config: SimSwapTraining,
    budget: Budget,
) -> tuple[Learned, SwapContract, Tensor]:
    """Train SimSwap.

    Args:
        people: faces by person.
        recognizer: whose codes it shall understand: a bundle with a recognizer that has gradients.
        config: settings.
        budget: time, and where the training's state lies.

    Returns:
        What was learned, how it is called, and a sheet (3,h,w): sources above, targets beside.

    Raises:
        TrackError: fewer than two people.
        BundleError: the recognizer has no gradients, or the resume state is of another training.
    """

    def make(found: People, describer: Describer, kept: Weights) -> SimSwapTask:
        return SimSwapTask(found, describer, judges_of(config, kept), config, budget.device)

    def finish(task: AnyTask, state: dict[str, Tensor]) -> Weights:
        network = config.network(task.people.codes.shape[1])
        return weights_of("simswap", network, folded_codes(state, task.center.cpu(), task.scale))

    return learn_any("simswap", people, recognizer, config, budget, make, finish)


class Paced(Protocol):
    """Settings that say how fast is learned."""

    @property
    def learning_rate(self) -> float:
        """Peak of the schedule."""
        ...

    @property
    def average(self) -> float:
        """Decay of the moving average of the weights."""
        ...


class AnyTraining(Paced, Protocol):
    """Settings that all networks for any two people have."""

    @property
    def size(self) -> int:
        """Side of the crops in pixels."""
        ...

    @property
    def max_faces(self) -> int:
        """Faces of each person that are used at most."""
        ...

    @property
    def seed(self) -> int:
        """Where all randomness starts."""
        ...


def learn_any(
    family: str,
    people: Mapping[str, Sequence[PersonFaces]],
    recognizer: Bundle,
    config: AnyTraining,
    budget: Budget,
    make: Callable[[People, Describer, Weights], AnyTask],
    finish: Callable[[AnyTask, dict[str, Tensor]], Weights],
    counted: bool = False,
) -> tuple[Learned, SwapContract, Tensor]:
    """Train one of the networks for any two people; see `learn_simswap`.

    Args:
        family: name of the network's family.
        people: faces by person.
        recognizer: whose codes it shall understand.
        config: settings.
        budget: time, and where the training's state lies.
        make: makes the task.
        finish: makes the generator's weights of its averaged state.
        counted: leave it to the contract to count codes from the center of all people.

    Raises:
        TrackError, BundleError: as `learn_simswap`.
    """
    torch.manual_seed(config.seed)
    space, describer, kept = recognizer_of(recognizer, budget.device)
    path = budget.folder / f"{budget.digest[:16]}.crops"
    found = collect(people, describer, config.size, config.max_faces, path, budget.progress)
    contract = SwapContract(family, config.size, TEMPLATE, form="raw", space=space)
    if counted:
        contract = counted_from(contract, found)
    return teach(make(found, describer, kept), finish, contract, kept, config, budget)


def counted_from(contract: SwapContract, people: People) -> SwapContract:
    """Leave it to a contract to count codes from the center of all people."""
    return replace(contract, center=tuple(people.center.tolist()), spread=people.spread)


def teach(
    task: AnyTask,
    finish: Callable[[AnyTask, dict[str, Tensor]], Weights],
    contract: SwapContract,
    recognizer: Weights,
    config: Paced,
    budget: Budget,
) -> tuple[Learned, SwapContract, Tensor]:
    """Train what a task says; see `learn_any`."""
    found = task.people
    outcome = run_loop(task, config, budget)
    made = finish(task, {name: tensor.cpu() for name, tensor in outcome.weights.items()})
    record = {
        "steps": outcome.steps,
        "seconds": round(outcome.seconds, 1),
        "losses": list(outcome.losses),
        "faces_by_person": {
            name: int((found.bank.person_indices == index).sum())
            for index, name in enumerate(found.bank.people)
        },
    }
    learned = Learned({"generator": made, "identity": recognizer}, record)
    return learned, contract, sheet(made, found, contract, budget.device)


def run_loop(task: Task[Any], config: Paced, budget: Budget) -> Outcome:
    """Train a task at the pace of its settings."""
    loop = LoopConfig(
        minutes=budget.minutes,
        steps=budget.steps,
        learning_rate=config.learning_rate,
        average=config.average,
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
    lines = [torch.cat([torch.ones_like(pictures[0]), *pictures], 2)]
    for number in range(len(chosen)):
        targets = pictures[number : number + 1].expand(len(chosen), -1, -1, -1)
        drawn = run(targets, *_told(contract, people, chosen, chosen[number]))
        lines.append(torch.cat([pictures[number], *drawn], 2))
    return torch.cat(lines, 1)


def _told(contract: SwapContract, people: People, sources: Ints, target: int) -> tuple[Tensor, ...]:
    """What a network is told of sources, and of a target that it is the same for all."""
    if contract.source == "none":
        return ()
    if contract.source == "picture":
        return (people.bank.crops(sources),)
    codes = contract.counted(people.codes[sources])
    if not contract.own:
        return (codes,)
    own = contract.counted(people.codes[target : target + 1])
    return (torch.cat([codes, own.expand_as(codes)], 1),)


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
