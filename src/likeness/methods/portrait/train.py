"""Training the networks of portraits: one phase, or a small portrait first and a large one then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from likeness.condition import pick_keyframes
from likeness.condition.body import Bodies
from likeness.condition.conditioner import select
from likeness.condition.matte import Layers, separate
from likeness.methods.portrait.model import conditioner_of
from likeness.methods.portrait.tasks import FastConfig, FastTask, PaperConfig, PaperTask
from likeness.synthesize.portrait import at_size
from likeness.training.footage import Budget, Footage, Learned, weights_of
from likeness.training.loop import LoopConfig
from likeness.training.mattes import cut_out
from likeness.training.phases import Phase, train_phases
from likeness.types import Ints, Weights


def train_fast(footage: Footage, config: FastConfig) -> Learned:
    """Train the fast portrait; a large one begins small."""
    times = _picked(footage, config.keyframes)
    layers = _layers(footage, times, config)
    sides = [(footage.conditioner.side, 1.0)]
    early = footage.budget.early
    if early is not None:
        sides = [early, (footage.conditioner.side, 1 - early[1])]
    phases = [
        Phase(
            str(side),
            share,
            partial(_fast_task, _sized(footage, side), times, layers.shrunk(side), config),
        )
        for side, share in sides
    ]
    kept = _kept(footage, times)
    kept = replace(kept, tensors={**kept.tensors, "mattes": layers.mattes})
    return _learn(phases, footage.budget, kept, config, "portrait")


def train_spacetime(footage: Footage, config: PaperConfig) -> Learned:
    """Train the paper's network at one size: it has as many levels as its size allows."""
    times = _picked(footage, FastConfig().keyframes)

    def begin(learned: Mapping[str, Tensor] | None) -> PaperTask:
        return PaperTask(footage, config)

    side = str(footage.conditioner.side)
    kept = _kept(footage, times)
    return _learn([Phase(side, 1.0, begin)], footage.budget, kept, config, "spacetime")


def _learn(
    phases: list[Phase[Any]],
    budget: Budget,
    gallery: Weights,
    config: FastConfig | PaperConfig,
    network: str,
) -> Learned:
    trained = train_phases(
        phases,
        _loop(budget, config),
        budget.folder,
        budget.digest,
        budget.resume,
        budget.progress,
    )
    outcome = trained.outcome
    weights = weights_of(network, trained.task.generator.config, outcome.weights)
    record = {
        "steps": outcome.steps,
        "steps_by_size": dict(trained.steps),
        "seconds": round(outcome.seconds, 1),
        "losses": list(outcome.losses),
    }
    return Learned({"generator": weights, "gallery": gallery}, record)


def _loop(budget: Budget, config: FastConfig | PaperConfig) -> LoopConfig:
    return LoopConfig(
        minutes=budget.minutes,
        steps=budget.steps,
        seed=budget.seed,
        learning_rate=config.learning_rate,
        betas=config.betas,
        constant=config.constant,
        average=config.average,
    )


def _fast_task(
    footage: Footage,
    times: Ints,
    layers: Layers,
    config: FastConfig,
    learned: Mapping[str, Tensor] | None,
) -> FastTask:
    """Build the task of one size, its network as far as a smaller size has taught it."""
    params = select(footage.shot.params, times)
    gallery = footage.conditioner.gallery(params, _pictures(footage, times), times, layers)
    task = FastTask(footage, gallery, layers, config)
    if learned is not None:
        own = {"plate": task.generator.plate, "still": task.generator.still}
        state = {**at_size(learned, footage.conditioner.side), **own}
        task.generator.load_state_dict(state)
    return task


def _picked(footage: Footage, count: int) -> Ints:
    """(G,) frames of the shot that are kept as keyframes."""
    conditioner, params, bank = footage.conditioner, footage.params, footage.bank
    parts = []
    # A few at a time: a long clip's frames as floats would fill the memory.
    for start in range(0, len(bank), 64):
        rows = np.arange(start, min(start + 64, len(bank)))
        parts.append(conditioner.bodies(select(params, rows), bank.crops(rows)))
    picked = pick_keyframes(conditioner.describe(params), count, Bodies.joined(parts))
    return footage.rows[picked]


def _pictures(footage: Footage, times: Ints) -> Tensor:
    return footage.bank.raw(np.searchsorted(footage.rows, times))


def _layers(footage: Footage, times: Ints, config: FastConfig) -> Layers:
    """Cut the person out of the keyframes, and complete what stands behind."""
    pictures = _pictures(footage, times)
    mattes = torch.zeros_like(pictures[:, 0])
    if config.layers:
        mattes = cut_out(footage.bank, np.searchsorted(footage.rows, times))
    outlines = footage.conditioner.outlines(select(footage.shot.params, times))
    return separate(pictures, mattes, outlines)


def _kept(footage: Footage, times: Ints) -> Weights:
    """The gallery as it rests in a bundle; what the faces in it do is in the shot."""
    tensors = {"pictures": _pictures(footage, times), "times": torch.from_numpy(times)}
    return Weights("gallery", {}, tensors)


def _sized(footage: Footage, side: int) -> Footage:
    """Return the same footage with all pictures shrunk to `side`."""
    conditioner = footage.conditioner
    if side == conditioner.side:
        return footage
    crop_from_frame = conditioner.crop_from_frame * np.float32(side / conditioner.side)
    smaller = conditioner_of(footage.shot, footage.train_frames, crop_from_frame, side)
    return replace(footage, conditioner=smaller, bank=footage.bank.shrunk(side))
