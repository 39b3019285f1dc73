"""The frame of the command line: answers, exit codes, progress, shared options."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from likeness.cli import main
from likeness.cli.answer import answer
from likeness.cli.app import build, run
from likeness.cli.options import Options, settings
from likeness.cli.progress import show_progress
from likeness.errors import ConfigError

COMMANDS = [
    ["animate"],
    ["bench"],
    ["consent", "check"],
    ["consent", "new"],
    ["consent", "revoke"],
    ["demo"],
    ["doctor"],
    ["dub"],
    ["edit"],
    ["evaluate", "edit"],
    ["evaluate", "pair"],
    ["evaluate", "self"],
    ["export"],
    ["models", "directions"],
    ["models", "import"],
    ["models", "info"],
    ["models", "list"],
    ["reenact"],
    ["track"],
    ["train", "gan"],
    ["train", "reenact"],
    ["verify"],
]
QUICK = ["consent", "doctor", "export", "models"]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*command, "--help"]) == 0
    shown = capsys.readouterr().out
    plain = " ".join(shown.split())
    assert re.search(r"Examples?:.* likeness " + " ".join(command), plain)
    assert "--json" in shown
    assert "--seed" in shown
    assert "--device" in shown
    assert ("--dry-run" in shown) == (command[0] not in QUICK)


def test_every_command_is_listed_here() -> None:
    def leaves(app: object, path: list[str]) -> list[list[str]]:
        found = []
        for name in app:  # type: ignore[attr-defined]
            if not name.startswith("-"):
                found += leaves(app[name], [*path, name])  # type: ignore[index]
        return found or [path]

    assert sorted(leaves(build(), [])) == sorted(COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["modles"], 'Did you mean "models"'),
        (["doctor", "--jsn"], "Did you mean --json"),
        (["models", "info"], "requires an argument"),
        (["doctor", "--device", "tpu"], "cpu"),
    ],
)
def test_wrong_usage_is_two(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


def test_what_cannot_be_done_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "absent.bundle")
    assert run(["models", "info", missing]) == 1
    shown = capsys.readouterr()
    assert "holds no bundle.json" in shown.err
    assert shown.out == ""
    assert run(["models", "info", missing, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["kind"] == "BundleError"


def test_main_leaves_with_the_code() -> None:
    with pytest.raises(SystemExit) as left:
        main(["nothing"])
    assert left.value.code == 2


def test_fallback_frames_are_three(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer({"output": Path("a.mp4"), "fallback_frames": [3, 4]}, as_json=False) == 3
    assert "3, 4" in capsys.readouterr().out
    assert answer({"fallback_frames": []}, as_json=False) == 0


def test_json_has_no_name_for_infinity(capsys: pytest.CaptureFixture[str]) -> None:
    answer({"psnr": float("inf"), "deep": [{"x": float("nan")}]}, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"psnr": None, "deep": [{"x": None}]}


def test_tables_show_nested_facts(capsys: pytest.CaptureFixture[str]) -> None:
    facts = {
        "a": {"long_name": 0.123456, "b": True},
        "many": list(range(30)),
        "n": None,
        "shots": [{"start": 3}],
    }
    answer(facts, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "a"
    assert lines[1] == "  long_name  0.1235"
    assert lines[2].split() == ["b", "yes"]
    assert lines[3].endswith("(30 in all)")
    assert lines[4].split() == ["n", "none"]
    assert lines[5:] == ["shots", "  0", "    start  3"]


def test_rows_of_numbers_are_columns(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {"decode": {"ms": 1.5, "frames": 10}, "encode": {"ms": 12.25, "frames": 9}}
    answer({"stages": rows, "mixed": {"a": {"x": 1}, "b": {"y": 2}}}, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        "stages         ms  frames",
        "  decode      1.5      10",
        "  encode    12.25       9",
    ]
    assert lines[3:] == ["mixed", "  a", "    x  1", "  b", "    y  2"]


def test_progress_as_json_lines() -> None:
    stream = io.StringIO()
    with show_progress("json", stream) as progress:
        for done in range(101):
            progress("track", done, 100)
        progress("fit", 1, 1)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert lines[0] == {"stage": "track", "done": 0, "total": 100, "seconds_left": None}
    assert (lines[-2]["done"], lines[-2]["seconds_left"]) == (100, 0)
    assert lines[-1]["stage"] == "fit"
    assert len(lines) < 20


def test_progress_is_quiet_where_nobody_looks() -> None:
    for how in ("auto", "none"):
        stream = io.StringIO()
        with show_progress(how, stream) as progress:  # type: ignore[arg-type]
            progress("track", 1, 2)
        assert stream.getvalue() == ""


def test_progress_is_a_bar_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with show_progress("auto", stream) as progress:
        progress("track", 1, 2)
    assert "track" in stream.getvalue()
    assert "1/2" in stream.getvalue()


def test_settings_come_from_file_and_flags(tmp_path: Path) -> None:
    from likeness.track.config import TrackConfig

    file = tmp_path / "run.toml"
    file.write_text("[track]\nmax_faces = 2\nsmooth = 0\n")
    options = Options(config=file)
    found = settings(TrackConfig, "track", options, {"max_faces": 3, "window": None})
    assert (found.max_faces, found.smooth, found.window) == (3, 0.0, 16)
    file.write_text("[trak]\n")
    with pytest.raises(ConfigError, match="did you mean 'track'"):
        settings(TrackConfig, "track", options)
    file.write_text("[track]\nmax_face = 2\n")
    with pytest.raises(ConfigError, match="'track.max_face'; did you mean 'max_faces'"):
        settings(TrackConfig, "track", options)


@pytest.mark.parametrize(
    "end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, KeyboardInterrupt],
)  # fmt: skip
def test_every_end_says_how_to_go_on(
    end: int | type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop() -> None:
        if not isinstance(end, int):
            raise end
        os.kill(os.getpid(), end)
        time.sleep(30)

    monkeypatch.setattr("likeness.doctor.examine", stop)

    def usual(number: int) -> object:
        return signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL

    # Whoever starts the tests in the background lets them ignore Ctrl-C.
    monkeypatch.setattr(signal, "getsignal", usual)
    assert run(["doctor"]) == 128 + (end if isinstance(end, int) else signal.SIGINT)
    said = capsys.readouterr().err
    assert said.startswith("likeness: stopped (")
    assert "goes on with --resume" in said
