"""Errors of libraries and of the terminal: a sentence, the right exit code, no work lost."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import SafetensorError

from likeness.cli.app import run
from likeness.cli.streams import lasting_streams

ANSWER = "import sys; from likeness.cli import main; main(sys.argv[1:])"


def _failing(error: Exception) -> Callable[[], Callable[..., object]]:
    """Return what builds an app whose every command fails."""

    def command(*_: object, **__: object) -> object:
        raise error

    return lambda: command


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "shot.npz"),
            "shot.npz: the disk is full",
        ),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "the disk is full"),
        (MemoryError(), "Memory ran out"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "Memory ran out"),
        (RuntimeError("Could not determine home directory."), "determine home directory"),
        (KeyError("landmarks"), "KeyError: 'landmarks' (test_failures.py, line"),
    ],
    ids=["full disk", "safetensors", "memory", "torch", "home", "fault"],
)
def test_an_error_of_a_library_becomes_a_sentence(
    error: Exception,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("likeness.cli.failures.cache_folder", lambda: None)
    monkeypatch.setattr("likeness.cli.app.build", _failing(error))
    assert run(["doctor", "--json"]) == 1
    told = capsys.readouterr()
    assert words in told.err
    assert "Traceback" not in told.err
    assert words in json.loads(told.out)["error"]


def test_a_fault_is_kept_whole_for_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("likeness.cli.failures.cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr("likeness.cli.app.build", _failing(KeyError("landmarks")))
    assert run(["doctor"]) == 1
    kept = tmp_path / "cache" / "fault.txt"
    assert str(kept) in capsys.readouterr().err
    assert kept.read_text().startswith("Traceback")
    assert kept.read_text().endswith("KeyError: 'landmarks'\n")


def test_wrong_usage_is_an_object_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--jason", "--json"]) == 2
    told = capsys.readouterr()
    assert "--jason" in json.loads(told.out)["error"]
    assert "--jason" in told.err


def test_a_terminal_short_of_characters_gets_escapes() -> None:
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    previous, sys.stdout = sys.stdout, narrow
    try:
        with lasting_streams():
            sys.stdout.write("Zoë schläft \U0001f634")
    finally:
        sys.stdout = previous
    assert narrow.buffer.getvalue().decode("ascii").strip() == "Zo\\xeb schl\\xe4ft \\U0001f634"


def test_a_closed_pipe_changes_no_exit_code_and_is_quiet() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", ANSWER, "models", "list"],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_closed_error_stream_stops_no_command() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", ANSWER, "track", "nowhere.mp4", "-o", "x.shot", "--json"],
        stdout=subprocess.PIPE,
        stderr=writing,
        check=False,
    )
    os.close(writing)
    assert "nowhere.mp4" in json.loads(done.stdout)["error"]
    assert done.returncode in (1, 2)


def test_a_full_disk_under_the_answer_is_said() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", ANSWER, "models", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 0
    assert b"standard output: the disk is full" in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "1>&- 2>&-"])
def test_closed_streams_do_not_catch_what_a_file_should(closed: str, tmp_path: Path) -> None:
    out = tmp_path / "consent.toml"
    line = f'"{sys.executable}" -c "{ANSWER}" models list {closed}; echo $? > "{out}"'
    subprocess.run(["sh", "-c", line], check=False, capture_output=True)
    assert out.read_text().strip() == "0"
