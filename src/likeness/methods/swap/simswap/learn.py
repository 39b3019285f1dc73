"""How all networks for any two people are learned: a system says what it is, the rest is shared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from likeness.errors import BundleError
from likeness.methods.swap.simswap.any_settings import PeopleTraining
from likeness.methods.swap.simswap.any_task import AnyTask
from likeness.methods.swap.simswap.people import TEMPLATE, People, PersonFaces, collect
from likeness.methods.swap.simswap.train import recognizer_of, run_loop, sheet
from likeness.recognize.source import Describer
from likeness.synthesize.swap_contract import SwapContract
from likeness.training.footage import Budget, Learned, weights_of
from likeness.training.narrow import Narrowed
from likeness.types import Bundle, Weights

Faces = Mapping[str, Sequence[PersonFaces]]
"""Faces by person."""
Answer = tuple[Learned, SwapContract, Tensor]
"""What was learned, how it is called, and a sheet (3,h,w): sources above, targets beside."""


@dataclass(frozen=True, eq=False)
class Given:
    """What a system's task is made of."""

    people: People
    recognizer: Describer
    told_by: Weights
    """The recognizer as a network."""
    device: torch.device
    faces: Faces
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


def _unchanged(contract: SwapContract, given: Given, config: Any) -> SwapContract:
    return contract


def _all(faces: Faces, config: Any) -> Faces:
    return faces


@dataclass(frozen=True)
class System:
    """What sets one system apart from the others."""

    family: str
    """Key of the table of networks."""
    make: Callable[[Given, Any], AnyTask]
    """Make its task from its settings."""
    told: Callable[[SwapContract, Given, Any], SwapContract] = _unchanged
    """Say how its network is called: change the contract of one that takes counted codes."""
    laid: str = TEMPLATE
    """Key of `condition.align.TEMPLATES`, how its crops lie."""
    builds_on: str = ""
    """What has to be trained before, in words; empty where nothing has."""
    chosen: Callable[[Faces, Any], Faces] = _all
    """Choose among the faces that are given."""

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
    people: Faces | People,
    recognizer: Bundle,
    config: PeopleTraining,
    budget: Budget,
    start: Bundle | None = None,
) -> Answer:
    """Train a system.

    Args:
        system: which.
        people: faces by person, or crops that were cut before.
        recognizer: whose codes it shall understand: a bundle with a recognizer that has gradients.
            A network that is told of its source by pictures needs it in training alone.
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
    faces: Faces = {}
    if not isinstance(people, People):
        path, faces = budget.folder / f"{budget.digest[:16]}.crops", system.chosen(people, config)
        people = collect(
            faces, describer, config.size, config.max_faces, path, budget.progress, system.laid
        )
    given = Given(people, describer, kept, budget.device, faces, start)
    task = system.make(given, config)
    plain = SwapContract(system.family, config.size, system.laid, form="raw", space=space)
    counted = replace(plain, center=tuple(people.center.tolist()), spread=people.spread)
    contract = system.told(counted, given, config)
    outcome = run_loop(Narrowed(task) if config.narrow else task, config, budget)
    made = weights_of(system.family, task.generator.config, outcome.weights)
    record = {
        "steps": outcome.steps,
        "seconds": round(outcome.seconds, 1),
        "losses": list(outcome.losses),
        "faces_by_person": {
            name: int((people.bank.person_indices == index).sum())
            for index, name in enumerate(people.bank.people)
        },
    }
    networks = {"generator": made}
    if contract.source == "code":
        networks["identity"] = kept
    # What the task was made of may know more of the people than what came in.
    drawn = sheet(made, task.people, contract, budget.device)
    return Learned(networks, record), contract, drawn
