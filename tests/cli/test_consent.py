"""`likeness consent` and `--consent`: asked, given, refused."""

from __future__ import annotations

import io
import json
import os
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from likeness.cli.app import run
from likeness.provenance.consent import load_consent, signature_holds
from likeness.provenance.revoked import revoked_numbers
from tests.confined import confined
from tests.conftest import TODAY

GIVEN = ("--person", "Anna", "--statement", "I agree.", "--scope", "all", "--yes")


class Terminal(io.StringIO):
    """Standard input with somebody who types."""

    def isatty(self) -> bool:
        return True


def ask(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert run([*arguments, "--json"]) == code
    facts = json.loads(capsys.readouterr().out)
    assert isinstance(facts, dict)
    return facts


def test_new_writes_what_check_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "anna.toml"
    facts = ask(capsys, "consent", "new", "-o", str(path), *GIVEN)
    record = load_consent(path)
    assert facts["sha256"] == record.digest()
    assert (record.person, record.role, record.scope.methods) == ("Anna", "target", ("all",))
    assert (record.scope.start, record.scope.until) == (TODAY, None)
    checked = ask(capsys, "consent", "check", str(path), "--method", "swap")
    assert (checked["holds"], checked["against"], checked["signed"]) == (True, [], "no")
    before = ask(capsys, "consent", "check", str(path), "--on", str(TODAY - timedelta(1)), code=1)
    assert "it holds from" in before["against"][0]
    again = ask(capsys, "consent", "new", "-o", str(path), *GIVEN, code=1)
    assert "never replaced" in again["error"]


def test_new_takes_the_whole_scope_and_a_key(
    tmp_path: Path, plain_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, key = tmp_path / "a.toml", tmp_path / "anna.pem"
    command = ["consent", "new", "-o", str(path), "--person", "Anna", "--statement", "Yes."]
    command += ["--scope", "reenact,dub", "--scope", "edit", "--role", "source", "--yes"]
    command += ["--language", "de", "--language", "en", "--territory", "EU", "--project", "Film"]
    command += ["--start", "2026-01-01", "--until", "2027-01-01", "--clip", str(plain_clip)]
    facts = ask(capsys, *command, "--drivers", "consenting", "--key", str(key))
    scope = load_consent(path).scope
    assert scope.methods == ("reenact", "dub", "edit")
    assert (scope.languages, scope.territory, scope.project) == (("de", "en"), ("EU",), "Film")
    assert (str(scope.start), str(scope.until)) == ("2026-01-01", "2027-01-01")
    assert len(scope.clips) == 1
    assert scope.drivers == "consenting"
    assert facts["signed"].startswith("yes")
    assert key.stat().st_mode & 0o777 == 0o600
    assert signature_holds(load_consent(path))
    path.write_text(path.read_text().replace("2027", "2097"))
    assert ask(capsys, "consent", "check", str(path), code=1)["signed"].startswith("broken")


@pytest.mark.parametrize("missing", ["--person", "--statement", "--scope", "--yes"])
def test_what_is_missing_is_named_where_nobody_can_be_asked(
    tmp_path: Path,
    missing: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    given = list(GIVEN)
    at = given.index(missing)
    del given[at : at + (1 if missing == "--yes" else 2)]
    facts = ask(capsys, "consent", "new", "-o", str(tmp_path / "a.toml"), *given, code=2)
    assert f"{missing} is missing" in facts["error"]
    assert list(tmp_path.iterdir()) == []


def test_somebody_at_a_terminal_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.toml"
    monkeypatch.setattr("sys.stdin", Terminal("Anna\nI agree.\nreenact\nno\n"))
    assert run(["consent", "new", "-o", str(path)]) == 1
    assert not path.exists()
    monkeypatch.setattr("sys.stdin", Terminal("Anna\nI agree.\nreenact\nyes\n"))
    assert run(["consent", "new", "-o", str(path)]) == 0
    assert load_consent(path).scope.methods == ("reenact",)
    assert "Did Anna agree to exactly this" in capsys.readouterr().err


def test_a_method_that_does_not_exist_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [*GIVEN[:5], "impersonate", "--yes"]
    facts = ask(capsys, "consent", "new", "-o", str(tmp_path / "a.toml"), *given, code=2)
    assert "reenact" in facts["error"]


def test_a_pipe_is_no_key_and_no_certificate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Reading it would wait for a writer forever.
    pipe = tmp_path / "k.pem"
    os.mkfifo(pipe)
    new = ("consent", "new", "-o", str(tmp_path / "a.toml"), *GIVEN, "--key", str(pipe))
    for command in (new, ("verify", str(tmp_path / "a.mp4"), "--trust", str(pipe))):
        answer = confined(partial(ask, capsys, *command, code=1 + (command[0] == "verify")))
        assert answer == "ok", command
    assert list(tmp_path.iterdir()) == [pipe]


def test_revoke_ends_it_in_the_file_and_for_this_user(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "user"))
    path, copy = tmp_path / "a.toml", tmp_path / "copy.toml"
    ask(capsys, "consent", "new", "-o", str(path), *GIVEN, "--key", str(tmp_path / "k.pem"))
    copy.write_bytes(path.read_bytes())
    facts = ask(capsys, "consent", "revoke", str(path), "--reason", "asked by phone")
    assert facts["revoked"] == str(TODAY)
    record = load_consent(path)
    assert record.revoked is not None
    assert record.revoked.reason == "asked by phone"
    assert signature_holds(record)
    assert record.id in revoked_numbers()
    assert ask(capsys, "consent", "check", str(path), code=1)["against"]
    assert ask(capsys, "consent", "check", str(copy), code=1)["against"] == ["it was revoked"]


def test_train_and_reenact_refuse_a_clip_of_nobody_knows_whom(
    tmp_path: Path, plain_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "reenact", str(plain_clip), "-o", str(tmp_path / "a.bundle")]
    facts = ask(capsys, *command, code=1)
    assert facts["kind"] == "ConsentError"
    assert "likeness consent new -o FILE.toml --role target --scope reenact" in facts["error"]
    plan = ask(capsys, *command, "--dry-run")["plan"]
    assert plan["consent"].startswith("would refuse")
    record = tmp_path / "a.toml"
    ask(capsys, "consent", "new", "-o", str(record), *GIVEN)
    plan = ask(capsys, *command, "--dry-run", "--consent", str(record))["plan"]
    assert plan["consent"] == [{"role": "target", "consent": load_consent(record).digest()}]
    ended = ask(capsys, *command, "--consent", str(tmp_path / "none.toml"), code=1)
    assert "likeness consent new" in ended["error"]
