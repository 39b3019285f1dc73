"""Tables, pages, networks and summaries replace what was written here, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from likeness.batch.summary import write_summary
from likeness.config import to_json
from likeness.encode.sound import write_sound
from likeness.errors import LikenessError
from likeness.export import export
from likeness.importers.arkit import capture_of, write_arkit
from likeness.metrics.report import Report
from likeness.networks import NETWORKS
from likeness.outputs import atomic_file
from likeness.outputs.marks import NETWORK, PAGE, STATED, TABLE, is_marked
from likeness.plan.performance import performance_of
from likeness.store import write_table
from likeness.types import Bundle, Shot, Weights

FOREIGN = {
    "notes.csv": b"date,what\n2026-01-31,call Anna\n",
    "phone.csv": b"Timecode,BlendShapeCount,EyeBlinkLeft\n00:00:00:00.000,61,0.1\n",
    "page.html": b"<!doctype html><title>likeness</title><p>by hand, not a likeness report</p>",
    "net.onnx": b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:\x10somebody else's likeness",
    "net.dfm": b"\x08\x07\x12\x06tf2onnx",
    "voice.m4a": b"\0\0\0\x18ftypM4A ",
}


def page(path: Path) -> None:
    Report("A page").add_text("of ours").write(path)


def network(path: Path) -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason="export needs likeness[export]")
    torch.manual_seed(0)
    kind, settings = NETWORKS["autoencoder"]
    config = settings(size=64, inter=16, encoder=8, decoder=8, mask=4)
    weights = Weights("autoencoder", to_json(config), kind(config).state_dict())
    export(Bundle("swap.test", {"generator": weights}, {}, {}, "CC0-1.0"), path)


def table(path: Path, shot: Shot) -> None:
    clip = replace(shot.clip, digest="0f" * 32)
    write_table(replace(shot, clip=clip), path)


def capture(path: Path, shot: Shot) -> None:
    write_arkit(capture_of(performance_of(shot, "driver")), path)


@pytest.fixture
def writers(actor_shot: Shot) -> dict[str, Callable[[Path], None]]:
    return {
        "notes.csv": lambda path: table(path, actor_shot),
        "phone.csv": lambda path: capture(path, actor_shot),
        "page.html": page,
        "net.onnx": network,
        "net.dfm": network,
    }


@pytest.mark.parametrize("name", ["notes.csv", "phone.csv", "page.html", "net.onnx", "net.dfm"])
def test_only_what_was_written_here_is_replaced(
    name: str,
    writers: dict[str, Callable[[Path], None]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / name
    path.write_bytes(FOREIGN[name])
    writers[name](path)
    kept = path.with_name(f"{path.stem}.kept-1{path.suffix}")
    assert kept.read_bytes() == FOREIGN[name]
    assert f"kept as {kept.name}" in caplog.text
    written = path.read_bytes()
    assert written != FOREIGN[name]
    before = path.stat().st_ino
    writers[name](path)
    assert path.stat().st_ino != before
    assert {one.name for one in tmp_path.iterdir()} == {name, kept.name}


def test_a_summary_keeps_what_it_finds(tmp_path: Path) -> None:
    own = {"summary.csv": "job,verb\nmine,mine\n", "summary.json": '{"jobs": []}'}
    for name, text in own.items():
        (tmp_path / name).write_text(text)
    write_summary(tmp_path, [], {}, {"workers": 1})
    for name, text in own.items():
        place = tmp_path / name
        assert place.with_name(f"{place.stem}.kept-1{place.suffix}").read_text() == text
    write_summary(tmp_path, [], {}, {"workers": 2})
    assert len(list(tmp_path.iterdir())) == 5
    assert '"workers": 2' in (tmp_path / "summary.json").read_text()


def test_a_sound_without_a_mark_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "voice.m4a"
    path.write_bytes(FOREIGN["voice.m4a"])
    write_sound(torch.zeros(4800).numpy(), 48000, path)
    assert (tmp_path / "voice.kept-1.m4a").read_bytes() == FOREIGN["voice.m4a"]


@given(st.binary(max_size=200))
def test_what_strangers_write_bears_no_mark(content: bytes) -> None:
    for mark in (PAGE, TABLE, NETWORK, STATED):
        assert mark.match(content) is None
        # The mark counts at its place, not wherever it is quoted.
        quoted = b"\0" + content.ljust(500, b"\n") + b'<meta name="generator" content="likeness">'
        assert mark.match(quoted + b"made_from_" + b"0f" * 32 + b"\x12\x08likeness") is None


def test_empty_files_are_replaced_and_devices_refused(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.touch()
    assert is_marked(path, None)
    with atomic_file(path, TABLE) as partial:
        partial.write_text("x")
    assert [one.name for one in tmp_path.iterdir()] == ["o.csv"]
    pipe, folder = tmp_path / "pipe.html", tmp_path / "folder.html"
    os.mkfifo(pipe)
    folder.mkdir()
    for place, why in ((pipe, "device or a pipe"), (folder, "a folder stands there")):
        with pytest.raises(LikenessError, match=why):
            page(place)
    assert pipe.is_fifo()
    assert folder.is_dir()
