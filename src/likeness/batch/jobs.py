"""What a batch is asked to do: a table of commands whose inputs may be patterns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from likeness.config import read_toml, resolve
from likeness.errors import ConfigError

_OURS = ("output", "o", "json", "progress", "dry_run", "workers", "engine", "resume")
"""Flags that the batch gives to its commands itself."""
_TELLING = ("evaluate", "verify")
"""Verbs that write no file unless told to: their answer is the result."""
_PLACE = re.compile(r"\{(\w+)\}")
LIKE = "like="


@dataclass(frozen=True)
class JobTable:
    """A row of the table: one command, or one per file that its patterns meet."""

    verb: str
    """The command as typed: reenact, "train reenact", dub, animate, ..."""
    inputs: tuple[str, ...]
    """What stands after it, in order; a name with *, ? or [ is a pattern."""
    output: str | None = None
    """Name in the result folder. {stem} are the names that patterns met, without endings; {0},
    {1}, ... the name of each input. [default: {stem}.mp4, or {stem}.bundle of a training]"""
    flags: Mapping[str, Any] = field(default_factory=dict)
    """Flags by name: true for a flag alone, a list to repeat it."""
    split: bool = False
    """A long clip: all workers share its analysis and its drawing."""


@dataclass(frozen=True)
class BatchFile:
    """JOBS.toml; all names in it are relative to its own folder."""

    job: tuple[JobTable, ...]
    folder: Path | None = None
    """Where all results go. [default: the name of the file, without its ending, + .results]"""
    flags: Mapping[str, Any] = field(default_factory=dict)
    """Flags of every job."""
    retries: int = 1
    """How often a job is tried again that failed, other than by wrong usage or a missing
    consent."""

    def __post_init__(self) -> None:
        if not self.job:
            raise ConfigError("the batch holds no job; expected a table [[job]] or more")
        if self.retries < 0:
            raise ConfigError(f"retries is {self.retries}; expected 0 or more")


@dataclass(frozen=True)
class Job:
    """One command."""

    name: str
    """What it is called in the record: its output's name."""
    verb: str
    inputs: tuple[str, ...]
    flags: tuple[str, ...]
    """As typed."""
    output: Path | None
    """Absolute; None where the answer is the result."""
    base: Path
    """Absolute: the folder that names are relative to."""
    split: bool

    @property
    def arguments(self) -> tuple[str, ...]:
        """The command line, without the program's name."""
        where = () if self.output is None else ("-o", str(self.output))
        # What an interrupted training has learned is not lost with it.
        again = ("--resume",) if self.verb.split()[0] == "train" else ()
        return (*self.verb.split(), *self.inputs, *where, *self.flags, *again)

    @property
    def reads(self) -> dict[str, Path]:
        """Files and folders that it is given to read, as far as they are there, by name."""
        values = (flag.partition("=")[2].removeprefix(LIKE) for flag in self.flags)
        named = {name: self.base / name for name in (*self.inputs, *values) if name}
        return {name: path for name, path in named.items() if path.exists()}

    def needs(self, other: Job) -> bool:
        """Tell whether it reads what another job writes."""
        if other.output is None or other is self:
            return False
        return any((self.base / name).resolve() == other.output.resolve() for name in self.inputs)


def read_jobs(path: Path) -> tuple[BatchFile, Path, tuple[Job, ...]]:
    """Read JOBS.toml and find out what its patterns meet.

    Returns:
        The file, the result folder, and the jobs in order.

    Raises:
        ConfigError: a key is unknown, a pattern meets nothing, two jobs write one file, or jobs
            wait for each other in a circle.
    """
    read = resolve(BatchFile, read_toml(path), where=path.name)
    base = path.resolve().parent
    folder = base / (read.folder or f"{path.stem}.results")
    jobs = tuple(job for row in read.job for job in _expanded(row, read, base, folder))
    names = [job.name for job in jobs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"{path.name} lets several jobs write {twice[0]}; expected a name for each: put "
            "{stem} or {0}, {1}, ... into their output"
        )
    _check_circles(jobs, path)
    return read, folder, jobs


def _expanded(row: JobTable, read: BatchFile, base: Path, folder: Path) -> Iterator[Job]:
    met = [_met(name, base) for name in row.inputs]
    flags = tuple(_typed({**read.flags, **row.flags}))
    patterns = [n for n, name in enumerate(row.inputs) if met[n] != (name,)]
    for names in product(*met):
        stems = [Path(name).stem for name in names]
        chosen = [stems[n] for n in patterns] or stems[-1:]
        places = {str(n): stem for n, stem in enumerate(stems)} | {"stem": "-".join(chosen)}
        telling = row.output is None and row.verb.split()[0] in _TELLING
        ending = ".bundle" if row.verb.startswith("train") else ".mp4"
        name = _filled(row.output or ("{stem}" if telling else "{stem}" + ending), places)
        yield Job(
            name=name,
            verb=row.verb,
            inputs=names,
            flags=flags,
            output=None if telling else folder / name,
            base=base,
            split=row.split,
        )


def _met(name: str, base: Path) -> tuple[str, ...]:
    """Return the names that a pattern meets, in order; a plain name is itself."""
    if not any(sign in name for sign in "*?[") or (base / name).exists():
        return (name,)
    pattern = Path(name)
    root = Path(pattern.anchor) if pattern.is_absolute() else base
    found = sorted(root.glob(str(pattern.relative_to(pattern.anchor))))
    # Hidden files are unfinished or belong to somebody else.
    shown = [path for path in found if not path.name.startswith(".")]
    if not shown:
        raise ConfigError(f"the pattern {name!r} meets nothing in {root}; expected a file or more")
    return tuple(str(path if pattern.is_absolute() else path.relative_to(base)) for path in shown)


def _filled(template: str, places: Mapping[str, str]) -> str:
    def put(found: re.Match[str]) -> str:
        if found[1] not in places:
            expected = ", ".join(f"{{{name}}}" for name in places)
            raise ConfigError(f"output is {template!r}, and {found[0]} is unknown; use {expected}")
        return places[found[1]]

    name = _PLACE.sub(put, template)
    if Path(name).is_absolute() or ".." in Path(name).parts or not name.strip():
        raise ConfigError(f"output is {name!r}; expected a name inside the result folder")
    return name


def _typed(flags: Mapping[str, Any]) -> Iterator[str]:
    """Write flags as they would be typed.

    >>> list(_typed({"transfer": "mouth", "absolute": True, "edit": ["smile=0.6", "yaw=+12"]}))
    ['--transfer=mouth', '--absolute', '--edit=smile=0.6', '--edit=yaw=+12']
    """
    for name, value in flags.items():
        if name.replace("-", "_") in _OURS:
            raise ConfigError(f"flags hold {name!r}, which the batch gives to its jobs itself")
        typed = "--" + name.replace("_", "-")
        for item in value if isinstance(value, list | tuple) else (value,):
            if isinstance(item, dict):
                raise ConfigError(f"the flag {name!r} is a table; expected a value or a list")
            if item is True:
                yield typed
            elif item is not False:
                yield f"{typed}={item}"


def _check_circles(jobs: tuple[Job, ...], path: Path) -> None:
    waiting, done = list(jobs), 0
    while waiting and done != len(waiting):
        done = len(waiting)
        waiting = [job for job in waiting if any(job.needs(other) for other in waiting)]
    if waiting:
        raise ConfigError(
            f"in {path.name}, {waiting[0].name} waits for what waits for it; expected inputs that "
            "some other job makes before"
        )
