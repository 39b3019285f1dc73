"""No output is an input, whatever either is called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from likeness.errors import MediaError
from likeness.outputs import check_outputs


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "d.mp4"
    path.write_bytes(b"a recording")
    return path


def spellings(clip: Path) -> dict[str, Path]:
    """One file under many names."""
    folder = clip.parent
    (folder / "sub").mkdir()
    (folder / "soft.mp4").symlink_to(clip)
    (folder / "twice.mp4").symlink_to(folder / "soft.mp4")
    os.link(clip, folder / "hard.mp4")
    (folder / "way").symlink_to(folder, target_is_directory=True)
    return {
        "same": clip,
        "relative": Path(os.path.relpath(clip)),
        "dots": folder / "sub" / ".." / "d.mp4",
        "link": folder / "soft.mp4",
        "link to a link": folder / "twice.mp4",
        "hard link": folder / "hard.mp4",
        "through a linked folder": folder / "way" / "d.mp4",
    }


def test_an_input_is_known_under_any_name(clip: Path) -> None:
    names = spellings(clip)
    for how, output in names.items():
        with pytest.raises(MediaError, match="never overwritten"):
            check_outputs([output], [clip])
        with pytest.raises(MediaError, match="never overwritten"):
            check_outputs([clip.with_name("other.mp4"), clip], [output])
        assert output.samefile(clip), how


def test_what_a_folder_holds_is_an_input(clip: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "anna.bundle" / "shot"
    bundle.mkdir(parents=True)
    (bundle / "shot.json").write_text("{}")
    with pytest.raises(MediaError, match=r"shot\.json is an input"):
        check_outputs([bundle / "shot.json"], [bundle.parent])
    os.link(bundle / "shot.json", tmp_path / "innocent.csv")
    with pytest.raises(MediaError, match=r"innocent\.csv is an input \(as .*shot\.json\)"):
        check_outputs([tmp_path / "innocent.csv"], [bundle.parent])


def test_a_folder_that_is_replaced_holds_no_input(clip: Path, tmp_path: Path) -> None:
    for output in (tmp_path, tmp_path / "way"):
        if not output.exists():
            output.symlink_to(tmp_path, target_is_directory=True)
        with pytest.raises(MediaError, match="replaced whole"):
            check_outputs([output], [clip])


def test_pictures_of_a_pattern(tmp_path: Path) -> None:
    photo = tmp_path / "f_00017.png"
    photo.write_bytes(b"photo")
    with pytest.raises(MediaError, match="never overwritten"):
        check_outputs([tmp_path / "f_%05d.png"], [photo])
    with pytest.raises(MediaError, match="never overwritten"):
        check_outputs([photo], [tmp_path / "f_%05d.png"])
    check_outputs([tmp_path / "g_%05d.png"], [photo])


def test_two_outputs_are_two_files(tmp_path: Path) -> None:
    (tmp_path / "way").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(MediaError, match="one file"):
        check_outputs([tmp_path / "o.csv", tmp_path / "way" / "o.csv"], [])
    with pytest.raises(MediaError, match="one file"):
        check_outputs([tmp_path / "o.csv", tmp_path / "." / "o.csv"], [])


def test_what_is_apart_passes(clip: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin.mp4"
    twin.write_bytes(clip.read_bytes())
    inputs = [clip, tmp_path / "missing.mp4"]
    check_outputs([twin, tmp_path / "new.mp4", tmp_path / "no" / "folder.mp4"], inputs)
    assert clip.read_bytes() == b"a recording"
