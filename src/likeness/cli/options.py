"""Options that commands share, and what they decide."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from cyclopts import Group, Parameter

from likeness.config import nearest, read_toml, resolve
from likeness.errors import BackendError, ConfigError, ConsentError

if TYPE_CHECKING:
    import torch

    from likeness.engine import Engine
    from likeness.pipeline import AnalyzeConfig
    from likeness.provenance.consent import Consent
    from likeness.provenance.permission import Permission

COMMON = Group("Options of every command", sort_key=9)
TABLES = (
    *("track", "fit", "train", "train_swap", "train_simswap", "train_compact", "transfer"),
    *("edits", "speech", "train_faceshifter", "train_ipgan"),
    *("train_hear", "train_korshunova", "train_megafs", "train_cihanet"),
    *("train_rsgan", "train_fsnet", "train_fsgan", "train_unifacegan"),
    *(
        "animate",
        "edit",
        "swap",
        "finish",
        "published",
        "gan",
        "stitch",
        "encode",
        "demo",
        "bench",
        "live",
    ),
)
"""Tables that a settings file may hold; a command reads those that concern it."""

Output = Annotated[Path, Parameter(name=["--output", "-o"])]
"""Where the result goes: required, written beside its final name and renamed when whole."""

Settings = TypeVar("Settings")


@Parameter(name="*", group=COMMON)
@dataclass(frozen=True)
class Options:
    """What every command understands."""

    json: bool = False
    """Print one JSON object on standard output and nothing else there."""
    progress: Literal["auto", "json", "none"] = "auto"
    """Progress on standard error: a bar where it is a terminal, JSON lines, or nothing."""
    config: Path | None = None
    """Settings as TOML, below the flags given here; a table per stage: [track], [train], ..."""
    seed: int | None = None
    """Where all randomness starts; equal seeds give equal results. [default: 0]"""
    device: Literal["auto", "cpu", "cuda"] | None = None
    """Where networks run; auto takes an accelerator if there is one. [default: auto]"""


@Parameter(name="*", group=COMMON)
@dataclass(frozen=True)
class LongOptions(Options):
    """What commands understand that cost more than seconds."""

    dry_run: bool = False
    """Print the resolved settings and the plan, and do nothing."""


@Parameter(name="*")
@dataclass(frozen=True)
class Sharing:
    """Who shares one long clip."""

    workers: int = 1
    """Processes that share the analysis and the drawing of one long clip."""
    engine: Literal["local", "ray"] = "local"
    """Where they run: on this machine, or in a Ray cluster."""


@contextlib.contextmanager
def shared_out(sharing: Sharing) -> Iterator[Engine | None]:
    """Open the engine that was asked for; None where this process is to do it alone.

    Raises:
        ConfigError: there are fewer workers than one.
        BackendError: the engine cannot be had.
    """
    from likeness.engine import open_engine

    if sharing.workers < 1:
        raise ConfigError(f"--workers is {sharing.workers}; expected 1 or more")
    if sharing.workers == 1 and sharing.engine == "local":
        yield None
        return
    opened = open_engine(sharing.engine, sharing.workers)
    try:
        yield opened
    finally:
        opened.close()


def settings(
    kind: type[Settings], name: str, options: Options, flags: Mapping[str, Any] | None = None
) -> Settings:
    """Resolve a stage's settings: defaults, then the table of `--config`, then flags.

    Raises:
        ConfigError: a table or key is unknown, or a value does not fit.
    """
    return resolve(kind, table(name, options), flags, where=name)


def table(name: str, options: Options) -> Mapping[str, Any]:
    """Return a table of `--config`, empty without one.

    Raises:
        ConfigError: the file holds a table that no command knows.
    """
    tables = _with_ranges(read_toml(options.config), options.config) if options.config else {}
    for found, content in tables.items():
        if found not in TABLES or not isinstance(content, dict):
            raise ConfigError(f"{options.config} holds the table {found!r}{nearest(found, TABLES)}")
    chosen: Mapping[str, Any] = tables.get(name, {})
    return chosen


def _with_ranges(tables: Mapping[str, Any], where: Path) -> Mapping[str, Any]:
    """Move [[range]] tables, settings of a finish for ranges of frames, into the finish's own."""
    if "range" not in tables:
        return tables
    ranges, finish = tables["range"], tables.get("finish", {})
    if not isinstance(ranges, list) or not all(isinstance(one, dict) for one in ranges):
        raise ConfigError(
            f"{where} holds range as {type(ranges).__name__}; expected tables that begin with "
            "[[range]], each with frames and what holds there"
        )
    if not isinstance(finish, dict) or "ranges" in finish:
        raise ConfigError(f"{where} holds ranges twice; expected [[range]] tables alone")
    others = {name: content for name, content in tables.items() if name != "range"}
    return {**others, "finish": {**finish, "ranges": ranges}}


def analysis(options: Options) -> AnalyzeConfig:
    """Resolve the settings of tracking and fitting."""
    from likeness.fit import FitConfig
    from likeness.pipeline import AnalyzeConfig
    from likeness.track import TrackConfig

    return AnalyzeConfig(
        settings(TrackConfig, "track", options), settings(FitConfig, "fit", options)
    )


def consents(paths: tuple[Path, ...]) -> tuple[Consent, ...]:
    """Read the consent records that `--consent` names.

    Raises:
        ConsentError: one cannot be read or is no record.
    """
    from likeness.provenance.consent import load_consent

    return tuple(load_consent(path) for path in paths)


def prove_video(
    output: Path,
    inputs: Iterable[Path | None],
    options: Options,
    others: Iterable[Path | None] = (),
) -> None:
    """Prove before any work that a video can be written and destroys nothing that is read.

    Args:
        output: the video, picture or pictures.
        inputs: everything the command was given to read; None was left out.
        options: their settings file is read, too.
        others: what is written besides.

    Raises:
        MediaError: it can't; the message tells the cause and what to do.
    """
    from likeness.encode import inputs_of, prove_place

    read = inputs_of((*inputs, options.config))
    prove_place(output, read, others=[path for path in others if path])


def prove_files(
    outputs: Iterable[Path | None], inputs: Iterable[Path | None], options: Options
) -> None:
    """The same for outputs that are no video: bundles, shots, tables, pages."""
    from likeness.encode import inputs_of
    from likeness.outputs import check_outputs, prove_room

    written = [path for path in outputs if path]
    for path in written:
        prove_room(path, [path.name])
    check_outputs(written, inputs_of((*inputs, options.config)))


def foreseen(ask: Callable[[], Permission]) -> Any:
    """Tell for a dry run on whose consent a command would run, or why it would refuse."""
    try:
        return ask().shown
    except ConsentError as error:
        return f"would refuse: {error}"


def device(options: Options) -> torch.device:
    """Choose where networks run.

    Raises:
        BackendError: the device that was asked for is not here.
    """
    import torch

    there = torch.cuda.is_available()
    wanted = options.device or "auto"
    if wanted == "cuda" and not there:
        raise BackendError(
            "--device cuda was asked for, and torch finds no CUDA device; run likeness doctor, or "
            "leave the flag out"
        )
    return torch.device("cpu" if wanted == "cpu" or not there else "cuda")
