"""`likeness train`: make a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import App

from likeness.cli.answer import trained
from likeness.cli.options import (
    LongOptions,
    Output,
    analysis,
    consents,
    device,
    foreseen,
    prove_files,
    table,
)
from likeness.cli.progress import show_progress
from likeness.cli.train_gan import EXAMPLE as GAN_EXAMPLE
from likeness.cli.train_gan import gan
from likeness.cli.train_swap import EXAMPLE, swap

if TYPE_CHECKING:
    from likeness.methods.portrait.settings import ReenactTraining

app = App(
    name="train",
    help="Train a model: a portrait of one person, a swap of two, or a face generator.",
)
app.command(swap, help_epilogue=EXAMPLE)
app.command(gan, help_epilogue=GAN_EXAMPLE)


@app.command(
    help_epilogue="Example: likeness train reenact anna.mp4 -o anna.bundle --minutes 10",
)
def reenact(
    target: Path,
    /,
    *,
    output: Output,
    minutes: float | None = None,
    preset: str | None = None,
    holdout: Literal["last-third", "none"] | None = None,
    size: int | None = None,
    face: str = "largest",
    consent: tuple[Path, ...] = (),
    resume: bool = False,
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Train a portrait of the person in a clip, so that another clip can drive it.

    Args:
        target: A clip of one person, a minute or more of varied expressions and poses.
        output: The NAME.bundle folder to write.
        minutes: Time budget of the training itself, tracking and fitting not counted.
        preset: fast warps keyframes; paper is the published network, pix2pix the same on single
            frames; face2face and obama change the target's own frames.
        holdout: last-third keeps that part of the clip for likeness evaluate self.
        size: Side of the portrait's square in pixels.
        face: Whose portrait: largest, a number as likeness track counts, or like=PHOTO.
        consent: The record of the person shown, from likeness consent new; carried in the bundle.
        resume: Go on from where an interrupted training stopped.
    """
    from likeness.decode import open_clip
    from likeness.provenance.permission import permit_training
    from likeness.verbs.train import train_reenact

    prove_files((output,), (target, *consent), options)
    flags = {"minutes": minutes, "preset": preset, "holdout": holdout, "size": size}
    config = _settings({**flags, "seed": options.seed}, options)
    looking, records = analysis(options), consents(consent)
    if options.dry_run:
        clip = open_clip(target)
        plan = {
            "target": target,
            "frames": len(clip),
            "output": output,
            "consent": foreseen(lambda: permit_training(clip, "reenact", records)),
        }
        return {"plan": plan, "settings": {"train": config, "analyze": looking}}
    with show_progress(options.progress) as progress:
        bundle = train_reenact(
            target,
            output,
            config,
            progress,
            analysis=looking,
            face=face,
            consents=records,
            resume=resume,
            device=device(options),
        )
    return trained(output, bundle)


def _settings(flags: Mapping[str, Any], options: LongOptions) -> ReenactTraining:
    """Resolve [train], and in it the table of the chosen preset."""
    from likeness.methods.portrait.settings import resolve_training

    return resolve_training(table("train", options), flags)
