"""Silence of native code, from one thread and from two."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import pytest

from likeness.track.config import TrackConfig
from likeness.track.landmarks import Mesh
from likeness.track.silence import silence_stderr


def test_overlapping_blocks_end_with_the_descriptor_back(tmp_path: Path) -> None:
    heard, inside, leave = tmp_path / "heard.txt", Event(), Event()
    before = os.dup(2)
    written = os.open(heard, os.O_WRONLY | os.O_CREAT)
    os.dup2(written, 2)

    def other() -> None:
        with silence_stderr():
            inside.set()
            leave.wait(10)

    try:
        os.write(2, b"before ")
        with silence_stderr():
            thread = Thread(target=other)
            thread.start()
            assert inside.wait(10)
            os.write(2, b"both ")
        os.write(2, b"one ")
        leave.set()
        thread.join()
        os.write(2, b"after ")
        with pytest.raises(ValueError, match="broken"), silence_stderr():
            raise ValueError("broken")
        os.write(2, b"end")
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(written)
    assert heard.read_bytes() == b"before after end"


class Graph:
    """Takes down what is asked of a graph, and whether standard error was silent then."""

    def __init__(self, quiet: list[bool]) -> None:
        self._quiet = quiet
        self.asked: list[tuple[str, bool]] = []

    def reset(self) -> None:
        self.asked.append(("reset", bool(self._quiet)))

    def process(self, _: object) -> SimpleNamespace:
        self.asked.append(("process", bool(self._quiet)))
        return SimpleNamespace(multi_face_landmarks=None)


def test_a_graph_that_begins_anew_is_waited_for_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet: list[bool] = []

    @contextmanager
    def silent() -> Iterator[None]:
        quiet.append(True)
        yield
        quiet.pop()

    mesh = Mesh(TrackConfig(), 1)
    mesh.close()
    graph = Graph(quiet)
    monkeypatch.setattr(mesh, "_mesh", graph)
    monkeypatch.setattr("likeness.track.landmarks.silence_stderr", silent)
    mesh.reset()
    # Threads of a graph open its networks after `reset` has returned, and say so.
    assert graph.asked == [("reset", True), ("process", True)]
