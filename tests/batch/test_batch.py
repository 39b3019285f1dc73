"""Batches: what patterns meet, what is tried again, what is kept, what is told."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from likeness.batch.jobs import read_jobs
from likeness.batch.record import NAME, Outcome, Record
from likeness.batch.run import Answered, Batch, Means, Order, Progressed
from likeness.batch.summary import write_summary
from likeness.cli.app import run as run_command
from likeness.engine import Work, WorkerError
from likeness.errors import ConfigError

TABLE = """
retries = 2
[flags]
consent = ["anna.toml"]
[[job]]
verb = "train reenact"
inputs = ["anna.mp4"]
output = "anna.bundle"
[[job]]
verb = "reenact"
inputs = ["jobs.results/anna.bundle", "drivers/*.mp4"]
output = "{stem}_as_anna.mp4"
flags = { transfer = "mouth", edit = ["yaw=+4", "smile=0.2"], absolute = true }
[[job]]
verb = "verify"
inputs = ["anna.mp4"]
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "drivers").mkdir()
    for name in ("anna.mp4", "anna.toml", "drivers/ben.mp4", "drivers/cara.mp4"):
        (tmp_path / name).write_text(name)
    path = tmp_path / "jobs.toml"
    path.write_text(TABLE)
    return path


class InPlace:
    """An engine that works here, one thing after another."""

    workers = 2

    def run(self, work: Work, task: Any) -> Iterator[Any]:
        told: list[Any] = []
        work(task, told.append)
        yield from told

    def close(self) -> None:
        """Nothing is open."""


class Commands:
    """Stands in for the command line: writes what is asked, or fails as it was told to."""

    def __init__(self, failures: dict[str, list[Answered | Exception]] | None = None) -> None:
        self.failures = failures or {}
        self.done: list[str] = []

    def __call__(self, order: Order, send: Callable[[Any], None]) -> None:
        output = order.arguments[order.arguments.index("-o") + 1] if "-o" in order.arguments else ""
        name = Path(output).name or "answer"
        self.done.append(name)
        if self.failures.get(name):
            failure = self.failures[name].pop(0)
            if isinstance(failure, Exception):
                raise failure
            send(failure)
            return
        send(Progressed("synthesize", 1, 2))
        if output and not output.endswith(".bundle"):
            Path(output).write_text(" ".join(order.arguments))
        elif output:
            Path(output).mkdir(exist_ok=True)
            (Path(output) / "bundle.json").write_text("{}")
        send(Answered(0, {"frames": 25, "fps": 10.0, "warnings": ["dim light"]}))


def done(table: Path, commands: Commands) -> dict[str, Outcome]:
    read, folder, jobs = read_jobs(table)
    folder.mkdir(exist_ok=True)
    told: list[tuple[str, str, int, int]] = []
    means = Means(InPlace(), commands, lambda order, tell, name: Answered(1))
    outcomes = Batch(read, jobs, Record(folder), means, lambda *seen: told.append(seen)).run()
    assert told[-1] == ("", "jobs", len(jobs), len(jobs))
    return outcomes


def test_patterns_meet_files_and_flags_are_typed(table: Path) -> None:
    _, folder, jobs = read_jobs(table)
    assert [job.name for job in jobs] == [
        *("anna.bundle", "ben_as_anna.mp4", "cara_as_anna.mp4", "anna"),
    ]
    reenact = jobs[1]
    assert reenact.arguments == (
        *("reenact", "jobs.results/anna.bundle", "drivers/ben.mp4"),
        *("-o", str(folder / "ben_as_anna.mp4"), "--consent=anna.toml", "--transfer=mouth"),
        *("--edit=yaw=+4", "--edit=smile=0.2", "--absolute"),
    )
    assert set(reenact.reads) == {"drivers/ben.mp4", "anna.toml"}
    assert reenact.needs(jobs[0])
    assert not jobs[0].needs(reenact)
    assert "--resume" in jobs[0].arguments
    assert jobs[3].output is None


@pytest.mark.parametrize(
    ("table_text", "words"),
    [
        ('[[job]]\nverb = "reenact"\ninputs = ["*.bundle"]', "meets nothing"),
        ('[[job]]\nverb = "dub"\ninputs = ["a"]\nflags = { output = "x" }', "gives to its jobs"),
        ('[[job]]\nverb = "dub"\ninputs = ["a"]\noutput = "../x.mp4"', "inside the result folder"),
        ('[[job]]\nverb = "dub"\ninputs = ["a"]\noutput = "{nobody}.mp4"', "is unknown"),
        ('[[job]]\nverb = "dub"\ninputs = ["drivers/*"]\noutput = "x.mp4"', "several jobs"),
        (
            '[[job]]\nverb = "dub"\ninputs = ["jobs.results/b.mp4"]\noutput = "a.mp4"\n'
            '[[job]]\nverb = "dub"\ninputs = ["jobs.results/a.mp4"]\noutput = "b.mp4"',
            "waits for what waits",
        ),
        ('[[job]]\nverbs = "dub"\ninputs = []', "did you mean 'verb'"),
        ("retries = 1", "'jobs.toml.job' is missing"),
    ],
)
def test_what_cannot_be_meant_is_refused(table: Path, table_text: str, words: str) -> None:
    table.write_text(table_text)
    with pytest.raises(ConfigError, match=words):
        read_jobs(table)


def test_a_finished_batch_is_kept_and_what_changed_is_done_again(table: Path) -> None:
    first = Commands()
    outcomes = done(table, first)
    assert {outcome.state for outcome in outcomes.values()} == {"done"}
    # Jobs that need nobody's output may be done at any time.
    after = [first.done.index(name) for name in ("ben_as_anna.mp4", "cara_as_anna.mp4")]
    assert first.done.index("anna.bundle") < min(after)

    again = Commands()
    assert all(outcome.kept for outcome in done(table, again).values())
    assert again.done == []

    # An output that was touched, an input that was changed, another flag: each is done anew.
    (table.parent / "jobs.results" / "ben_as_anna.mp4").write_text("something else")
    again = Commands()
    done(table, again)
    assert again.done == ["ben_as_anna.mp4"]
    (table.parent / "drivers" / "cara.mp4").write_text("another film")
    again = Commands()
    done(table, again)
    assert again.done == ["cara_as_anna.mp4"]
    table.write_text(TABLE.replace("smile=0.2", "smile=0.3"))
    again = Commands()
    done(table, again)
    assert sorted(again.done) == ["ben_as_anna.mp4", "cara_as_anna.mp4"]


def test_a_failing_job_is_tried_again_and_stops_no_other(table: Path) -> None:
    broken = Answered(1, {"error": "the disk is full", "kind": "MediaError"})
    refused = Answered(1, {"error": "nobody agreed", "kind": "ConsentError"})
    commands = Commands(
        {
            "ben_as_anna.mp4": [WorkerError("gone"), broken],
            "cara_as_anna.mp4": [refused],
            "answer": [broken, broken, broken],
        }
    )
    outcomes = done(table, commands)
    assert outcomes["ben_as_anna.mp4"].state == "done"
    assert outcomes["ben_as_anna.mp4"].attempts == 3
    assert outcomes["cara_as_anna.mp4"].state == "failed"
    assert outcomes["cara_as_anna.mp4"].attempts == 1
    assert outcomes["anna"].error == "the disk is full"
    # The next run does what failed, and only that.
    later = Commands()
    assert all(outcome.finished for outcome in done(table, later).values())
    assert sorted(later.done) == ["answer", "cara_as_anna.mp4"]


def test_what_needs_a_failed_job_is_left_out(table: Path) -> None:
    broken = Answered(2, {"error": "no such preset", "kind": "ConfigError"})
    outcomes = done(table, Commands({"anna.bundle": [broken]}))
    assert [outcome.state for outcome in outcomes.values()] == [
        *("failed", "left out", "left out", "done"),
    ]
    assert "anna.bundle was not made" in outcomes["ben_as_anna.mp4"].error


def test_the_summary_tells_of_every_job(table: Path) -> None:
    _, folder, jobs = read_jobs(table)
    refused = Answered(1, {"error": "nobody agreed", "kind": "ConsentError"})
    outcomes = done(table, Commands({"cara_as_anna.mp4": [refused]}))
    # The stand-in writes no videos: a page holds none of another ending.
    shown = [job for job in jobs if job.verb != "reenact"]
    files = write_summary(folder, shown, outcomes, {"workers": 2})
    rows = list(csv.DictReader(files["csv"].open(encoding="utf-8")))
    assert [row["state"] for row in rows] == ["done", "done"]
    assert rows[0]["sha256"] == outcomes["anna.bundle"].outputs["anna.bundle"]
    whole = json.loads(files["json"].read_text())
    assert whole["answers"]["cara_as_anna.mp4"]["error"] == "nobody agreed"
    assert "dim light" in files["html"].read_text()


def test_a_record_of_somebody_else_is_not_overwritten(table: Path) -> None:
    _, folder, _ = read_jobs(table)
    folder.mkdir()
    (folder / NAME).write_text('{"format": 9}')
    with pytest.raises(ConfigError, match="no record of a batch"):
        Record(folder)


@pytest.mark.slow
def test_the_command_line_does_it_in_processes(
    plain_clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plain.mp4").write_bytes(plain_clip.read_bytes())
    table = tmp_path / "jobs.toml"
    table.write_text(
        '[[job]]\nverb = "doctor"\ninputs = []\noutput = "none.txt"\n'
        '[[job]]\nverb = "track"\ninputs = ["plain.mp4"]\noutput = "plain.shot"\n'
    )
    assert run_command(["batch", str(table), "--json", "--progress", "json", "--workers", "1"]) == 1
    out, err = capfd.readouterr()
    facts = json.loads(out)
    assert facts["failed"] == ["none.txt", "plain.shot"]
    assert "no face was found" in facts["errors"]["plain.shot"]
    stages = {json.loads(line)["stage"] for line in err.splitlines() if line.startswith("{")}
    assert {"jobs", "plain.shot: track"} <= stages
