"""`likeness evaluate`: how good is a portrait, how alike are two videos."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cyclopts import App

from likeness.cli.options import LongOptions, device
from likeness.cli.progress import show_progress

app = App(name="evaluate", help="Measure a portrait, or one video against another.")


@app.command(
    name="self",
    help_epilogue="Example: likeness evaluate self anna.bundle anna.mp4 --json",
)
def self_(
    bundle: Path,
    clip: Path,
    /,
    *,
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Let a portrait repeat frames that training never saw, and compare with the real ones.

    PSNR in dB on the portrait's square; the face keys count inside the face only. The baselines are
    the training frame with the nearest landmarks.

    Args:
        bundle: A portrait that was trained with --holdout last-third.
        clip: The clip that it was trained on.
    """
    from likeness.methods.evaluation import evaluate_self

    if options.dry_run:
        return {"plan": {"bundle": bundle, "clip": clip}}
    with show_progress(options.progress) as progress:
        return evaluate_self(bundle, clip, progress, device(options)).json()


@app.command(
    help_epilogue="Example: likeness evaluate pair result.mp4 reference.mp4 --json",
)
def pair(
    output: Path,
    reference: Path,
    /,
    *,
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Compare two aligned videos frame by frame.

    Args:
        output: The video to judge.
        reference: What it should look like.
    """
    from likeness.methods.evaluation import evaluate_pair

    if options.dry_run:
        return {"plan": {"output": output, "reference": reference}}
    with show_progress(options.progress) as progress:
        return evaluate_pair(output, reference, progress=progress).json()
