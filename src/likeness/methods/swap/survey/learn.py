"""What the trainings of published networks share: two-scale discriminators, counted codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from likeness.errors import BundleError
from likeness.methods.swap.simswap.any_task import AnyTask
from likeness.methods.swap.simswap.judges import Judges, TwoScales
from likeness.methods.swap.simswap.people import TEMPLATE, People, PersonFaces, collect
from likeness.methods.swap.simswap.train import (
    AnyTraining,
    counted_from,
    learn_any,
    recognizer_of,
    teach,
)
from likeness.recognize.source import Describer
from likeness.synthesize.swap_contract import SwapContract
from likeness.training.footage import Budget, Learned, weights_of
from likeness.types import Bundle, Weights

Making = Callable[[People, Describer, Judges, Any, torch.device], AnyTask]
"""A task of people, recognizer, discriminators, its settings and a device."""
Answer = tuple[Learned, SwapContract, Tensor]
"""What was learned, how it is called, and a sheet (3,h,w): sources above, targets beside."""


class PublishedTraining(AnyTraining, Protocol):
    """Settings of a published network with discriminators."""

    @property
    def judge_width(self) -> int:
        """Channels of a discriminator's first layer."""
        ...

    def network(self, code: int) -> Any:
        """Return the network's shape for codes of so many numbers."""
        ...


def learn_published(
    family: str,
    task: Making,
    people: Mapping[str, Sequence[PersonFaces]],
    recognizer: Bundle,
    config: PublishedTraining,
    budget: Budget,
) -> Answer:
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


@dataclass(frozen=True, eq=False)
class Given:
    """What a system's task is made of."""

    people: People
    recognizer: Describer
    told_by: Weights
    """The recognizer as a network."""
    device: torch.device
    faces: Mapping[str, Sequence[PersonFaces]]
    """What the people were read from; empty where they came otherwise."""
    start: Bundle | None = None
    """What was trained before, where the system builds on that."""

    def part(self, name: str, expected: str) -> Weights:
        """Return a network of what was trained before.

        Raises:
            BundleError: nothing was given, or it holds none of that name.
        """
        found = None if self.start is None else self.start.networks.get(name)
        if self.start is None or found is None:
            method = "none" if self.start is None else repr(self.start.method)
            raise BundleError(
                f"the bundle that is built on ({method}) holds no {name}; expected {expected}"
            )
        return found


@dataclass(frozen=True)
class System:
    """What sets one system of the survey apart from the others."""

    family: str
    """Key of the table of networks."""
    make: Callable[[Given, Any], AnyTask]
    """Make its task from its settings."""
    told: Callable[[SwapContract, Given, Any], SwapContract] = lambda contract, _, __: contract
    """Say how its network is called: change the contract of one that takes counted codes."""
    laid: str = TEMPLATE
    """Key of `condition.align.TEMPLATES`, how its crops lie."""
    builds_on: str = ""
    """What has to be trained before, in words; empty where nothing has."""

    def prove_start(self, start: Bundle | None) -> None:
        """Refuse a training that lacks what it builds on, or is given what it does not need.

        Raises:
            BundleError: as it says.
        """
        if self.builds_on and start is None:
            raise BundleError(
                f"{self.family} builds on {self.builds_on}; give it with --start NAME.bundle"
            )
        if start is not None and not self.builds_on:
            raise BundleError(f"{self.family} builds on nothing; leave --start out")


def learn_system(
    system: System,
    people: Mapping[str, Sequence[PersonFaces]] | People,
    recognizer: Bundle,
    config: AnyTraining,
    budget: Budget,
    start: Bundle | None = None,
) -> Answer:
    """Train a system.

    Args:
        system: which.
        people: faces by person, or crops that were cut before.
        recognizer: whose codes it shall understand: a bundle with a recognizer that has gradients.
        config: its settings.
        budget: time, and where the training's state lies.
        start: what was trained before, where the system builds on that.

    Raises:
        TrackError: fewer than two people.
        BundleError: the recognizer has no gradients, what the system builds on is missing, or the
            resume state is of another training.
    """
    system.prove_start(start)
    torch.manual_seed(config.seed)
    space, describer, kept = recognizer_of(recognizer, budget.device)
    faces: Mapping[str, Sequence[PersonFaces]] = {}
    if not isinstance(people, People):
        path, faces = budget.folder / f"{budget.digest[:16]}.crops", people
        people = collect(
            faces, describer, config.size, config.max_faces, path, budget.progress, system.laid
        )
    given = Given(people, describer, kept, budget.device, faces, start)
    task = system.make(given, config)
    plain = SwapContract(system.family, config.size, system.laid, form="raw", space=space)
    contract = system.told(counted_from(plain, people), given, config)
    return teach(task, _finished(system.family), contract, kept, config, budget)


def _finished(family: str) -> Callable[[AnyTask, dict[str, Tensor]], Weights]:
    return lambda task, state: weights_of(family, task.generator.config, state)
