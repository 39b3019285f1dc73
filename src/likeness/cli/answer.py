"""What a command says at the end: a table for people or one JSON object for programs."""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import category

from likeness.config import to_json

if TYPE_CHECKING:
    from likeness.types import Bundle

_STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode's categories of characters that move, turn or break what is shown."""
_KEPT = frozenset("\u200c\u200d")
"""Joiners, which many scripts need."""

DONE, FAILED, MISUSED, FELL_BACK = 0, 1, 2, 3


def answer(facts: Mapping[str, Any], as_json: bool) -> int:
    """Print facts and return the exit code.

    It is FAILED if the facts say "healthy": false, FELL_BACK if they list frames that fell back.
    """
    if as_json:
        print_json(facts)
    else:
        print_table(facts)
    if facts.get("healthy") is False:
        return FAILED
    return FELL_BACK if facts.get("fallback_frames") else DONE


def complain(error: Exception, words: str, as_json: bool) -> None:
    """Say what went wrong on standard error, and as an object where a program listens."""
    print(printable(f"likeness: {words}", lines=True), file=sys.stderr)
    if as_json:
        print_json({"error": words, "kind": type(error).__name__})


def print_json(facts: Mapping[str, Any]) -> None:
    """Print one JSON object; what is not finite becomes null, as JSON has no name for it."""
    print(json.dumps(_finite(to_json(facts)), indent=2, allow_nan=False))


def print_table(facts: Mapping[str, Any]) -> None:
    """Print names and values below each other, nested ones indented, rows of numbers as columns."""
    for line in _lines(to_json(facts), ""):
        print(printable(line))


def printable(text: str, *, lines: bool = False) -> str:
    """Return text as it may reach a terminal; what would steer it is written out instead.

    Names and sentences may come from a stranger's file. Control characters (escape sequences among
    them), marks that turn the direction of writing, and halves of characters become their escapes.

    Args:
        text: anything.
        lines: keep line ends, where the text is made of lines here.

    >>> printable("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    kept = _KEPT | {"\n"} if lines else _KEPT
    return "".join(c if c in kept or category(c) not in _STEERING else _escape(c) for c in text)


class PrintableFormatter(logging.Formatter):
    """Formats log records for a terminal: warnings name files, too."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one text that steers nothing."""
        return printable(super().format(record), lines=True)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _lines(facts: Mapping[str, Any], indent: str) -> list[str]:
    width = max((len(name) for name in facts), default=0) + 2
    lines = []
    for name, value in facts.items():
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            value = {str(i): item for i, item in enumerate(value)}
        if isinstance(value, dict) and _is_grid(value):
            lines += _columns(name, value, indent)
        elif isinstance(value, dict) and value:
            lines += [f"{indent}{name}", *_lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{name:<{width}}{_text(value)}")
    return lines


def _is_grid(facts: Mapping[str, Any]) -> bool:
    """Tell whether all values are rows of numbers under the same names."""
    rows = list(facts.values())
    return len(rows) > 1 and all(
        isinstance(row, dict)
        and bool(row)
        and row.keys() == rows[0].keys()
        and all(type(cell) in (int, float) for cell in row.values())
        for row in rows
    )


def _columns(name: str, rows: Mapping[str, Mapping[str, Any]], indent: str) -> list[str]:
    heads = list(next(iter(rows.values())))
    first = max(len(name), *(len(row) + 2 for row in rows)) + 2
    cells = [[_text(row[head]) for head in heads] for row in rows.values()]
    widths = [max(map(len, column)) + 2 for column in zip(heads, *cells, strict=True)]
    labels = [name, *(f"  {row}" for row in rows)]
    return [
        f"{indent}{label:<{first}}"
        + "".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True))
        for label, line in zip(labels, [heads, *cells], strict=True)
    ]


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        shown = ", ".join(_text(item) for item in value[:20])
        return shown + (f", ... ({len(value)} in all)" if len(value) > 20 else "") or "none"
    if isinstance(value, dict | type(None)):
        return "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def trained(output: Path, bundle: Bundle) -> Mapping[str, Any]:
    """Say what was trained, on whom, and how; consent records stay in the bundle."""
    people = [{k: v for k, v in person.items() if k != "record"} for person in bundle.people]
    training = dict(bundle.training)
    return {"output": output, "method": bundle.method, "people": people, "training": training}
