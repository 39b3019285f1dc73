"""`likeness train swap`: a network that gives one person's face to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import Parameter

from likeness.cli.answer import trained
from likeness.cli.options import (
    LongOptions,
    Output,
    analysis,
    consents,
    device,
    foreseen,
    prove_files,
    settings,
)
from likeness.cli.progress import show_progress
from likeness.cli.train_people import ANY_TO_ANY, train_people
from likeness.errors import ConfigError

if TYPE_CHECKING:
    from likeness.methods.swap.autoencoder.settings import SwapTraining

Architecture = Literal[
    "df",
    "liae",
    "original",
    "comb",
    "simswap",
    "faceshifter",
    "ipgan",
    "compact",
    "hear",
    "korshunova",
    "megafs",
    "cihanet",
    "rsgan",
    "fsnet",
    "fsgan",
    "unifacegan",
]

EXAMPLE = "Example: likeness train swap anna.mp4 ben.mp4 -o anna_on_ben.bundle --minutes 30"


@Parameter(name="*")
@dataclass(frozen=True)
class Flags:
    """What is trained; everything else stands in the table [train_swap] of a settings file."""

    arch: Architecture | None = None
    """df keeps the target's face shape, liae is freer with it and with light; original is the first
    autoencoder; comb grows from small pictures and takes more people; simswap, faceshifter, hear,
    ipgan, megafs, cihanet, rsgan, fsnet, fsgan, unifacegan and compact are one network for any two
    people, learned from many; korshunova draws the first person over anybody. [default: df]"""
    minutes: float | None = None
    """Time budget of the training itself. [default: 30]"""
    size: int | None = None
    """Side of the network's pictures. [default: what the time allows]"""
    width: int | None = None
    """Channels of encoder and decoder. [default: what the time allows]"""
    batch: int | None = None
    """Faces of each person in a step. [default: 4]"""
    face_type: Literal["half", "mid_full", "full", "whole_face", "head"] | None = None
    """How much of the head is drawn. [default: full]"""
    recognizer: Path | None = None
    """For networks for any two people: a NAME.bundle of kind arcface whose codes are learned."""
    start: Path | None = None
    """What was trained before: a NAME.bundle of faceshifter for hear, of train gan for megafs."""


def swap(
    source: Path,
    target: Path | None = None,
    /,
    *others: Path,
    output: Output,
    flags: Flags = Flags(),  # frozen
    source_face: str = "largest",
    face: str = "largest",
    consent: tuple[Path, ...] = (),
    resume: bool = False,
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Train a network that gives one person's face to another, for likeness swap.

    Args:
        source: Whose face is given: a clip or photo, a .shot, or a folder of clips, photos and
            aligned faces of one person. For a network for any two people a folder of folders,
            one for each.
        target: Whose face is replaced, likewise; best the clip that shall be changed itself.
        others: Further people, for --arch comb and simswap.
        output: The NAME.bundle folder to write.
        source_face: Whose face in the source, where it shows several.
        face: Whose face in the target: largest, a number as likeness track counts, or like=PHOTO.
        consent: Records of everybody shown: the target as target, all others as source. Repeat it.
        resume: Go on from where an interrupted training stopped.
    """
    from likeness.methods.swap.autoencoder.settings import SwapTraining
    from likeness.verbs.train_swap import train_swap

    given = [path for path in (source, target, *others) if path is not None]
    prove_files((output,), (*given, *consent), options)
    if flags.arch in ANY_TO_ANY:
        return _people(given, output, flags, consent, resume, options)
    if target is None:
        raise ConfigError(
            "one person was given, expected the source and the target: likeness train swap SOURCE "
            "TARGET -o NAME.bundle; or a folder of people with --arch simswap"
        )
    chosen = {**asdict(flags), "seed": options.seed}
    del chosen["recognizer"], chosen["start"]
    config = settings(SwapTraining, "train_swap", options, chosen)
    if options.dry_run:
        return _plan(given, output, config, consent, options)
    with show_progress(options.progress) as progress:
        bundle = train_swap(
            *(source, target, output, config, progress),
            others=others,
            analysis=analysis(options),
            source_face=source_face,
            target_face=face,
            consents=consents(consent),
            resume=resume,
            device=device(options),
        )
    return trained(output, bundle)


def _people(
    given: Sequence[Path],
    output: Path,
    flags: Flags,
    consent: tuple[Path, ...],
    resume: bool,
    options: LongOptions,
) -> Mapping[str, Any]:
    """Train one network for any two people."""
    few = {name: getattr(flags, name) for name in ("minutes", "size", "batch")}
    few["seed"] = options.seed
    arch = str(flags.arch)
    return train_people(
        *(arch, given, output, few, consent, options),
        recognizer=flags.recognizer,
        start=flags.start,
        resume=resume,
    )


def _plan(
    given: Sequence[Path],
    output: Path,
    config: SwapTraining,
    consent: tuple[Path, ...],
    options: LongOptions,
) -> Mapping[str, Any]:
    """Say what would be trained on whom, and on whose consent."""
    from likeness.verbs.swap_faces import open_material
    from likeness.verbs.swap_training import permit_pair, plan_of, planned

    materials, records = [open_material(path) for path in given], consents(consent)
    chosen = planned(config, device(options))
    plan = {
        **plan_of(materials, chosen),
        "output": output,
        "consent": foreseen(lambda: permit_pair(materials, records)),
    }
    return {"plan": plan, "settings": {"train_swap": chosen, "analyze": analysis(options)}}
