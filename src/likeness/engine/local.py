"""Workers that are processes of this machine, each on its share of the cores."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Generator, Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from likeness.engine.protocol import Message, Work, WorkerError, done_by, share_cores, values_of
from likeness.outputs import Stopped, one_way_out

_PATIENCE = 10.0
"""Seconds that a worker gets to remove what it had begun to write."""


class LocalEngine:
    """So many processes, started when they are first needed and kept."""

    def __init__(self, workers: int) -> None:
        """Prepare the workers; none is started yet."""
        self.workers = workers
        self._all = [_Worker(place, workers) for place in range(workers)]
        self._free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for worker in self._all:
            self._free.put(worker)

    def run(self, work: Work, task: Any) -> Iterator[Any]:
        """Wait for a worker that is free, let it work, and yield what it tells; see `Engine`."""
        worker = self._free.get()
        try:
            yield from values_of(worker.messages(work, task))
        finally:
            self._free.put(worker)

    def close(self) -> None:
        """End all workers, whatever they do."""
        for worker in self._all:
            worker.end()
        for worker in self._all:
            worker.join()


class _Worker:
    def __init__(self, place: int, places: int) -> None:
        self._place, self._places = place, places
        self._process: BaseProcess | None = None
        self._ends: Connection | None = None
        self._closed = False
        self._change = threading.Lock()

    def messages(self, work: Work, task: Any) -> Generator[Message, None, None]:
        """Yield what the process tells of a task, which ends with an end or a failure."""
        connection, process = self._started()
        whole = False
        try:
            connection.send((work, task))
            while not whole:
                message: Message = connection.recv()
                whole = message[0] != "told"
                yield message
        except (EOFError, OSError) as error:
            process.join(_PATIENCE)
            raise WorkerError(
                f"a worker process ended in the middle of its work (exit code {process.exitcode}; "
                "-9 means that it was killed, most often for lack of memory); expected it to go "
                "on. Use fewer workers, or smaller pictures"
            ) from error
        finally:
            if not whole:
                self.end()
                self.join()

    def _started(self) -> tuple[Connection, BaseProcess]:
        with self._change:
            if self._closed:
                raise WorkerError("the workers were ended")
            if self._process is None or self._ends is None:
                context = get_context("spawn")
                self._ends, theirs = context.Pipe()
                self._process = context.Process(
                    target=_serve, args=(theirs, self._place, self._places), daemon=True
                )
                self._process.start()
                theirs.close()
            return self._ends, self._process

    def end(self) -> None:
        """Ask the process to end; it removes what it had begun to write."""
        process = self._process
        if process is not None and process.is_alive():
            process.terminate()

    def join(self) -> None:
        """Wait until it has ended; the next task gets a new process."""
        with self._change:
            process, self._process, self._ends = self._process, None, None
        if process is not None:
            process.join(_PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()


def _serve(connection: Connection, place: int, places: int) -> None:
    """Do what comes until the other side is gone; the main function of a worker."""
    share_cores(place, places)
    # Ctrl-C reaches all processes of a terminal: the one that shares the work out decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with one_way_out():
            while True:
                work, task = connection.recv()
                done_by(work, task, connection.send)
    except (EOFError, OSError, Stopped):
        return
