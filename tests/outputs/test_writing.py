"""Files that appear when whole, leftovers, and proofs of a place."""

from __future__ import annotations

import errno
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from likeness.errors import MediaError
from likeness.outputs import (
    atomic_file,
    hidden_name,
    kept_aside,
    prove_room,
    real_place,
    sweep,
)

OLD = re.compile(rb"old|created")


def dead_process() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_file_appears_when_whole(tmp_path: Path) -> None:
    output = tmp_path / "o.csv"
    output.write_text("old")

    def fail() -> None:
        with atomic_file(output, OLD) as partial:
            partial.write_text("ne")
            assert output.read_text() == "old"
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["o.csv"]
    with atomic_file(output, OLD) as partial:
        partial.write_text("new")
    assert output.read_text() == "new"


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link, real = tmp_path / "o.csv", tmp_path / "real" / "o.csv"
    link.symlink_to(real)
    for text in ("created", "replaced"):
        with atomic_file(link, OLD) as partial:
            partial.write_text(text)
            assert partial.parent == real.parent
        assert link.is_symlink()
        assert real.read_text() == text
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(MediaError, match="circle"):
        real_place(tmp_path / "a")


def test_only_leftovers_of_ended_processes_are_swept(tmp_path: Path) -> None:
    mine = hidden_name(tmp_path / "o.mp4")
    me, gone = f"-{os.getpid()}-", f"-{dead_process()}-"
    left = mine.with_name(mine.name.replace(me, gone))
    folder = left.with_suffix("")
    host = "".join(c if c.isalnum() else "_" for c in socket.gethostname())[:32]
    elsewhere = left.with_name(left.name.replace(f".{host}-", ".otherhost-"))
    spared = left.with_name(left.name.replace(".o.", ".spared."))
    others = [tmp_path / name for name in (".o.partial.mp4", "o.partial", ".x.1234.partial.mp4")]
    for path in (mine, left, elsewhere, spared, *others):
        path.write_bytes(b"half")
    folder.mkdir()
    (folder / "half.mp4").write_bytes(b"half")
    sweep(tmp_path, [spared])
    assert not left.exists()
    assert not folder.exists()
    assert set(tmp_path.iterdir()) == {mine, elsewhere, spared, *others}


def test_hidden_names_fit_where_the_final_one_does(tmp_path: Path) -> None:
    for name in ("ä" * 125 + ".mp4", "x" * 251 + ".mp4", "y" * 255):
        hidden = hidden_name(tmp_path / name)
        hidden.touch()
        assert hidden.suffix == Path(name).suffix or ".partial" in hidden.name


def test_what_is_not_ours_keeps_existing(tmp_path: Path) -> None:
    path = tmp_path / "o.mp4"
    for number in (1, 2):
        path.write_text(f"precious {number}")
        aside = kept_aside(path)
        assert aside.name == f"o.kept-{number}.mp4"
        assert aside.read_text() == f"precious {number}"


def test_a_place_is_proved(tmp_path: Path) -> None:
    prove_room(tmp_path / "o.mp4", ["o.mp4.manifest.json"], 1000)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MediaError, match="does not exist; make it first"):
        prove_room(tmp_path / "no" / "o.mp4")
    with pytest.raises(MediaError, match="name is too long"):
        prove_room(tmp_path / ("x" * 250), ["x" * 250 + ".manifest.json"])
    with pytest.raises(MediaError, match=r"needs about 1000000000\.0 GB, and .* are free"):
        prove_room(tmp_path / "o.mp4", (), 10**18)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "cause"),
    [(errno.EROFS, "file system is read-only"), (errno.EACCES, "no right to do that"),
     (errno.ENOSPC, "disk is full"), (errno.EDQUOT, "quota"), (errno.EIO, "fault")],
)  # fmt: skip
def test_a_refusal_tells_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, cause: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(MediaError, match=cause):
        prove_room(tmp_path / "o.mp4")
