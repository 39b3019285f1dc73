"""Progress on standard error: a bar with the time left, JSON lines, or silence."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from typing import Literal, TextIO

from likeness.types import Progress, silent


@contextlib.contextmanager
def show_progress(
    how: Literal["auto", "json", "none"], stream: TextIO | None = None
) -> Iterator[Progress]:
    """Give the callback (stage, done, total) that long work calls.

    Args:
        how: `auto` draws a bar if `stream` is a terminal and is quiet otherwise.
        stream: standard error unless given.
    """
    stream = stream or sys.stderr
    if how == "json":
        yield JsonLines(stream)
    elif how == "auto" and stream.isatty():
        with _bar(stream) as progress:
            yield progress
    else:
        yield silent


class JsonLines:
    """Write {"stage", "done", "total", "seconds_left"} at most five times a second."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stage = ""
        self._started = self._told = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._started, self._told = stage, now, 0.0
        if done < total and now - self._told < 0.2:
            return
        self._told = now
        rest = (now - self._started) * (total - done) / done if done else None
        left = None if rest is None else round(rest, 1)
        line = {"stage": stage, "done": done, "total": total, "seconds_left": left}
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()


@contextlib.contextmanager
def _bar(stream: TextIO) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(file=stream)) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield progress
