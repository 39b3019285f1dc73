"""What became of each job, kept in the result folder, so that a batch goes on where it was.

A job counts as finished only as long as the record proves it: the same command, inputs of the same
content, and outputs whose digests are those that were written.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from likeness.batch.jobs import Job
from likeness.config import to_json
from likeness.errors import ConfigError, MediaError
from likeness.files import read_json, replaced, why_unwritable
from likeness.provenance.digests import digest_of

NAME = "batch.json"
_FORMAT = 1
State = Literal["done", "fell back", "failed", "left out"]


@dataclass(frozen=True)
class Outcome:
    """What became of a job."""

    state: State
    """`fell back`: done, with frames whose motion was guessed; `left out`: what it needs failed."""
    command: tuple[str, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)
    """sha256 of what it read, by name."""
    outputs: Mapping[str, str] = field(default_factory=dict)
    """sha256 of what it wrote, by name in the folder."""
    attempts: int = 0
    seconds: float = 0.0
    answer: Mapping[str, Any] = field(default_factory=dict)
    """What the command said, as with --json."""
    log: str = ""
    """What it said on standard error: warnings, and why it failed."""
    kept: bool = False
    """Whether an earlier run did it."""

    @property
    def finished(self) -> bool:
        """Whether its result is there."""
        return self.state in ("done", "fell back")

    @property
    def error(self) -> str:
        """Why it failed, in a sentence; empty where it did not."""
        return "" if self.finished else str(self.answer.get("error", ""))


class Record:
    """The outcomes of a folder's jobs, on disk after each change."""

    def __init__(self, folder: Path) -> None:
        """Read what an earlier run left.

        Raises:
            ConfigError: the file in the folder is none of a batch.
        """
        self.folder = folder
        self._change = threading.Lock()
        self.outcomes: dict[str, Outcome] = {}
        place = folder / NAME
        if place.is_file():
            self.outcomes = _parsed(read_json(place, ConfigError), place)

    def finished(self, job: Job) -> Outcome | None:
        """Return the outcome of a job that an earlier run finished, if that can be proved."""
        found = self.outcomes.get(job.name)
        if found is None or not found.finished or found.command != command_of(job):
            return None
        try:
            same = found.inputs == inputs_of(job) and found.outputs == outputs_of(job)
        except MediaError:
            return None
        return replace(found, kept=True) if same else None

    def put(self, job: Job, outcome: Outcome) -> None:
        """Keep what became of a job.

        Raises:
            MediaError: the record cannot be written.
        """
        with self._change:
            self.outcomes[job.name] = outcome
            rows = {name: to_json(known) for name, known in self.outcomes.items()}
            for row in rows.values():
                del row["kept"]
            place = self.folder / NAME
            try:
                with replaced(place) as partial:
                    text = json.dumps({"format": _FORMAT, "jobs": rows}, indent=1)
                    partial.write_text(text + "\n", encoding="utf-8")
            except OSError as error:
                raise MediaError(f"{place} cannot be written: {why_unwritable(error)}") from error


def command_of(job: Job) -> tuple[str, ...]:
    """Return a job's command, and the version that did it: another one may answer otherwise."""
    where = () if job.output is None else ("-o", job.name)
    return (f"likeness {version('likeness')}", job.verb, *job.inputs, *where, *job.flags)


def inputs_of(job: Job) -> dict[str, str]:
    """Return the sha256 of all that a job reads, by name.

    Raises:
        MediaError: something cannot be read.
    """
    return {name: content_of(path) for name, path in job.reads.items()}


def outputs_of(job: Job) -> dict[str, str]:
    """Return the sha256 of what a job wrote, by name in the folder.

    Raises:
        MediaError: it is not there, or cannot be read.
    """
    return {} if job.output is None else {job.name: content_of(job.output)}


def content_of(path: Path) -> str:
    """Return the sha256 of a file; of a folder, that of its files' names and digests.

    Raises:
        MediaError: it is not there, or cannot be read.
    """
    if not path.is_dir():
        return digest_of(path)
    whole = hashlib.sha256()
    for file in sorted(found for found in path.rglob("*") if found.is_file()):
        whole.update(f"{file.relative_to(path).as_posix()}\0{digest_of(file)}\n".encode())
    return whole.hexdigest()


def _parsed(content: Any, place: Path) -> dict[str, Outcome]:
    known = {part.name for part in fields(Outcome)}
    try:
        if content["format"] != _FORMAT:
            raise ValueError(f"format {content['format']!r}")
        return {
            str(name): Outcome(**{**row, "command": tuple(row["command"])})
            for name, row in content["jobs"].items()
            if row.keys() <= known
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{place} is no record of a batch ({error}); expected one of format {_FORMAT}. Choose "
            "another folder, or remove the file to begin anew"
        ) from error
