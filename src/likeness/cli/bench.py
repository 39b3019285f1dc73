"""`likeness bench`: how fast this machine is."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from likeness.cli.options import LongOptions, device, settings
from likeness.cli.progress import show_progress
from likeness.config import to_json

EXAMPLE = """Examples:

- likeness bench
- likeness bench --json --size 512 --runs 5
"""


def bench(
    *,
    seconds: float | None = None,
    size: int | None = None,
    steps: int | None = None,
    runs: int | None = None,
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Measure frames per second, milliseconds per stage and peak memory on this machine.

    Needs no input and leaves nothing behind: procedural actors are filmed, a portrait is trained
    for a few steps, and another actor moves it. Measure on a machine that does nothing else.

    Args:
        seconds: Length of the clips. [default: 12]
        size: Side of clips and portrait in pixels. [default: 256]
        steps: Training steps; they are not part of what is measured. [default: 4]
        runs: Runs of the whole command, of which the median counts. [default: 3]
    """
    from likeness.bench import BenchConfig
    from likeness.bench import bench as run

    flags = {
        "seconds": seconds,
        "size": size,
        "steps": steps,
        "runs": runs,
        "seed": options.seed,
    }
    config = settings(BenchConfig, "bench", options, flags)
    where = device(options)
    if options.dry_run:
        return {"plan": {"device": where.type}, "settings": to_json(config)}
    with show_progress(options.progress) as progress, _only_errors():
        return run(config, progress, where)


@contextmanager
def _only_errors() -> Iterator[None]:
    """Say no warnings: what the actor does beyond its portrait's clip concerns nobody here."""
    logger = logging.getLogger("likeness")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
