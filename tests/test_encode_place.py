"""Where output goes: names, links, what stands there already, and what a kill leaves."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.decode import open_clip
from likeness.encode import encode, estimate_bytes, prove_place
from likeness.encode.sinks import VideoSink
from likeness.errors import MediaError
from likeness.outputs.names import READY, left_in
from likeness.provenance import Manifest, read_manifest, sidecar_of
from likeness.types import Clip
from tests.confined import forked

MANIFEST = Manifest("test", "reenact", created="2026-01-01T00:00:00+00:00")
SIZE = (64, 64)


def like(count: int = 3) -> Clip:
    return Clip(
        Path("nowhere.mp4"), "00" * 32, SIZE, np.arange(count, dtype=np.int64), Fraction(1, 25), 1
    )


def pictures(count: int = 3, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand((1, 3, 20, 20), generator=generator)
    frame = torch.nn.functional.interpolate(coarse, SIZE, mode="bicubic").clamp(0.05, 0.95)
    return frame.expand(count, -1, -1, -1).contiguous()


def write(output: Path, count: int = 3, manifest: Manifest = MANIFEST, **more) -> Path:
    with encode(output, like(count), manifest, **more) as video:
        video.append(pictures(count))
    return output


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "name", ["10:30.mp4", "take:2.mp4", "http:x.mov", "-y.mp4", "50%.mp4", "a b'\".mkv",
             "x" * 225 + ".mp4", "ü" * 112 + ".mkv", "x" * 237 + ".mp4"],
)  # fmt: skip
def test_any_name_that_the_file_system_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # Typed without a folder, as people do: FFmpeg would take "take" for a protocol.
    monkeypatch.chdir(tmp_path)
    write(Path(name), 1)
    assert len(open_clip(tmp_path / name)) == 1
    assert Manifest.parse(sidecar_of(tmp_path / name).read_text()) == MANIFEST
    assert not [path for path in names(tmp_path) if path.startswith(".")]


def test_places_are_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "f.mp4").mkdir()
    (tmp_path / "file").write_text("a file")
    for output, message in (
        (tmp_path / ("x" * 240 + ".mp4"), "name is too long"),
        (tmp_path / "no" / "o.mp4", "does not exist; make it first"),
        (tmp_path / "file" / "o.mp4", "does not exist"),
        (tmp_path / "o.mp5", "no container that can be written"),
        (tmp_path / "o.gif", "no container that can be written"),
        (tmp_path / "f.mp4", "is a folder"),
        (tmp_path / "file", "is a file; expected a folder"),
    ):
        with pytest.raises(MediaError, match=message):
            prove_place(output)
        with pytest.raises(MediaError, match=message), encode(output, like(), MANIFEST):
            pass
    assert names(tmp_path) == ["f.mp4", "file"]


def test_space_is_proved(tmp_path: Path) -> None:
    needed = estimate_bytes(Path("o.mp4"), (2160, 3840), 10**8)
    assert needed > 10**13
    with pytest.raises(MediaError, match="free some space"):
        prove_place(tmp_path / "o.mp4", (), needed)
    assert estimate_bytes(Path("o"), (1080, 1920), 10) > 10 * estimate_bytes(
        Path("o.mp4"), (1080, 1920), 10
    )


def test_no_input_of_any_kind_is_overwritten(tmp_path: Path) -> None:
    """A driver without sound, a table, a record: whatever was read."""
    for name in ("d.mp4", "edits.csv", "anna.toml"):
        (tmp_path / name).write_bytes(b"mine")
    for output, others in (
        ("d.mp4", ()), ("o.mp4", ("edits.csv",)), ("o.mp4", ("sub/../anna.toml",)),
    ):  # fmt: skip
        inputs = [tmp_path / name for name in ("d.mp4", "edits.csv", "anna.toml")]
        with pytest.raises(MediaError, match="never overwritten"):
            prove_place(tmp_path / output, inputs, others=[tmp_path / other for other in others])
    with pytest.raises(MediaError, match="never overwritten"), encode(
        tmp_path / "d.mp4", like(), MANIFEST, inputs=[tmp_path / "d.mp4"]
    ):  # fmt: skip
        pass
    record = sidecar_of(tmp_path / "o.mp4")
    record.write_text("an input under the name of a sidecar")
    with pytest.raises(MediaError, match="never overwritten"):
        prove_place(tmp_path / "o.mp4", [record])


def test_a_link_is_written_through(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "o.mkv"
    link.symlink_to(tmp_path / "disk" / "real.mkv")
    for count in (2, 3):
        write(link, count)
        assert link.is_symlink()
        assert len(open_clip(link)) == count
    assert names(tmp_path / "disk") == ["real.mkv", "real.mkv.c2pa", "real.mkv.manifest.json"]
    assert "is a link" in caplog.text


def test_a_hundred_pictures_of_somebody_stay(tmp_path: Path) -> None:
    folder = tmp_path / "holiday"
    folder.mkdir()
    for number in range(100):
        (folder / f"{number:05d}.png").write_bytes(b"photo %d" % number)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for output in (folder, folder / "%05d.png"):
        with pytest.raises(MediaError, match="not known to be of an earlier run"):
            write(output)
    # A record alone proves nothing.
    sidecar_of(folder).write_text(MANIFEST.json())
    with pytest.raises(MediaError, match="not known to be of an earlier run"):
        write(folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("name", ["out", "p%d.png", "p%03d.tif", "p%02d.exr"])
@pytest.mark.parametrize("spoil", ["changed", "foreign", "other run", "linked"])
def test_only_untouched_pictures_of_the_earlier_run_are_replaced(
    tmp_path: Path, name: str, spoil: str
) -> None:
    output = tmp_path / name
    write(output, 3)
    write(output, 2, replace(MANIFEST, title="again"))
    folder = output if output.is_dir() else tmp_path
    found = sorted(p for p in folder.iterdir() if p.suffix in (".png", ".tif", ".exr"))
    assert len(found) == 2
    if spoil == "changed":
        found[1].write_bytes(found[1].read_bytes() + b" retouched")
    elif spoil == "foreign":
        shutil.copy(found[0], found[1].with_name(found[1].name.replace("1", "7")))
        found[0].write_bytes(b"photo")
    elif spoil == "linked":
        shutil.move(found[1], tmp_path / "elsewhere")
        found[1].symlink_to(tmp_path / "elsewhere")
        if name.endswith("exr"):
            pytest.skip("one manifest over all pictures cannot tell a link")
    else:
        sidecar_of(output).write_text(MANIFEST.json())
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with pytest.raises(MediaError, match="not known to be of an earlier run"):
        write(output, 1)
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("name", ["o.mp4", "o.mkv", "one.png"])
def test_a_file_that_is_not_ours_is_kept_aside(tmp_path: Path, name: str) -> None:
    output = tmp_path / name
    output.write_bytes(b"precious")
    sidecar_of(output).write_text("notes")
    write(output, 1)
    kept = tmp_path / f"{output.stem}.kept-1{output.suffix}"
    assert kept.read_bytes() == b"precious"
    assert (tmp_path / f"{name}.manifest.kept-1.json").read_text() == "notes"
    write(output, 1)
    assert not kept.with_name(kept.name.replace("1", "2")).exists()
    # Changed since it was written: somebody's work.
    output.write_bytes(output.read_bytes() + b"edited")
    write(output, 1)
    assert kept.with_name(kept.name.replace("kept-1", "kept-2")).read_bytes().endswith(b"edited")


def test_errors_in_the_middle_tell_their_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, cause in ((errno.ENOSPC, "disk is full"), (errno.EIO, "reports a fault"),
                          (errno.EFBIG, "larger than")):  # fmt: skip

        def fail(*_: object, number: int = number) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(VideoSink, "write", fail)
        with pytest.raises(MediaError, match=f"at frame 0: .*{cause}"):
            write(tmp_path / "o.mp4", 20)
    assert names(tmp_path) == []


def killed(output: Path, point: int, count: int) -> bool:
    """Write in a child that is killed before a change of a name; tell if it was.

    Counted from the renaming on that makes the output count: what comes before leaves nothing but
    litter. `benchmarks/kill.py` kills at every one.
    """
    child = forked()
    if child == 0:
        left = [0]
        for name in ("replace", "rename", "unlink", "link"):
            real = getattr(os, name)

            def change(*args: object, real=real, **more: object) -> object:
                left[0] += bool(left[0]) or str(args[-1]).endswith(READY)
                if left[0] == point:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **more)

            setattr(os, name, change)
        try:
            write(output, count, replace(MANIFEST, title=str(count)))
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("name", ["o.mkv", "out"])
def test_no_kill_loses_or_bares_a_video(tmp_path: Path, name: str) -> None:
    output = tmp_path / name
    write(output, 2, replace(MANIFEST, title="2"))
    point, finished = 1, 0
    while killed(output, point, 3):
        assert point < 60
        point += 1
        beside = sidecar_of(output)
        if name != "out" and output.exists():
            assert read_manifest(output).valid
            assert beside.exists()
        whole = bool(left_in(tmp_path, READY))
        prove_place(output)
        assert not [hidden for hidden in names(tmp_path) if hidden.startswith(".")]
        title = Manifest.parse(beside.read_text()).title
        assert title == ("3" if whole else title)
        finished += whole
        shown = output / "00000.png" if name == "out" else output
        statement = read_manifest(shown).statement
        assert read_manifest(shown).valid
        assert statement is not None
        assert statement.title == title
        assert len(open_clip(output)) == int(title)
        if title == "3":
            write(output, 2, replace(MANIFEST, title="2"))
    assert point > 5
    assert finished >= 2
