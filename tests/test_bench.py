"""The benchmark measures what it says, from nothing, and leaves nothing."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from likeness import bench
from likeness.bench import STAGES, BenchConfig, StageClock
from likeness.cli.app import run
from likeness.errors import ConfigError, ContractError
from likeness.machine import load_average
from likeness.plan.report import RunReport
from likeness.types import Clip, Progress, silent

TINY = ("--seconds", "1", "--size", "96", "--steps", "1", "--runs", "2", "--device", "cpu")


def said(*arguments: str) -> dict[str, Any]:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        assert run(["bench", *arguments, "--json"]) == 0
    facts = json.loads(shown.getvalue())
    assert isinstance(facts, dict)
    return facts


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where temporary files go."""
    folder = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture(scope="module")
def measured(place: Path) -> dict[str, Any]:
    """The answer of one tiny run."""
    return said(*TINY, "--seed", "3")


@pytest.mark.slow
def test_every_stage_has_its_times(measured: dict[str, Any]) -> None:
    assert tuple(measured["stages"]) == STAGES
    for times in measured["stages"].values():
        assert set(times) == {"ms_per_frame", "cpu_ms_per_frame"}
        assert all(0 < value < 60_000 for value in times.values())
    assert set(measured["per_file"]) == {"open"}
    assert all(value > 0 for times in measured["per_file"].values() for value in times.values())


@pytest.mark.slow
def test_the_command_as_a_whole_is_measured_cold_and_tracked(measured: dict[str, Any]) -> None:
    for key in ("fps_end_to_end", "fps_tracked"):
        spread = measured["spread"][key]
        assert 0 < spread["min"] <= measured[key] <= spread["max"]
        assert measured[key] == spread["median"]
    assert measured["frames"] == 25
    assert measured["settings"]["seed"] == 3


@pytest.mark.slow
def test_memory_and_machine_are_told(measured: dict[str, Any]) -> None:
    peaks = list(measured["peak_rss_mb_after"].values())
    assert peaks == sorted(peaks)
    assert measured["peak_rss_mb"] == peaks[-1] > 100
    assert measured["machine"]["cores"] >= 1
    assert measured["machine"]["processor"]


@pytest.mark.slow
def test_nothing_is_left(measured: dict[str, Any], place: Path) -> None:
    assert measured["frames"] > 0
    assert [path for path in place.rglob("*") if path.name.startswith("likeness-bench")] == []
    assert not list(place.rglob("*.mp4"))
    assert not list(place.rglob(".likeness"))


def test_a_dry_run_only_tells_the_settings() -> None:
    facts = said("--dry-run", "--size", "128", "--runs", "5")
    assert facts["settings"] == {"seconds": 12.0, "size": 128, "steps": 4, "runs": 5, "seed": 0}


@pytest.mark.parametrize(
    ("wrong", "said_of_it"),
    [
        ({"seconds": 0.5}, "seconds is 0.5, expected 1 to 600"),
        ({"runs": 0}, "runs is 0"),
        ({"steps": -1}, "steps is -1"),
        ({"size": 100}, "size is 100, expected a multiple of 32"),
    ],
)
def test_settings_are_checked_before_the_work(wrong: dict[str, Any], said_of_it: str) -> None:
    with pytest.raises(ConfigError, match=said_of_it):
        BenchConfig(**wrong)


def fake_reenact(tracks: list[bool], seconds: list[float]) -> Any:
    """Stand in for the verb: tells of tracking or not, and takes so many seconds."""

    def reenact(
        portrait: Path, driver: Path, output: Path, *, progress: Progress, device: torch.device
    ) -> RunReport:
        assert driver.read_bytes() == b"clip"
        assert sorted(path.name for path in driver.parent.iterdir()) == ["driver.mp4"]
        if tracks.pop(0):
            progress("track", 1, 1)
        progress("synthesize", 1, 1)
        return RunReport(str(output), 50, (), seconds.pop(0), 1.0)

    return reenact


@pytest.fixture
def driver(tmp_path: Path) -> Clip:
    path = tmp_path / "ben.mp4"
    path.write_bytes(b"clip")
    return Clip(path, "00", (64, 64), np.arange(50), Fraction(1, 25), 1)


def test_rates_are_frames_over_seconds(
    driver: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "reenact", fake_reenact([True, False], [5.0, 2.0]))
    found = bench._run(tmp_path / "a.bundle", driver, tmp_path, silent, torch.device("cpu"))
    assert found == (10.0, 25.0)
    assert list(tmp_path.iterdir()) == [driver.path]


@pytest.mark.parametrize(
    ("tracks", "message"),
    [
        ([False, False], "the cold run did not track"),
        ([True, True], "the tracked run did track"),
    ],
)
def test_a_run_that_is_not_what_it_is_called_counts_for_nothing(
    tracks: list[bool],
    message: str,
    driver: Clip,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench, "reenact", fake_reenact(tracks, [1.0, 1.0]))
    with pytest.raises(ContractError, match=message):
        bench._run(tmp_path / "a.bundle", driver, tmp_path, silent, torch.device("cpu"))
    assert list(tmp_path.iterdir()) == [driver.path]


def test_waiting_takes_time_but_no_processor() -> None:
    clock = StageClock()
    for _ in range(2):
        with clock.time("mark"):
            time.sleep(0.05)
    found = clock.per_frame("mark", 4)
    assert found["ms_per_frame"] >= 25
    assert found["cpu_ms_per_frame"] < found["ms_per_frame"] / 2


def test_the_work_of_other_threads_counts() -> None:
    spent: list[float] = []

    def work() -> None:
        while time.thread_time() < 0.05:
            sum(range(1000))
        spent.append(time.thread_time())

    clock = StageClock()
    with clock.time("encode"):
        helper = threading.Thread(target=work)
        helper.start()
        helper.join()
    assert clock.once("encode")["cpu_ms"] >= 1000 * spent[0] * 0.99


def test_threads_that_work_on_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # The process has spent 1 s before, 1.2 s in the block, and rests once it has spent 1.9 s.
    looks = iter([1.0, 1.2, 1.5, 1.9, 1.9002])
    walls = iter(range(100))
    clocks = SimpleNamespace(
        process_time=lambda: next(looks),
        perf_counter=lambda: 0.01 * next(walls),
        sleep=lambda seconds: None,
    )
    monkeypatch.setattr(bench, "time", clocks)
    clock = StageClock()
    with clock.time("encode"):
        pass
    assert clock.once("encode") == pytest.approx({"ms": 10, "cpu_ms": 900})


def test_a_machine_tells_its_load_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setattr(os, "getloadavg", lambda: (1.5, 2.0, 3.0), raising=False)
    assert load_average() == 1.5
    monkeypatch.delattr(os, "getloadavg")
    assert load_average() is None
