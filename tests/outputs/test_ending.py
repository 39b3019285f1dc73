"""Every end leaves by one way."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from likeness.outputs import one_way_out

PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from likeness.outputs import Stopped, atomic_file, one_way_out
# Whoever starts the tests in the background lets them ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if sys.argv[2] == "nohup":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
try:
    with one_way_out(), atomic_file(Path(sys.argv[1]), None) as partial:
        partial.write_text("half")
        print("ready", flush=True)
        time.sleep(2 if sys.argv[2] == "nohup" else 60)
except Stopped as stopped:
    print(stopped, file=sys.stderr)
    sys.exit(stopped.exit_code)
"""


def end(output: Path, number: int, how: str = "") -> subprocess.CompletedProcess[str]:
    """Start a writer, send it a signal in the middle, and wait."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(output), how],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess([], process.returncode, out, err)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_signal_cleans_up_and_says_how_to_go_on(tmp_path: Path, number: int) -> None:
    ended = end(tmp_path / "o.csv", number)
    assert ended.returncode == 128 + number
    assert "--resume" in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_was_ignored_stays_ignored(tmp_path: Path) -> None:
    ended = end(tmp_path / "o.csv", signal.SIGHUP, "nohup")
    assert ended.returncode == 0
    assert (tmp_path / "o.csv").read_text() == "half"


def test_handlers_are_put_back_and_threads_left_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with one_way_out():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    done = []

    def work() -> None:
        with one_way_out():
            done.append(signal.getsignal(signal.SIGTERM) is before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
