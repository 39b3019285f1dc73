"""Training the compact network on people, and on actors beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from likeness.condition.align import TEMPLATES
from likeness.methods.swap.compact.actors import film_actors
from likeness.methods.swap.compact.pairs import Pairs, joined_pairs, pairs_of_actors
from likeness.methods.swap.compact.pseudo import pairs_of_people
from likeness.methods.swap.compact.settings import CompactTraining
from likeness.methods.swap.compact.task import CompactTask
from likeness.methods.swap.simswap.people import TEMPLATE
from likeness.methods.swap.simswap.train import recognizer_of, run_loop
from likeness.networks import build
from likeness.recognize.source import Describer, scaled
from likeness.synthesize.compact import laid
from likeness.synthesize.swap_contract import SwapContract
from likeness.training.footage import Budget, Learned, weights_of
from likeness.types import Bundle, Progress, Shot, Weights

_FIRST = 100_000
"""Seed of the first actor: none that a test or a benchmark looks at."""
_SHEET = 5


def learn_compact(
    people: Mapping[str, Sequence[Shot]],
    recognizer: Bundle,
    config: CompactTraining,
    budget: Budget,
) -> tuple[Learned, SwapContract, Tensor]:
    """Train the compact network.

    Args:
        people: what was seen of each person.
        recognizer: whose codes it shall understand: a bundle with a recognizer that has gradients.
        config: settings.
        budget: time, and where the training's state lies.

    Returns:
        What was learned, how it is called, and a sheet (3,h,w): sources above, targets beside.

    Raises:
        TrackError: fewer than two people are seen.
        BundleError: the recognizer has no gradients, or the resume state is of another training.
    """
    torch.manual_seed(config.seed)
    space, describer, kept = recognizer_of(recognizer, budget.device)
    pairs = _pairs(people, describer, config, budget.progress)
    task = CompactTask(pairs, describer, config, budget.device)
    outcome = run_loop(task, config, budget)
    made = weights_of("compact", config.network(pairs.codes.shape[1]), outcome.weights)
    record = {
        "steps": outcome.steps,
        "seconds": round(outcome.seconds, 1),
        "losses": list(outcome.losses),
        "actors": config.actors,
        "people": len(people),
        "pairs": len(pairs.shown),
    }
    contract = SwapContract("compact", config.size, TEMPLATE, form="raw", space=space, mask=True)
    return Learned({"generator": made, "identity": kept}, record), contract, sheet(made, pairs)


def _pairs(
    people: Mapping[str, Sequence[Shot]],
    recognizer: Describer,
    config: CompactTraining,
    progress: Progress,
) -> Pairs:
    template = scaled(TEMPLATES[TEMPLATE], config.size)
    most, changed = config.max_faces, config.pseudo
    pairs = pairs_of_people(people, template, recognizer, most, changed, progress)
    if not config.actors:
        return pairs
    seeds = range(_FIRST, _FIRST + config.actors)
    films = film_actors(seeds, config.moments, template, recognizer.template, progress)
    return joined_pairs([pairs, pairs_of_actors(list(films), recognizer)])


def sheet(generator: Weights, pairs: Pairs) -> Tensor:
    """Draw who becomes whom: sources in the first row, targets in the first column."""
    network, rows = build(generator), list(pairs.sources().values())
    chosen = np.array([one[len(one) // 2] for one in rows[:_SHEET]])
    pictures = torch.from_numpy(pairs.faces.pictures[chosen]).float() / 255
    lines = [torch.cat([torch.ones_like(pictures[0]), *pictures], 2)]
    for target in pictures:
        targets = target.expand(len(chosen), -1, -1, -1)
        with torch.inference_mode():
            drawn = laid(network(targets, pairs.codes[chosen]), targets)
        lines.append(torch.cat([target, *drawn], 2))
    return torch.cat(lines, 1)
