"""Work on the next item while the current one is used."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

Item = TypeVar("Item")


def prefetch(items: Generator[Item, None, None]) -> Iterator[Item]:
    """Yield what a generator yields; it runs one item ahead, in a thread of its own.

    It is closed when the caller stops, and its errors reach the caller in order.
    """
    with closing(items), ThreadPoolExecutor(1, "prefetch") as other:
        coming = other.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = other.submit(next, items, None)
            yield item
