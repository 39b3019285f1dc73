"""`likeness demo`: the whole story on the procedural actor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from likeness.cli.options import LongOptions, device, settings
from likeness.cli.progress import show_progress
from likeness.config import to_json

EXAMPLE = "Example: likeness demo -o demo"


def demo(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("demo"),
    minutes: float | None = None,
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Make clips of two actors, train a portrait, reenact it, measure it, write DIR/report.html.

    Needs no input and no network. The same motion is also rendered on the target actor, so the
    result is measured against what is exactly right.

    Args:
        output: The folder to write.
        minutes: Time budget of the training. [default: 4]
    """
    from likeness.demo import DemoConfig, run

    flags = {"minutes": minutes, "seed": options.seed, "device": options.device}
    config = settings(DemoConfig, "demo", options, flags)
    if options.dry_run:
        return {"plan": {"output": output}, "settings": to_json(config)}
    with show_progress(options.progress) as progress:
        return run(output, config, progress, device(options))
