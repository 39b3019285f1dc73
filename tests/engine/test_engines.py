"""Engines: what is told comes in order, errors keep their kind, a lost worker is replaced."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from likeness.engine import Engine, EngineName, WorkerError, open_engine
from likeness.errors import BackendError, TrackError
from tests.engine import works

NO_RAY = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed (extra 'cluster')"
)


@pytest.fixture(scope="module", params=["local", pytest.param("ray", marks=NO_RAY)])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    name: EngineName = request.param
    opened = open_engine(name, 2)
    yield opened
    opened.close()


def test_work_is_done_elsewhere_and_told_in_order(engine: Engine) -> None:
    told = list(engine.run(works.count, 5))
    assert [number for number, _ in told] == [0, 1, 2, 3, 4]
    assert len({process for _, process in told}) == 1
    assert told[0][1] != os.getpid()


def test_workers_are_used_at_once_and_again(engine: Engine) -> None:
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(lambda: list(engine.run(works.count, 3))) for _ in range(6)]
    processes = {process for run in runs for _, process in run.result()}
    assert 1 <= len(processes) <= 2


def test_large_arrays_come_whole_while_the_listener_is_slow(engine: Engine) -> None:
    told = []
    for array in engine.run(works.pictures, 5):
        time.sleep(0.01)
        told.append(np.asarray(array))
    assert [float(array.mean()) for array in told] == [0, 1, 2, 3, 4]
    assert all(array.shape == (64, 64, 64) for array in told)


def alive(process: int) -> bool:
    """Tell whether a process is still there."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("task", "kind", "words"),
    [
        ("ours", TrackError, "nobody is seen"),
        ("theirs", BackendError, "ZeroDivisionError"),
        ("killed", WorkerError, "ended in the middle"),
    ],
)
def test_errors_come_back_as_what_they_are(
    engine: Engine, task: str, kind: type[Exception], words: str
) -> None:
    told = []
    with pytest.raises(kind, match=words):
        told += engine.run(works.fail, task)
    # Whatever happened, the next work is done.
    assert [number for number, _ in engine.run(works.count, 2)] == [0, 1]


def test_who_stops_listening_ends_the_work(engine: Engine) -> None:
    began = time.monotonic()
    run = engine.run(works.sleep, 60.0)
    process = next(run)
    run.close()  # type: ignore[attr-defined]  # generators have it
    assert time.monotonic() - began < 30
    while alive(process):
        assert time.monotonic() - began < 60
        time.sleep(0.1)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity here")
def test_workers_share_the_cores(engine: Engine) -> None:
    here = len(os.sched_getaffinity(0))
    assert list(engine.run(works.cores, None)) == [max(1, here // 2)]


def test_without_ray_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(BackendError, match=r"likeness\[cluster\]"):
        open_engine("ray", 1)
