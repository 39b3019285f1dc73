"""What an engine is: workers that each do one piece of work at a time and tell of it as they go.

Work is a function of a module, so that a worker finds it by its name; what it is given and what it
tells travels by value. Whoever shares work out calls `run` from a thread per worker and needs to
know nothing of processes or machines.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Literal, Protocol, TypeAlias

from likeness import errors
from likeness.errors import BackendError, LikenessError

Send: TypeAlias = Callable[[Any], None]
"""Tells one value; it waits while the other side has not taken the last ones."""
Work: TypeAlias = Callable[[Any, Send], None]
"""Called in a worker as (task, send)."""
EngineName = Literal["local", "ray"]
Message: TypeAlias = tuple[Literal["told", "failed", "ended"], Any]


class WorkerError(BackendError):
    """A worker ended in the middle of its work: killed, out of memory, or its machine is gone."""


class Engine(Protocol):
    """Workers; several threads may ask at once."""

    @property
    def workers(self) -> int:
        """How many pieces of work are done at once."""
        ...

    def run(self, work: Work, task: Any) -> Iterator[Any]:
        """Wait for a worker that is free, let it work, and yield what it tells.

        Whoever stops listening ends the work.

        Raises:
            WorkerError: the worker ended in the middle; the next call gets a new one.
            LikenessError: what the work raised.
        """
        ...

    def close(self) -> None:
        """End all workers, whatever they do; what `run` yields then ends in `WorkerError`."""
        ...


def open_engine(name: EngineName, workers: int) -> Engine:
    """Start an engine.

    Args:
        name: `local` for processes of this machine, `ray` for a Ray cluster that runs, else one on
            this machine.
        workers: how many pieces of work are done at once, at least 1.

    Raises:
        BackendError: Ray is not installed or does not answer.
    """
    if name == "ray":
        from likeness.engine.cluster import RayEngine

        return RayEngine(workers)
    from likeness.engine.local import LocalEngine

    return LocalEngine(workers)


def done_by(work: Work, task: Any, tell: Callable[[Message], None]) -> None:
    """Do a piece of work in this process; an error of it is the last that is told."""
    try:
        work(task, lambda value: tell(("told", value)))
    except LikenessError as error:
        tell(("failed", (type(error).__name__, str(error))))
    except Exception as error:  # whatever a library raises, the caller shall hear of it
        tell(("failed", (BackendError.__name__, f"a worker failed: {error!r}")))
    else:
        tell(("ended", None))


def values_of(messages: Iterator[Message]) -> Iterator[Any]:
    """Yield what was told, and raise what failed as the error that it was.

    Raises:
        LikenessError: the work's own.
    """
    for kind, content in messages:
        if kind == "told":
            yield content
        elif kind == "failed":
            raise _error(*content)
        else:
            return


def share_cores(place: int, places: int) -> None:
    """Hold this process to its share of the cores, before any library counts them.

    Workers that each use all cores wait for each other at every operation. Where the system has no
    affinity, libraries do as they do.
    """
    if sys.platform != "linux":
        return
    allowed = sorted(os.sched_getaffinity(0))
    share = set(allowed[place % len(allowed) :: places])
    with suppress(OSError):
        os.sched_setaffinity(0, share)
    torch = sys.modules.get("torch")
    if torch is not None:
        # Whoever started this process has loaded it, and it has counted.
        torch.set_num_threads(len(share))


def _error(name: str, message: str) -> LikenessError:
    kind = getattr(errors, name, BackendError)
    known = isinstance(kind, type) and issubclass(kind, LikenessError)
    error: LikenessError = kind(message) if known else BackendError(message)
    return error
