"""`likeness train`: make a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from cyclopts import App

from likeness.cli.options import LongOptions, Output, analysis, device, settings
from likeness.cli.progress import show_progress

app = App(name="train", help="Train a model: a portrait of one person in one clip.")


@app.command(
    help_epilogue="Example: likeness train reenact anna.mp4 -o anna.bundle --minutes 10",
)
def reenact(
    target: Path,
    /,
    *,
    output: Output,
    minutes: float | None = None,
    preset: Literal["fast", "paper"] | None = None,
    holdout: Literal["last-third", "none"] | None = None,
    size: int | None = None,
    resume: bool = False,
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Train a portrait of the person in a clip, so that another clip can drive it.

    Args:
        target: A clip of one person, a minute or more of varied expressions and poses.
        output: The NAME.bundle folder to write.
        minutes: Time budget of the training itself, tracking and fitting not counted.
        preset: fast blends warped keyframes; paper is the published space-time network.
        holdout: last-third keeps that part of the clip for likeness evaluate self.
        size: Side of the portrait's square in pixels.
        resume: Go on from where an interrupted training stopped.
    """
    from likeness.decode import open_clip
    from likeness.methods.reenact_train import ReenactTraining, train_portrait
    from likeness.pipeline import analyse

    flags = {
        "minutes": minutes,
        "preset": preset,
        "holdout": holdout,
        "size": size,
        "seed": options.seed,
    }
    config = settings(ReenactTraining, "train", options, flags)
    looking = analysis(options)
    if options.dry_run:
        plan = {"target": target, "frames": len(open_clip(target)), "output": output}
        return {"plan": plan, "settings": {"train": config, "analyse": looking}}
    with show_progress(options.progress) as progress:
        shots = analyse(target, looking, progress)
        bundle = train_portrait(
            shots[0], output, config, (), resume, progress, device=device(options)
        )
    return {"output": output, "method": bundle.method, "training": dict(bundle.training)}
