"""The only training loop.

A task says what a step is; the loop decides when it happens: time or step budget, learning rate,
exponential moving average, resume state. Each step draws its randomness from (seed, step) alone, so
a resumed run continues as if it had never stopped, and samples may be prepared ahead by threads.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from likeness.errors import BundleError
from likeness.store import load_state, save_state
from likeness.store.declared import check_tensors
from likeness.types import Progress, silent

Sample = TypeVar("Sample")


@dataclass(frozen=True)
class LoopConfig:
    """When to stop and how fast to learn."""

    minutes: float | None = 10.0
    """Wall-clock budget of the loop; ignored where `steps` is given."""
    steps: int | None = None
    """Step budget; with it a run is repeatable to the bit on one machine and thread count."""
    learning_rate: float = 7e-4
    """Peak of the schedule: warm-up over 50 steps, then half a cosine down to 2 %."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Adam's memory."""
    constant: bool = False
    """Keep the learning rate at its peak, as the paper's recipe does."""
    restarts: tuple[float, ...] = ()
    """Shares of the training at which the cosine begins anew (Loshchilov and Hutter, SGDR, ICLR
    2017), growing, each between 0 and 1."""
    restart: float = 1.0
    """Part of the peak that it begins with there."""
    average: float = 0.995
    """Decay of the moving average of the weights, reached gradually from 0."""
    seed: int = 0
    span: tuple[float, float] = (0.0, 1.0)
    """Part of the schedule that this loop runs; a progressive training runs it in several."""
    save_minutes: float = 2.0
    """Time between resume states."""
    prefetch: int = 4
    """Samples prepared ahead of the step that uses them."""


@dataclass(frozen=True)
class Losses:
    """What one step minimizes."""

    generator: Tensor
    discriminator: Callable[[], Tensor] | None = None
    """Loss of the discriminator, computed after the generator's step; None while there is none."""


class Task(Protocol[Sample]):
    """What is trained, on what, towards what."""

    @property
    def generator(self) -> nn.Module:
        """What is trained."""
        ...

    @property
    def discriminator(self) -> nn.Module | None:
        """What judges it, if anything does."""
        ...

    def sample(self, random: np.random.Generator) -> Sample:
        """Draw one batch; called from another thread."""
        ...

    def losses(self, sample: Sample, progress: float) -> Losses:
        """Evaluate one batch; `progress` runs from 0 to 1 over the training."""
        ...


@runtime_checkable
class ChoosesOptimizer(Protocol):
    """A task that brings the optimizer of its networks; other tasks are trained by Adam."""

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return a new optimizer, for the generator's or for the discriminator's parameters.

        The learning rates that it is made with are peaks of the loop's schedule. Its state is
        saved to resume from, so it may hold tensors and numbers only.
        """
        ...


@dataclass(frozen=True)
class Outcome:
    """What a training came to."""

    weights: Mapping[str, Tensor]
    """The generator's averaged state."""
    steps: int
    seconds: float
    losses: tuple[float, ...]
    """Mean generator loss per hundredth of the run, for the curve in the record."""


class _Facts(BaseModel):
    """What a resume state tells beside its tensors."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    step: int = Field(ge=0, le=2**53)
    seconds: float = Field(ge=0)
    curve: tuple[float, ...] = Field(max_length=100_000)
    settings: str


class _Run(Generic[Sample]):
    """The mutable half of a training: optimizers, average, counters."""

    def __init__(self, task: Task[Sample], config: LoopConfig) -> None:
        self.task, self.config = task, config
        self.optimizers = {
            name: _optimizer(task, module, config) for name, module in self.modules().items()
        }
        self.peaks = {
            name: [
                float(group["lr"]) / (config.learning_rate or 1.0)
                for group in optimizer.param_groups
            ]
            for name, optimizer in self.optimizers.items()
        }
        """Learning rates at the peak, in units of the loop's own."""
        self.average = {k: v.detach().clone() for k, v in task.generator.state_dict().items()}
        self.step, self.seconds = 0, 0.0
        self.curve: list[float] = []

    def modules(self) -> dict[str, nn.Module]:
        discriminator = (
            {} if self.task.discriminator is None else {"discriminator": self.task.discriminator}
        )
        return {"generator": self.task.generator, **discriminator}

    def advance(self, sample: Sample, progress: float) -> float:
        """Take one step and return its loss."""
        first, last = self.config.span
        progress = first + (last - first) * progress
        rate = _rate(self.step, progress, self.config)
        for name, optimizer in self.optimizers.items():
            for group, peak in zip(optimizer.param_groups, self.peaks[name], strict=True):
                group["lr"] = rate * peak
        losses = self.task.losses(sample, progress)
        self._minimize("generator", losses.generator)
        if losses.discriminator is not None:
            self._minimize("discriminator", losses.discriminator())
        self.step += 1
        decay = min(self.config.average, self.step / (self.step + 10))
        with torch.no_grad():
            for name, value in self.task.generator.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value, 1 - decay)
                else:
                    self.average[name].copy_(value)
        return float(losses.generator.detach())

    def _minimize(self, name: str, loss: Tensor) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.modules()[name].parameters(), 1.0)
        optimizer.step()

    def save(self, folder: Path, digest: str) -> None:
        """Write the resume state."""
        tensors = {f"average.{k}": v for k, v in self.average.items()}
        for name, module in self.modules().items():
            tensors |= {f"{name}.{k}": v.contiguous() for k, v in module.state_dict().items()}
            for index, state in self.optimizers[name].state_dict()["state"].items():
                tensors |= {
                    f"optimizer.{name}.{index}.{k}": torch.as_tensor(v).contiguous()
                    for k, v in state.items()
                    if v is not None
                }
        facts = {
            "optimizers": self._kinds(),
            "step": self.step,
            "seconds": self.seconds,
            "settings": digest,
            "curve": self.curve,
        }
        save_state(folder, tensors, facts)

    def _kinds(self) -> dict[str, str]:
        return {name: type(optimizer).__name__ for name, optimizer in self.optimizers.items()}

    def restore(self, folder: Path, digest: str) -> bool:
        """Continue from the resume state in `folder`, if there is one."""
        found = load_state(folder)
        if found is None:
            return False
        tensors, facts = found
        if facts.get("settings") != digest:
            raise BundleError(
                f"{folder} was begun with other settings or another clip; expected the same as "
                "now. Repeat the first call's flags, or remove the folder to begin anew"
            )
        kinds = facts.get("optimizers", self._kinds())
        if kinds != self._kinds():
            raise BundleError(
                f"{folder} holds the state of {kinds}, expected {self._kinds()}. Go on with the "
                "optimizers that it was begun with, or remove the folder to begin anew"
            )
        try:
            self._continue(tensors, _Facts.model_validate(facts))
        except (ValidationError, LookupError, ValueError, TypeError, RuntimeError) as error:
            raise BundleError(
                f"the state in {folder} does not fit this training ({str(error)[:120]}); it is "
                "damaged: remove the folder to begin anew"
            ) from error
        return True

    def _continue(self, tensors: Mapping[str, Tensor], facts: _Facts) -> None:
        for name, module in self.modules().items():
            declared = module.state_dict()
            kept = {k: tensors[f"{name}.{k}"] for k in declared}
            check_tensors(name, declared, kept)
            module.load_state_dict(kept)
            whole = self.optimizers[name].state_dict()
            whole["state"] = _nested(tensors, f"optimizer.{name}.", list(module.parameters()))
            self.optimizers[name].load_state_dict(whole)
        average = {k: tensors[f"average.{k}"] for k in self.average}
        check_tensors("average", self.average, average)
        self.average = {k: average[k].to(v.device) for k, v in self.average.items()}
        self.step, self.seconds, self.curve = facts.step, facts.seconds, list(facts.curve)


def train(
    task: Task[Sample],
    config: LoopConfig,
    folder: Path | None,
    digest: str,
    resume: bool = False,
    progress: Progress = silent,
) -> Outcome:
    """Train a task within its budget.

    Args:
        task: what a step is.
        config: budget and rates.
        folder: where the resume state lies; None keeps none.
        digest: of all settings and data; a resume state of another digest is refused.
        resume: continue from the state in `folder` where there is one.
        progress: called as ("train", done, total), in steps or in seconds of the budget.

    Raises:
        BundleError: the resume state is damaged or belongs to another training.
    """
    run = _Run(task, config)
    if resume and folder is not None:
        run.restore(folder, digest)
    began, saved = time.monotonic() - run.seconds, time.monotonic()
    recent: list[float] = []
    with _prepared(task, config, run.step) as samples:
        while (done := _done(run, config)) < 1:
            recent.append(run.advance(next(samples), done))
            run.seconds = time.monotonic() - began
            if _done(run, config) * 100 >= len(run.curve) + 1:
                run.curve.append(float(np.mean(recent)))
                recent.clear()
            if config.steps is not None:
                progress("train", run.step, config.steps)
            else:
                total = int(60 * (config.minutes or 0))
                progress("train", min(int(run.seconds), total), total)
            if folder is not None and time.monotonic() - saved > 60 * config.save_minutes:
                run.save(folder, digest)
                saved = time.monotonic()
    if folder is not None:
        run.save(folder, digest)
    return Outcome(run.average, run.step, run.seconds, tuple(run.curve))


class _prepared(Generic[Sample]):  # noqa: N801 - used like a function
    """Iterator of samples that a thread prepares ahead; closes its thread on exit."""

    def __init__(self, task: Task[Sample], config: LoopConfig, first: int) -> None:
        self.task, self.config, self.next = task, config, first
        self.pool = ThreadPoolExecutor(1, "samples")
        self.waiting: deque[Future[Sample]] = deque()

    def __enter__(self) -> Iterator[Sample]:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)

    def __iter__(self) -> Iterator[Sample]:
        return self

    def __next__(self) -> Sample:
        while len(self.waiting) < self.config.prefetch:
            random = np.random.default_rng((self.config.seed, self.next))
            self.waiting.append(self.pool.submit(self.task.sample, random))
            self.next += 1
        return self.waiting.popleft().result()


def _done(run: _Run[Any], config: LoopConfig) -> float:
    if config.steps is not None:
        return run.step / config.steps
    return run.seconds / (60 * (config.minutes or 1e-9))


def _rate(step: int, progress: float, config: LoopConfig) -> float:
    if config.constant:
        return config.learning_rate
    first = max((share for share in config.restarts if share <= progress), default=0.0)
    last = min((share for share in config.restarts if share > progress), default=1.0)
    peak = config.learning_rate * (config.restart if first > 0 else 1.0)
    warm = min(1.0, (step + 1) / 50)
    within = (progress - first) / (last - first)
    return peak * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * within)))


def _optimizer(task: Task[Any], module: nn.Module, config: LoopConfig) -> torch.optim.Optimizer:
    if isinstance(task, ChoosesOptimizer):
        return task.optimizer(module.parameters())
    return torch.optim.Adam(module.parameters(), lr=config.learning_rate, betas=config.betas)


def _nested(
    tensors: Mapping[str, Tensor], prefix: str, parameters: list[nn.Parameter]
) -> dict[int, dict[str, Tensor]]:
    """Return an optimizer's state by parameter."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(prefix):
            index, key = name.removeprefix(prefix).split(".", 1)
            # Other optimizers may keep other shapes; Adam's means are added to the weights.
            like = parameters[int(index)]
            if key.startswith("exp_avg") and value.shape != like.shape:
                raise ValueError(f"{name} has shape {tuple(value.shape)}")
            state.setdefault(int(index), {})[key] = value
    if any(not 0 <= index < len(parameters) for index in state):
        raise ValueError(f"{prefix} holds more than {len(parameters)} parameters")
    return state
