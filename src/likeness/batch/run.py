"""Do the jobs of a batch: several at once, each tried again, none in the way of another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from likeness.batch.jobs import BatchFile, Job
from likeness.batch.record import Outcome, Record, command_of, inputs_of, outputs_of
from likeness.engine import Engine, Work, WorkerError
from likeness.errors import LikenessError, MediaError

Tell = Callable[[str, str, int, int], None]
"""Called as (job, stage, done, total)."""
_FINAL = ("ConfigError", "ConsentError", "CycloptsError")
"""Kinds of errors that another try would meet again."""
_DONE, _FELL_BACK = 0, 3


@dataclass(frozen=True)
class Order:
    """What a worker is told to do."""

    arguments: tuple[str, ...]
    """A command line, without the program's name."""
    base: Path
    """Where it is typed."""


@dataclass(frozen=True)
class Progressed:
    """How far a command is."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class Answered:
    """What a command said at its end; the last that a worker tells."""

    code: int
    """Its exit code."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    log: str = ""


@dataclass(frozen=True)
class Means:
    """What a batch works with."""

    engine: Engine
    perform: Work
    """Does an `Order` and tells `Progressed` and, last, `Answered`."""
    alone: Callable[[Order, Tell, str], Answered]
    """Does an `Order` in this process, which shares it out among workers of its own."""


class Batch:
    """The jobs of one file on their way."""

    def __init__(
        self, read: BatchFile, jobs: tuple[Job, ...], record: Record, means: Means, tell: Tell
    ) -> None:
        """Prepare to do jobs; see `run`."""
        self._read, self._jobs, self._record, self._means = read, jobs, record, means
        self._tell = tell
        self._outcomes: dict[str, Outcome] = {}
        self._stopped = False

    def run(self) -> dict[str, Outcome]:
        """Do all jobs and return what became of each, by name.

        A job that fails is tried again; what needs its output is left out, the rest goes on.

        Raises:
            MediaError: the record cannot be written.
        """
        waiting = list(self._jobs)
        running: dict[Future[Outcome], Job] = {}
        engine = self._means.engine
        with ThreadPoolExecutor(engine.workers, "batch") as pool:
            try:
                while waiting or running:
                    for job in self._ready(waiting, engine.workers - len(running), not running):
                        waiting.remove(job)
                        if self._settled(job):
                            continue
                        if job.split:
                            self._end(job, self._tried(job, self._alone))
                        else:
                            running[pool.submit(self._tried, job, self._away)] = job
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        self._end(running.pop(future), future.result())
            except BaseException:
                self._stopped = True
                # Before the pool waits for its threads, which wait for their workers.
                engine.close()
                raise
        return {job.name: self._outcomes[job.name] for job in self._jobs}

    def _ready(self, waiting: list[Job], free: int, quiet: bool) -> list[Job]:
        """Return what can begin now: no more than there are free workers, or one for all."""
        known = self._outcomes
        able = [
            job
            for job in waiting
            if all(other.name in known for other in self._jobs if job.needs(other))
        ]
        plain = [job for job in able if not job.split][:free]
        return plain or (able[:1] if quiet else [])

    def _settled(self, job: Job) -> bool:
        """Tell whether nothing is to be done for a job, and keep why."""
        lacking = [
            other.name
            for other in self._jobs
            if job.needs(other) and not self._outcomes[other.name].finished
        ]
        kept = None if lacking else self._record.finished(job)
        if lacking:
            why = {"error": f"{lacking[0]} was not made, which it reads"}
            self._end(job, Outcome("left out", command_of(job), answer=why))
        elif kept is not None:
            self._outcomes[job.name] = kept
            self._count()
        return bool(lacking) or kept is not None

    def _end(self, job: Job, outcome: Outcome) -> None:
        self._outcomes[job.name] = outcome
        self._record.put(job, outcome)
        self._count()

    def _count(self) -> None:
        self._tell("", "jobs", len(self._outcomes), len(self._jobs))

    def _tried(self, job: Job, perform: Callable[[Job], Answered]) -> Outcome:
        """Do a job, again if it fails, and say what became of it."""
        began, attempt = time.monotonic(), 0
        try:
            inputs = inputs_of(job)
            if job.output is not None:
                job.output.parent.mkdir(parents=True, exist_ok=True)
        except (MediaError, OSError) as error:
            return Outcome("failed", command_of(job), answer={"error": str(error)})
        while True:
            attempt += 1
            answered = perform(job)
            final = answered.code in (_DONE, _FELL_BACK) or (
                answered.facts.get("kind") in _FINAL or attempt > self._read.retries
            )
            if final or self._stopped:
                break
        outputs: dict[str, str] = {}
        state, facts = "failed", answered.facts
        if answered.code in (_DONE, _FELL_BACK):
            try:
                outputs = outputs_of(job)
                state = "done" if answered.code == _DONE else "fell back"
            except MediaError as error:
                facts = {**facts, "error": f"the command ended well, but {error}"}
        return Outcome(
            state=state,  # type: ignore[arg-type]  # one of three, from above
            command=command_of(job),
            inputs=inputs,
            outputs=outputs,
            attempts=attempt,
            seconds=round(time.monotonic() - began, 3),
            answer=facts,
            log=answered.log,
        )

    def _away(self, job: Job) -> Answered:
        """Let a worker do it."""
        order = Order(job.arguments, job.base)
        try:
            return self._heard(job, self._means.engine.run(self._means.perform, order))
        except WorkerError as error:
            return Answered(1, {"error": str(error), "kind": "WorkerError"})
        except LikenessError as error:
            return Answered(1, {"error": str(error), "kind": type(error).__name__})

    def _heard(self, job: Job, told: Iterable[Any]) -> Answered:
        answered = Answered(1, {"error": "the worker ended without an answer"})
        for message in told:
            if isinstance(message, Progressed):
                self._tell(job.name, message.stage, message.done, message.total)
            elif isinstance(message, Answered):
                answered = message
        return answered

    def _alone(self, job: Job) -> Answered:
        return self._means.alone(Order(job.arguments, job.base), self._tell, job.name)
