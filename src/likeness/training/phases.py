"""Progressive training: several loops on one schedule, each beginning where the one before ended.

Small pictures teach a network most of what large ones would, at a fraction of the time (Karras et
al., Progressive Growing of GANs, ICLR 2018). What a phase learned, its averaged weights, is what
the next begins with; how they are carried over is the task's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from torch import Tensor

from likeness.store import remove_state
from likeness.training.loop import LoopConfig, Outcome, Task, train
from likeness.types import Progress, check, silent

AnyTask = TypeVar("AnyTask", bound=Task[Any])

_CURVE = 100
_SEED_STEP = 1_000_003
"""Between the seeds of two phases, so that the second doesn't repeat the draws of the first."""


@dataclass(frozen=True)
class Phase(Generic[AnyTask]):
    """One loop of a progressive training."""

    name: str
    """For the record, such as the size of the pictures."""
    share: float
    """Of the budget; the shares of all phases add up to 1."""
    begin: Callable[[Mapping[str, Tensor] | None], AnyTask]
    """Build the task from what the phase before learned; None in the first."""


@dataclass(frozen=True)
class Progressive(Generic[AnyTask]):
    """What a progressive training came to."""

    task: AnyTask
    """The last phase's."""
    outcome: Outcome
    """Weights of the last phase; steps, seconds and losses of all."""
    steps: Mapping[str, int]
    """Steps by the name of the phase."""


def train_phases(
    phases: Sequence[Phase[AnyTask]],
    config: LoopConfig,
    folder: Path,
    digest: str,
    resume: bool = False,
    progress: Progress = silent,
) -> Progressive[AnyTask]:
    """Train phase after phase within one budget.

    Args:
        phases: one or more; a single one is `training.loop.train`.
        config: budget and schedule of all phases together.
        folder: where the resume states lie, one per phase.
        digest: as in `train`.
        resume: continue where the states in `folder` end; finished phases are not repeated.
        progress: called as ("train", done, total) over all phases, in steps or seconds.

    Raises:
        ContractError: there is no phase, or the shares don't add up to 1.
        BundleError: a resume state is damaged or belongs to another training.
    """
    total = sum(phase.share for phase in phases)
    check(abs(total - 1) < 1e-6, f"the phases' shares add up to {total}, expected 1")
    done, curve, steps = 0.0, [], {}
    seconds, weights, task = 0.0, None, None
    for index, phase in enumerate(phases):
        part = _part(config, done, phase.share, index)
        done += phase.share
        if part.steps == 0:
            continue
        place = folder / f"phase{index}" if index else folder
        if index and not resume:
            remove_state(place)
        task = phase.begin(weights)
        told = _shifted(progress, config, done - phase.share)
        outcome = train(task, part, place, f"{digest}:{index}" if index else digest, resume, told)
        weights, seconds = outcome.weights, seconds + outcome.seconds
        steps[phase.name] = outcome.steps
        curve += _resampled(outcome.losses, round(_CURVE * phase.share))
    assert task is not None  # noqa: S101 - shares add up to 1, so some phase ran
    assert weights is not None  # noqa: S101
    return Progressive(task, Outcome(weights, sum(steps.values()), seconds, tuple(curve)), steps)


def _part(config: LoopConfig, begun: float, share: float, index: int) -> LoopConfig:
    """The part of a budget and of its schedule that a phase gets."""
    first, last = config.span
    span = (first + begun * (last - first), first + (begun + share) * (last - first))
    steps = config.steps
    if steps is not None:
        steps = round((begun + share) * steps) - round(begun * steps)
    minutes = None if config.minutes is None else config.minutes * share
    seed = config.seed + index * _SEED_STEP
    return replace(config, steps=steps, minutes=minutes, seed=seed, span=span)


def _shifted(progress: Progress, config: LoopConfig, begun: float) -> Progress:
    """Report progress of one phase as progress of all."""
    whole = config.steps if config.steps is not None else int(60 * (config.minutes or 0))
    before = round(begun * whole)

    def tell(phase: str, done: int, total: int) -> None:
        progress(phase, min(before + done, whole), whole)

    return tell


def _resampled(losses: Sequence[float], count: int) -> list[float]:
    """Shorten a curve to `count` means; a shorter one stays as it is."""
    if len(losses) <= count:
        return list(losses)
    return [float(part.mean()) for part in np.array_split(np.array(losses), max(1, count))]
