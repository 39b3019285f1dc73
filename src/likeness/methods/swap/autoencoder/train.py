"""Training a one-to-one network: in one loop, or level by level where it grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from likeness.errors import ConfigError
from likeness.methods.swap.autoencoder.data import Faces, FacesConfig, Person, collect
from likeness.methods.swap.autoencoder.settings import SwapTraining, network_of
from likeness.methods.swap.autoencoder.start import begin
from likeness.methods.swap.autoencoder.tasks import POINTER, RATE, Growth, Network, SwapTask
from likeness.synthesize.autoencoder import Autoencoder
from likeness.synthesize.comb import SMALLEST, Comb
from likeness.training.footage import Budget, Learned, weights_of
from likeness.training.loop import LoopConfig
from likeness.training.phases import Phase, train_phases

NETWORK_NAMES = {"df": "autoencoder", "liae": "autoencoder", "original": "original", "comb": "comb"}
"""Key of the table of networks by `arch`."""
_SIDES = tuple(SMALLEST << level for level in range(9))
_SHARE = 1.6
"""Time for a level of a comb in units of that for the level below."""


def learn(people: Sequence[Sequence[Faces]], config: SwapTraining, budget: Budget) -> Learned:
    """Train a one-to-one network.

    Args:
        people: faces of the source, of the target, and for a comb of others.
        config: settings, resolved.
        budget: time, and where the training's state lies.

    Raises:
        TrackError: somebody is seen in too few frames.
        ConfigError: the settings do not fit each other.
        BundleError: the resume state is damaged or belongs to another training.
    """
    # Built before faces are cut: what can't be is told at once.
    torch.manual_seed(config.seed)
    network = network_of(config, len(people))
    size = int(network.config.size)
    cut = FacesConfig(
        *(size, config.face_type, config.max_frames, config.brows),
        *(config.even_turns, config.even_faces),
    )
    if config.start == "actors" and isinstance(network, Autoencoder):
        begin(network)
    path = budget.folder / f"{budget.digest[:16]}.crops"
    found = collect(people, cut, path, budget.progress)
    schedule = config.schedule
    loop = LoopConfig(
        minutes=budget.minutes,
        steps=budget.steps,
        learning_rate=schedule.learning_rate or RATE,
        constant=schedule.constant,
        average=schedule.average,
        seed=budget.seed,
    )
    phases = _phases(network, found, config, budget.device)
    trained = train_phases(
        phases, loop, budget.folder, budget.digest, budget.resume, budget.progress
    )
    outcome = trained.outcome
    record = {
        "steps": outcome.steps,
        "steps_by_size": dict(trained.steps),
        "seconds": round(outcome.seconds, 1),
        "losses": list(outcome.losses),
        "frames_by_person": [len(person.rows) for person in found],
    }
    kept = {k: v for k, v in outcome.weights.items() if not k.startswith(f"{POINTER}.")}
    made = weights_of(NETWORK_NAMES[config.arch], network.config, kept)
    return Learned({"generator": made}, record)


def levels_of(config: SwapTraining) -> tuple[tuple[int, float], ...]:
    """Return the levels at which a comb works, and the share of the time for each.

    Raises:
        ConfigError: `first_size` is no side of a level.
    """
    size = config.size or SMALLEST
    sides = [side for side in _SIDES if config.first_size <= side <= size]
    if config.first_size not in _SIDES or not sides:
        raise ConfigError(
            f"first_size is {config.first_size} for pictures of {size}, expected a power of two "
            f"from {SMALLEST} to {size}"
        )
    weights = [_SHARE**index for index in range(len(sides))]
    first = _SIDES.index(sides[0])
    return tuple((first + i, weight / sum(weights)) for i, weight in enumerate(weights))


def _phases(
    network: Network, people: tuple[Person, ...], config: SwapTraining, device: torch.device
) -> list[Phase[SwapTask]]:
    if not isinstance(network, Comb):
        begin = partial(_begin, network, people, config, device, None)
        return [Phase(str(config.size), 1.0, begin)]
    phases: list[Phase[SwapTask]] = []
    begun = 0.0
    for level, share in levels_of(config):
        side = SMALLEST << level
        sized = tuple(person.sized(side) for person in people)
        # The first level begins whole: there is none below that was ever trained.
        growth = Growth(level, begun, share, whole=not phases)
        phases.append(
            Phase(str(side), share, partial(_begin, network, sized, config, device, growth))
        )
        begun += share
    return phases


def _begin(
    network: Network,
    people: tuple[Person, ...],
    config: SwapTraining,
    device: torch.device,
    growth: Growth | None,
    learned: Mapping[str, Tensor] | None,
) -> SwapTask:
    if learned is not None:
        network.load_state_dict(dict(learned))
    return SwapTask(
        network,
        people,
        config.batch,
        config.augment,
        config.loss,
        config.schedule,
        config.seed,
        device,
        growth,
    )
