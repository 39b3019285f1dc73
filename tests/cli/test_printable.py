"""Nothing that a stranger wrote steers the terminal."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.cli.answer import PrintableFormatter, print_json, print_table, printable
from likeness.cli.app import run
from likeness.provenance.consent import Consent, Scope, write_consent

ESCAPE = "\x1b]0;owned\x07\x1b[2J\u202egnp.exe\x9b31m"


@given(st.text())
def test_printable_text_steers_nothing_and_loses_nothing(text: str) -> None:
    shown = printable(text)
    assert "\x1b" not in shown
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202e\u2066\ufeff" for c in shown)
    shown.encode()
    if text.isascii() and text.isprintable():
        assert shown == text
    assert printable(shown) == shown


def test_scripts_that_need_joiners_keep_them() -> None:
    for word in ("\u0645\u06cc\u200c\u062e", "\U0001f468\u200d\U0001f469", "ä é ş"):
        assert printable(word) == word
    assert printable("a\nb") == "a\\nb"
    assert printable("a\nb", lines=True) == "a\nb"


def test_tables_errors_and_warnings_are_printable(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    print_table({"name": ESCAPE, "more": {"list": [ESCAPE]}, "rows": [{"a": ESCAPE}]})
    print_json({"name": ESCAPE})
    assert run(["verify", str(tmp_path / f"{ESCAPE}.mp4")]) == 1
    assert run(["verify", "--nonsense", ESCAPE]) == 2
    record = logging.LogRecord("x", logging.WARNING, "f", 1, "about %s", (ESCAPE,), None)
    warned = PrintableFormatter("likeness: %(message)s").format(record)
    told = capsys.readouterr()
    for text in (told.out, told.err, warned):
        assert "owned" in text
        assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(text)


def test_names_in_records_are_printable(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    name = "Anna\x9b2J\u202e"
    scope = Scope(methods=("all",), **{"from": "2020-01-01"})
    write_consent(
        Consent(person=name, role="target", statement="Yes.", scope=scope), tmp_path / "a.toml"
    )
    assert run(["consent", "check", str(tmp_path / "a.toml")]) == 0
    shown = capsys.readouterr().out
    assert "Anna\\x9b2J\\u202e" in shown
