"""`likeness train`: make a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import App

from likeness.cli.options import (
    LongOptions,
    Output,
    analysis,
    consents,
    device,
    foreseen,
    prove_files,
    settings,
    table,
)
from likeness.cli.progress import show_progress

if TYPE_CHECKING:
    from likeness.methods.portrait.settings import ReenactTraining
    from likeness.verbs.train_gan import GanJob

app = App(
    name="train",
    help="Train a model: a portrait of one person, a swap of two, or a face generator.",
)


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
    people = [{k: v for k, v in person.items() if k != "record"} for person in bundle.people]
    training = dict(bundle.training)
    return {"output": output, "method": bundle.method, "people": people, "training": training}


@app.command(
    help_epilogue="Example: likeness train swap anna.mp4 ben.mp4 -o anna_on_ben.bundle",
)
def swap(
    source: Path,
    target: Path,
    /,
    *others: Path,
    output: Output,
    arch: Literal["df", "liae", "original", "comb"] | None = None,
    minutes: float | None = None,
    size: int | None = None,
    width: int | None = None,
    batch: int | None = None,
    face_type: Literal["half", "mid_full", "full", "whole_face", "head"] | None = None,
    source_face: str = "largest",
    face: str = "largest",
    consent: tuple[Path, ...] = (),
    resume: bool = False,
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Train a network that gives one person's face to another, for likeness swap.

    Everything else is set in the table [train_swap] of a settings file; --dry-run prints all of it.

    Args:
        source: Whose face is given: a clip or photo, a .shot, or a folder of clips, photos and
            aligned faces of one person.
        target: Whose face is replaced, likewise; best the clip that shall be changed itself.
        others: Further people, for --arch comb.
        output: The NAME.bundle folder to write.
        arch: df keeps the target's face shape, liae is freer with it and with light; original is
            the first autoencoder; comb grows from small pictures and takes more people.
        minutes: Time budget of the training itself. [default: 30]
        size: Side of the network's pictures. [default: what the time allows]
        width: Channels of encoder and decoder. [default: what the time allows]
        batch: Faces of each person in a step. [default: 4]
        face_type: How much of the head is drawn. [default: whole_face]
        source_face: Whose face in the source, where it shows several.
        face: Whose face in the target: largest, a number as likeness track counts, or like=PHOTO.
        consent: Records of everybody shown: the target as target, all others as source. Repeat it.
        resume: Go on from where an interrupted training stopped.
    """
    from likeness.methods.swap.autoencoder.settings import SwapTraining
    from likeness.verbs.swap_faces import open_material
    from likeness.verbs.swap_training import permit_pair, plan_of, planned
    from likeness.verbs.train_swap import train_swap

    given = (source, target, *others)
    prove_files((output,), (*given, *consent), options)
    flags = {
        **{"arch": arch, "minutes": minutes, "size": size, "width": width, "batch": batch},
        **{"face_type": face_type, "seed": options.seed},
    }
    config = settings(SwapTraining, "train_swap", options, flags)
    looking, records, where = analysis(options), consents(consent), device(options)
    if options.dry_run:
        materials = [open_material(path) for path in given]
        chosen = planned(config, where)
        plan = {
            **plan_of(materials, chosen),
            "output": output,
            "consent": foreseen(lambda: permit_pair(materials, records)),
        }
        return {"plan": plan, "settings": {"train_swap": chosen, "analyze": looking}}
    with show_progress(options.progress) as progress:
        bundle = train_swap(
            source,
            target,
            output,
            config,
            progress,
            others=others,
            analysis=looking,
            source_face=source_face,
            target_face=face,
            consents=records,
            resume=resume,
            device=where,
        )
    people = [{k: v for k, v in person.items() if k != "record"} for person in bundle.people]
    training = dict(bundle.training)
    return {"output": output, "method": bundle.method, "people": people, "training": training}


@app.command(
    help_epilogue="Example: likeness train gan --actors 300 -o actors.bundle --minutes 60",
)
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
    from likeness.verbs.train_gan import describe, train_gan

    prove_files((output,), (*consent, *([folder] if folder else [])), options)
    own = {"minutes": minutes, "steps": steps, "size": size, "arch": arch, "seed": options.seed}
    config = _gan_settings({"actors": actors, "aligned": aligned or None}, own, options)
    records = consents(consent)
    if options.dry_run:
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


def _settings(flags: Mapping[str, Any], options: LongOptions) -> ReenactTraining:
    """Resolve [train], and in it the table of the chosen preset."""
    from likeness.methods.portrait.settings import resolve_training

    return resolve_training(table("train", options), flags)
