"""`likeness verify`: what a file says of itself, which mark it carries, which signs it shows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from likeness.cli.answer import printable
from likeness.cli.options import (
    LongOptions,
    prove_files,
    settings,
)
from likeness.cli.progress import show_progress
from likeness.errors import ConfigError
from likeness.files import read_pem

if TYPE_CHECKING:
    from likeness.verify import Verification

EXAMPLE = "Example: likeness verify video.mp4 --report video.html"


def verify(
    file: Path,
    /,
    *,
    report: Path | None = None,
    trust: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)] = (),
    trust_mine: bool = False,
    options: LongOptions = LongOptions(),  # noqa: B008  # frozen
) -> Mapping[str, Any] | None:
    """Tell what can be told about a video or picture, whoever made it.

    Reads its signed manifest, this program's watermark, and signs that cameras don't leave: blinks,
    head pose, spectrum, background, and what a small trained detector sees. It never says that a
    file is real; the best it says is that no sign was found. Nothing is fetched and nothing is
    written beside the file.

    Args:
        file: A video, a picture, or a folder of pictures.
        report: Also write one HTML page with a timeline, face crops and plots.
        trust: Certificates (PEM) whose signatures are trusted.
        trust_mine: Also trust this user's own root and those that stand in their folder `trusted`.
    """
    from likeness.track import TrackConfig

    config = settings(TrackConfig, "track", options)
    anchors = [_certificate(path) for path in trust]
    if trust_mine:
        from likeness.provenance import trust_anchors

        anchors += trust_anchors()
    prove_files((report,), (file, *trust), options)
    if options.dry_run:
        return {"plan": {"file": file, "report": report}, "roots": len(anchors)}
    from likeness.verify import verify_file, write_report

    started = time.perf_counter()
    with show_progress(options.progress) as progress:
        found = verify_file(file, anchors, config, progress)
    if report:
        write_report(found, report)
    facts = {**found.json(), "report": report, "seconds": time.perf_counter() - started}
    if options.json:
        return facts
    _show(found, facts)
    return None


def _certificate(path: Path) -> str:
    text = read_pem(path, ConfigError)
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise ConfigError(f"{path} holds no certificate; expected one in PEM")
    return text


def _show(found: Verification, facts: Mapping[str, Any]) -> None:
    """Print the findings for people."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from likeness.verify.signals import strength

    console = Console(highlight=False, soft_wrap=False)
    console.print(Text(printable(facts["verdict"]), style="bold"))
    table = Table("signal", "finding", "score", "what was measured")
    for signal in found.readings:
        score = "-" if signal.score is None else f"{signal.score:.2f}"
        table.add_row(signal.title, strength(signal.score), score, Text(printable(signal.finding)))
    for sentence in facts["reasons"]:
        console.print(Text(f"- {printable(sentence)}"))
    console.print(table)
    console.print(Text("What this cannot see:", style="bold"))
    for text in found.blind_spots:
        console.print(Text(f"- {printable(text)}"))
    if facts["report"]:
        console.print(Text(printable(f"Report: {facts['report']}")))
