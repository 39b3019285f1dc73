"""What a batch has to say: a table for programs and spreadsheets, and a page for people."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from likeness.batch.jobs import Job
from likeness.batch.record import Outcome
from likeness.config import to_json
from likeness.errors import MediaError
from likeness.files import why_unwritable
from likeness.metrics.report import Report
from likeness.outputs import atomic_file
from likeness.outputs.marks import STATED, Mark

_SHOWN = 12
"""Videos that the page holds."""
_FILM = 8 * 2**20
"""Bytes above which a video is named and not held."""
_COLUMNS = (
    *("job", "verb", "inputs", "state", "kept", "attempts", "seconds", "frames", "fps"),
    *("fallback_frames", "warnings", "output", "sha256", "error"),
)
_TABLE: Mark = re.compile(rb"\A" + ",".join(_COLUMNS).encode() + rb"\r?\n")
"""The line that a batch's table begins with."""


def rows_of(jobs: Sequence[Job], outcomes: Mapping[str, Outcome]) -> list[dict[str, Any]]:
    """Return a row per job, alike for JSON and CSV."""
    return [_row(job, outcomes[job.name]) for job in jobs]


def _row(job: Job, outcome: Outcome) -> dict[str, Any]:
    answer = outcome.answer
    values = (
        *(job.name, job.verb, " ".join(job.inputs), outcome.state, outcome.kept),
        *(outcome.attempts, outcome.seconds, answer.get("frames"), answer.get("fps")),
        *(len(answer.get("fallback_frames") or ()), len(answer.get("warnings") or ())),
        *(next(iter(outcome.outputs), None), next(iter(outcome.outputs.values()), None)),
        outcome.error or None,
    )
    return dict(zip(_COLUMNS, values, strict=True))


def write_summary(
    folder: Path, jobs: Sequence[Job], outcomes: Mapping[str, Outcome], facts: Mapping[str, Any]
) -> dict[str, Path]:
    """Write summary.csv, summary.json and report.html into the result folder.

    Args:
        folder: the result folder.
        jobs: in order.
        outcomes: what became of each.
        facts: of the whole batch.

    Returns:
        The files by kind.

    Raises:
        MediaError: one cannot be written.
    """
    rows = rows_of(jobs, outcomes)
    sheet = io.StringIO()
    table = csv.DictWriter(sheet, _COLUMNS)
    table.writeheader()
    table.writerows(rows)
    answers = {name: outcome.answer for name, outcome in outcomes.items()}
    whole = to_json({"generator": "likeness", **facts, "jobs": rows, "answers": answers})
    places = {kind: folder / f"summary.{kind}" for kind in ("csv", "json")}
    _write(places["csv"], sheet.getvalue(), _TABLE)
    _write(places["json"], json.dumps(whole, indent=1) + "\n", STATED)
    return {**places, "html": _page(folder, jobs, outcomes, facts)}


def _write(place: Path, text: str, mark: Mark) -> None:
    try:
        with atomic_file(place, mark) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MediaError(f"{place} cannot be written: {why_unwritable(error)}") from error


def _page(
    folder: Path, jobs: Sequence[Job], outcomes: Mapping[str, Outcome], facts: Mapping[str, Any]
) -> Path:
    report = Report(f"Batch: {folder.name}", footer="Made by likeness batch.")
    report.add_section("In all").add_numbers(facts)
    rows = rows_of(jobs, outcomes)
    shown = ("job", "verb", "state", "attempts", "seconds", "frames", "fps", "fallback_frames")
    report.add_section("Jobs").add_table(shown, [[row[name] for name in shown] for row in rows])
    for row in rows:
        if row["error"]:
            report.add_note(f"{row['job']}: {row['error']}")
    films = [
        job
        for job in jobs
        if job.output is not None
        and outcomes[job.name].finished
        and job.output.suffix in (".mp4", ".webm")
        and job.output.stat().st_size <= _FILM
    ][:_SHOWN]
    if films:
        report.add_section("To look at")
        for job in films:
            report.add_video(job.output or folder, job.name)
    said = [(name, told) for name, told in _warnings(outcomes) if told]
    if said:
        report.add_section("What was warned of").add_table(("job", "warning"), said)
    return report.write(folder / "report.html")


def _warnings(outcomes: Mapping[str, Outcome]) -> list[tuple[str, str]]:
    return [
        (name, str(told))
        for name, outcome in outcomes.items()
        for told in outcome.answer.get("warnings") or ()
    ]
