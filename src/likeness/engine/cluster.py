"""Workers of a Ray cluster: of one that runs already, else of one made on this machine.

Ray starts, places and watches them; only a handful of its calls are used. All machines have to see
the same files under the same names, and have the same version of likeness installed.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator
from typing import Any

from likeness.engine.protocol import Message, Work, WorkerError, done_by, share_cores, values_of
from likeness.errors import BackendError

_HELD = 2
"""Values that a worker is ahead of whoever listens: each may hold pictures."""


class RayEngine:
    """So many actors, each with a core of its own."""

    def __init__(self, workers: int, ray: Any = None) -> None:
        """Join the cluster that runs, or start one here.

        Args:
            workers: how many actors.
            ray: stands in for Ray's module.

        Raises:
            BackendError: Ray is not installed, or does not answer.
        """
        self.workers = workers
        self._ray = ray or _module()
        self._joined = _joined(self._ray, workers)
        self._make = self._ray.remote(num_cpus=1, max_restarts=0)(_Actor)
        self._free: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        for place in range(workers):
            self._free.put((place, None))

    def run(self, work: Work, task: Any) -> Iterator[Any]:
        """Wait for a worker that is free, let it work, and yield what it tells; see `Engine`."""
        place, actor = self._free.get()
        whole = False
        try:
            actor = actor or self._make.remote(place, self.workers)
            yield from values_of(self._messages(actor, work, task))
            whole = True
        except self._ray.exceptions.RayError as error:
            raise WorkerError(
                f"a Ray worker ended in the middle of its work ({type(error).__name__}); expected "
                "it to go on. `ray status` tells how the cluster is"
            ) from error
        finally:
            if not whole and actor is not None:
                self._ray.kill(actor)
            self._free.put((place, actor if whole else None))

    def _messages(self, actor: Any, work: Work, task: Any) -> Iterator[Message]:
        streamed = actor.messages.options(
            num_returns="streaming", _generator_backpressure_num_objects=_HELD
        )
        for reference in streamed.remote(work, task):
            message: Message = self._ray.get(reference)
            yield message

    def close(self) -> None:
        """Leave the cluster, which ends the actors; one that was started here ends with it."""
        if self._joined:
            self._ray.shutdown()


class _Actor:
    """A worker: lives in a process of Ray's."""

    def __init__(self, place: int, places: int) -> None:
        share_cores(place, places)

    def messages(self, work: Work, task: Any) -> Iterator[Message]:
        """Do a piece of work in a thread and yield what it tells."""
        told: queue.Queue[Message] = queue.Queue(_HELD)
        thread = threading.Thread(target=done_by, args=(work, task, told.put), daemon=True)
        thread.start()
        while True:
            message = told.get()
            yield message
            if message[0] != "told":
                return


def _module() -> Any:
    try:
        import ray
    except ImportError as error:
        raise BackendError(
            "the engine 'ray' needs Ray, which is not installed; install it with `pip install "
            "likeness[cluster]`, or use --engine local"
        ) from error
    return ray


def _joined(ray: Any, workers: int) -> bool:
    """Connect this process, unless it is connected already; tell whether it was done here."""
    if ray.is_initialized():
        return False
    quiet = {"log_to_driver": False, "logging_level": logging.WARNING}
    try:
        try:
            ray.init(address="auto", **quiet)
        except ConnectionError:
            ray.init(num_cpus=workers, include_dashboard=False, **quiet)
    except (ConnectionError, RuntimeError, OSError, ValueError) as error:
        raise BackendError(
            f"Ray does not answer ({error}); start a cluster with `ray start --head`, or use "
            "--engine local"
        ) from error
    return True
