"""`likeness batch`: many clips, several workers, one folder."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from likeness.cli.options import LongOptions
from likeness.cli.progress import show_progress
from likeness.engine import Send
from likeness.types import Progress

if TYPE_CHECKING:
    from likeness.batch.record import Outcome

EXAMPLE = """Examples:

- likeness batch jobs.toml
- likeness batch jobs.toml --workers 2 --progress json
- likeness batch jobs.toml --engine ray --workers 16

A file of jobs:

    retries = 1
    [flags]
    consent = ["anna.toml"]
    [[job]]
    verb = "reenact"
    inputs = ["anna.bundle", "drivers/*.mp4"]
    output = "{stem}_as_anna.mp4"
    flags = { transfer = "full" }
"""


def batch(
    jobs: Path,
    /,
    *,
    engine: Literal["local", "ray"] = "local",
    workers: int | None = None,
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any]:
    """Do many commands, several at once, into one folder with a table and a page about them.

    A job that fails is tried again and stops no other. Typed again, the command goes on where it
    was: what the folder's record proves to be finished is kept. The exit code is 1 if a job failed.

    Args:
        jobs: A TOML file; names in it are relative to its own folder.
        engine: local for processes of this machine; ray for a Ray cluster that runs, else one made
            here.
        workers: Jobs done at once. [default: one for each core]
    """
    from likeness.batch.jobs import read_jobs
    from likeness.batch.record import Record
    from likeness.batch.run import Batch, Means
    from likeness.batch.summary import write_summary
    from likeness.engine import open_engine
    from likeness.machine import cores

    read, folder, known = read_jobs(jobs)
    count = min(workers or cores(), len(known))
    if options.dry_run:
        commands = [{"name": job.name, "command": " ".join(job.arguments)} for job in known]
        return {"plan": {"folder": folder, "workers": count, "jobs": commands}}
    began = time.monotonic()
    with show_progress(options.progress) as progress, _claimed(folder):
        record = Record(folder)
        opened = open_engine(engine, max(1, count))
        try:
            shared = ("--workers", str(workers or cores()), "--engine", engine)
            means = Means(opened, perform, partial(_here, shared))
            tell = _teller(progress, options.progress == "json")
            outcomes = Batch(read, known, record, means, tell).run()
        finally:
            opened.close()
    facts = {
        "folder": folder,
        "engine": engine,
        "workers": count,
        "jobs": len(known),
        "done": sum(outcome.finished for outcome in outcomes.values()),
        "kept": sum(outcome.kept for outcome in outcomes.values()),
        "failed": [name for name, outcome in outcomes.items() if not outcome.finished],
        "seconds": time.monotonic() - began,
    }
    files = write_summary(folder, known, outcomes, facts)
    return {**facts, **_told(outcomes), "summary": files["json"], "report": files["html"]}


def _told(outcomes: Mapping[str, Outcome]) -> Mapping[str, Any]:
    """Say what went wrong, in the words that decide the exit code."""
    errors = {name: outcome.error for name, outcome in outcomes.items() if outcome.error}
    fallen = [name for name, outcome in outcomes.items() if outcome.state == "fell back"]
    whole = all(outcome.finished for outcome in outcomes.values())
    return {"errors": errors, "fallback_frames": fallen, "healthy": whole}


def perform(task: Any, send: Send) -> None:
    """Do one command line in this process, as it would be done if typed.

    Args:
        task: an `Order`.
        send: is told `Progressed` as it goes, and `Answered` at the end.
    """
    from likeness.batch.run import Answered
    from likeness.cli.app import run
    from likeness.outputs import Stopped

    said, answered = _Told(send), io.StringIO()
    root = logging.getLogger()
    before = list(root.handlers)
    with (
        contextlib.chdir(task.base),
        contextlib.redirect_stdout(answered),
        contextlib.redirect_stderr(said),
    ):
        code = run([*task.arguments, "--json", "--progress=json"])
    # Each command's warnings are its own.
    root.handlers[:] = before
    if code > 128:
        raise Stopped(code - 128)
    try:
        facts = json.loads(answered.getvalue())
    except ValueError:
        facts = {"error": said.text.strip() or f"the command ended with exit code {code}"}
    send(Answered(code, facts, said.text))


class _Told(io.TextIOBase):
    """Standard error of a command: its lines of progress are told, the rest is kept as text."""

    encoding = "utf-8"

    def __init__(self, send: Send) -> None:
        self._send, self._rest = send, ""
        self.text = ""

    def write(self, text: str) -> int:
        from likeness.batch.run import Progressed

        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            try:
                told = json.loads(line)
                self._send(Progressed(told["stage"], told["done"], told["total"]))
            except (ValueError, KeyError, TypeError):
                self.text += line + "\n"
        return len(text)


def _here(
    shared: tuple[str, ...], order: Any, tell: Callable[[str, str, int, int], None], name: str
) -> Any:
    """Do a command in this process, which shares it out among workers of its own."""
    from likeness.batch.run import Answered, Order, Progressed

    answers: list[Answered] = []

    def hear(message: Any) -> None:
        if isinstance(message, Progressed):
            tell(name, message.stage, message.done, message.total)
        else:
            answers.append(message)

    perform(Order((*order.arguments, *shared), order.base), hear)
    return answers[-1]


def _teller(progress: Progress, by_stage: bool) -> Callable[[str, str, int, int], None]:
    """Tell of each job: a program by stage, a person by one bar that fills for each stage."""

    def tell(job: str, stage: str, done: int, total: int) -> None:
        named = f"{job}: {stage}" if by_stage else job
        progress(named if job else stage, done, total)

    return tell


def _make(folder: Path) -> None:
    from likeness.errors import MediaError
    from likeness.files import why_unwritable

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaError(f"{folder} cannot be made: {why_unwritable(error)}") from error


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Work in a folder in which no other batch works."""
    from likeness.errors import MediaError
    from likeness.files.locks import abandoned, claimed

    # A folder of its own carries the lock: jobs lock the one that they write into.
    own = folder / ".batch"
    _make(own)
    if not abandoned(own):
        raise MediaError(
            f"another batch works in {folder}; expected one at a time. Wait for its end, or choose "
            "another folder"
        )
    with claimed(own):
        yield
