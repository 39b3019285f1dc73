"""`likeness train gan`: a generator of faces, and its encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from likeness.cli.options import LongOptions, Output, consents, prove_files, table
from likeness.cli.progress import show_progress

if TYPE_CHECKING:
    from likeness.verbs.train_gan import GanJob

EXAMPLE = "Example: likeness train gan --actors 300 -o actors.bundle --minutes 60"


def gan(
    folder: Path | None = None,
    /,
    *,
    output: Output,
    actors: int | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    size: int | None = None,
    arch: Literal["stylegan2", "eigenfaces"] | None = None,
    aligned: bool = False,
    consent: tuple[Path, ...] = (),
    resume: bool = False,
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Train a face generator with its encoder, for likeness edit --engine gan.

    Args:
        folder: Photos and clips of faces, in any folders.
        output: The NAME.bundle folder to write.
        actors: Learn from so many procedural actors instead; directions come with them.
        minutes: Time budget of the training itself. [default: 60]
        steps: Step budget instead, repeatable to the bit.
        size: Side of the pictures in pixels, a power of two. [default: 64]
        arch: stylegan2 with its encoder, or eigenfaces, which need seconds. [default: stylegan2]
        aligned: The folder's pictures are squares that are laid like FFHQ's already.
        consent: Records of the people shown, from likeness consent new --role source.
        resume: Go on from where an interrupted training stopped.
    """
    from likeness.methods.edit.footage import media_in
    from likeness.methods.edit.train import describe
    from likeness.verbs.train_gan import train_gan

    prove_files((output,), (*consent, *([folder] if folder else [])), options)
    own = {"minutes": minutes, "steps": steps, "size": size, "arch": arch, "seed": options.seed}
    config = _gan_settings({"actors": actors, "aligned": aligned or None}, own, options)
    records = consents(consent)
    config.check_given(folder)
    if options.dry_run:
        if folder is not None:
            media_in(folder)
        return {"plan": {"folder": folder, "output": output}, "settings": {"gan": config}}
    with show_progress(options.progress) as progress:
        bundle = train_gan(folder, output, config, progress, consents=records, resume=resume)
    return {"output": output, **describe(bundle), "training": dict(bundle.training)}


def _gan_settings(flags: Mapping[str, Any], own: Mapping[str, Any], options: LongOptions) -> GanJob:
    """Resolve [gan], and in it [gan.train] with its own flags."""
    from likeness.config import resolve
    from likeness.verbs.train_gan import GanJob

    given = dict(table("gan", options))
    asked = {key: value for key, value in own.items() if value is not None}
    given["train"] = {**given.get("train", {}), **asked}
    return resolve(GanJob, given, flags, where="gan")
