"""Silence of native code, from one thread and from two."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Event, Thread

import pytest

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
