"""Work on windows of frames side by side, answers in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

from likeness.machine import cores
from likeness.types import Window

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_MOST = 8
"""Windows that are worked on at once, however many cores there are: each holds its frames."""


def runs(count: int, length: int = 4) -> list[slice]:
    """Split `count` frames into runs of one length (the last may be shorter) to be shared out.

    The length is the same on every machine: a matrix product of another number of rows rounds
    otherwise.
    """
    return [slice(begin, min(begin + length, count)) for begin in range(0, count, length)]


def side_by_side(work: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer]:
    """Return work(item) for each item, in their order, worked on by one thread for each core."""
    with ThreadPoolExecutor(cores(), "part") as pool:
        return list(pool.map(work, items))


def in_order(
    work: Callable[[Window, torch.Tensor], torch.Tensor],
    windows: Iterator[tuple[Window, torch.Tensor]],
) -> Iterator[tuple[Window, torch.Tensor]]:
    """Yield (window, work(window, frames)) for each window, in order, one core each.

    One core a window, because cores that share a window wait for each other at every operation.
    """
    workers = min(_MOST, cores())
    waiting: deque[tuple[Window, Future[torch.Tensor]]] = deque()
    # The caller decodes, marks and encodes: helpers of its own would spin where painters work.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with ThreadPoolExecutor(workers, "paint", torch.set_num_threads, (1,)) as pool:
        try:
            for window, frames in windows:
                waiting.append((window, pool.submit(work, window, frames)))
                if len(waiting) > workers:
                    first, done = waiting.popleft()
                    yield first, done.result()
            while waiting:
                first, done = waiting.popleft()
                yield first, done.result()
        finally:
            torch.set_num_threads(before)
            for _, done in waiting:
                done.cancel()
