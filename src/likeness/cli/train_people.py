"""`likeness train swap FOLDER... --arch simswap`: a network for any two people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from likeness.cli.answer import trained
from likeness.cli.options import LongOptions, analysis, consents, device, foreseen, settings
from likeness.cli.progress import show_progress


def train_people(
    folders: Sequence[Path],
    output: Path,
    flags: Mapping[str, Any],
    consent: tuple[Path, ...],
    options: LongOptions,
    *,
    recognizer: Path | None = None,
    resume: bool = False,
) -> Mapping[str, Any]:
    """Train SimSwap, or tell what that would do.

    Args:
        folders: of people.
        output: The NAME.bundle folder to write.
        flags: what was set on the command line, None where nothing was.
        consent: records of everybody shown.
        options: of every command.
        recognizer: NAME.bundle whose codes are learned from.
        resume: go on with an interrupted training.
    """
    from likeness.methods.swap.simswap.settings import SimSwapTraining
    from likeness.verbs.swap_people import open_people, permit_people
    from likeness.verbs.train_simswap import train_simswap

    config = settings(SimSwapTraining, "train_simswap", options, flags)
    looking, records = analysis(options), consents(consent)
    if options.dry_run:
        members = open_people(folders)
        plan = {
            "people": {
                one.name: {"files": len(one.clips), "frames": sum(map(len, one.clips))}
                for one in members
            },
            "output": output,
            "consent": foreseen(lambda: permit_people(members, records)),
        }
        return {"plan": plan, "settings": {"train_simswap": config, "analyze": looking}}
    with show_progress(options.progress) as progress:
        bundle = train_simswap(
            folders,
            output,
            config,
            progress,
            recognizer=recognizer,
            analysis=looking,
            consents=records,
            resume=resume,
            device=device(options),
        )
    return trained(output, bundle)
