"""`likeness train swap FOLDER... --arch simswap|compact|...`: a network for any two people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from likeness.cli.answer import trained
from likeness.cli.options import LongOptions, analysis, consents, device, foreseen, settings
from likeness.cli.progress import show_progress

ANY_TO_ANY = (
    *("simswap", "faceshifter", "ipgan", "compact"),
    *("hear", "korshunova", "megafs", "cihanet"),
    *("rsgan", "fsnet", "fsgan", "unifacegan"),
)
"""Networks that learn many people for any two; the settings of each stand in [train_NAME]."""


def train_people(
    arch: str,
    folders: Sequence[Path],
    output: Path,
    flags: Mapping[str, Any],
    consent: tuple[Path, ...],
    options: LongOptions,
    *,
    recognizer: Path | None = None,
    start: Path | None = None,
    resume: bool = False,
) -> Mapping[str, Any]:
    """Train a network for any two people, or tell what that would do.

    Args:
        arch: one of ANY_TO_ANY.
        folders: of people.
        output: The NAME.bundle folder to write.
        flags: what was set on the command line, None where nothing was.
        consent: records of everybody shown.
        options: of every command.
        recognizer: NAME.bundle whose codes are learned from.
        start: NAME.bundle of what was trained before, for networks that build on it.
        resume: go on with an interrupted training.
    """
    from likeness.verbs.swap_consents import permit_people
    from likeness.verbs.swap_people import open_people
    from likeness.verbs.train_any import SETTINGS, train_any

    table = f"train_{arch}"
    config = settings(SETTINGS[arch], table, options, flags)
    looking, records = analysis(options), consents(consent)
    one = arch == "korshunova"  # who alone lends a face
    if options.dry_run:
        members = open_people(folders)
        plan = {
            "people": {
                one.name: {"files": len(one.clips), "frames": sum(map(len, one.clips))}
                for one in members
            },
            "output": output,
            "consent": foreseen(lambda: permit_people(members, records, first=one)),
        }
        return {"plan": plan, "settings": {table: config, "analyze": looking}}
    with show_progress(options.progress) as progress:
        bundle = train_any(
            folders,
            output,
            config,
            progress,
            recognizer=recognizer,
            start=start,
            analysis=looking,
            consents=records,
            resume=resume,
            device=device(options),
        )
    return trained(output, bundle)
