"""The bank of crops that a training draws from."""

from collections import namedtuple
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from likeness import geometry
from likeness.condition import cut, portrait_crop
from likeness.decode import Decoder, open_clip
from likeness.errors import ContractError, MediaError
from likeness.training import bank as banks
from likeness.training import bank_file
from likeness.training.bank import CropBank, Excerpt, files_of_people, fill_bank, fill_excerpts
from likeness.types import Clip, Crop, Ints, Shot, Window


@pytest.fixture(scope="module")
def bank(actor_shot: Shot, tmp_path_factory: pytest.TempPathFactory) -> CropBank:
    crop = portrait_crop(actor_shot.track, actor_shot.clip.size, 96)
    path = tmp_path_factory.mktemp("bank") / "crops"
    return fill_bank(actor_shot.clip, crop, np.arange(0, 48, 4), path)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    path = tmp_path_factory.mktemp("photos") / "one.png"
    pixels = np.random.default_rng(0).integers(0, 255, (70, 90, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return open_clip(path)


def _moving(times: Ints, size: tuple[int, int] = (32, 32), seed: int = 0) -> Crop:
    """A square of its own for each of the frames."""
    random = np.random.default_rng(seed)
    places = random.uniform(0, 40, (len(times), 2))
    sides = random.uniform(30, 90, len(times))
    matrices = [
        geometry.crop_from_square(x, y, s, size[0]) for (x, y), s in zip(places, sides, strict=True)
    ]
    return Crop(size, np.stack(matrices))


def _cut_by_hand(clip: Clip, times: Ints, crop: Crop) -> torch.Tensor:
    with Decoder(clip) as decoder:
        frames = torch.cat([decoder.read(Window(int(t), int(t) + 1)) for t in times])
    return (cut(frames, crop) * 255 + 0.5).to(torch.uint8)


def _mixed(actor_shot: Shot, photo: Clip) -> list[Excerpt]:
    early, late = np.arange(0, 30, 3), np.array([2, 3, 40, 41])
    return [
        Excerpt(actor_shot.clip, early, _moving(early, seed=1), "ada"),
        Excerpt(photo, np.array([0]), _moving(np.arange(1), seed=2), "ben"),
        Excerpt(actor_shot.clip, late, _moving(late, seed=3), "cy"),
        Excerpt(photo, np.array([0]), _moving(np.arange(1), seed=4), "ada"),
    ]


def test_pixels_lie_on_disk(bank: CropBank) -> None:
    assert isinstance(bank.pixels, np.memmap)
    assert bank.pixels.shape == (12, 3, 96, 96)
    assert not bank.pixels.flags.writeable


def test_a_shrunk_bank_reads_smaller_pictures_of_the_same(bank: CropBank) -> None:
    small = bank.shrunk(48)
    rows = np.array([3, 7])
    assert small.pixels is bank.pixels
    assert small.crops(rows).shape == (2, 3, 48, 48)
    averaged = torch.nn.functional.avg_pool2d(bank.crops(rows), 2)
    assert (small.crops(rows) - averaged).abs().mean() < 0.01
    assert torch.equal(bank.shrunk(96).crops(rows), bank.crops(rows))
    np.testing.assert_allclose(small.crop.crop_from_frame, bank.crop.crop_from_frame / 2)
    assert small.shrunk(96).crop.size == (96, 96)
    with pytest.raises(ContractError, match="cannot grow"):
        bank.shrunk(128)


def test_raw_bytes_are_the_crops_rounded(bank: CropBank) -> None:
    rows = np.array([0, 5])
    assert torch.equal(bank.raw(rows).float() / 255, bank.crops(rows))
    raw = bank.shrunk(48).raw(rows)
    assert raw.dtype == torch.uint8
    assert (raw.float() / 255 - bank.shrunk(48).crops(rows)).abs().max() <= 0.5001 / 255


def test_every_frame_is_cut_by_its_own_crop(actor_shot: Shot, tmp_path: Path) -> None:
    times = np.array([1, 2, 5, 17, 18, 40])
    crop = _moving(times)
    bank = fill_bank(actor_shot.clip, crop, times, tmp_path / "crops")
    assert torch.equal(bank.raw(np.arange(6)), _cut_by_hand(actor_shot.clip, times, crop))
    np.testing.assert_array_equal(bank.crop.crop_from_frame, crop.crop_from_frame)


def test_one_crop_serves_all_and_one_per_frame_of_the_clip_is_looked_up(
    actor_shot: Shot, tmp_path: Path
) -> None:
    clip, times = actor_shot.clip, np.array([3, 9, 20])
    whole = _moving(np.arange(len(clip)))
    looked_up = fill_bank(clip, whole, times, tmp_path / "a")
    wanted = Crop(whole.size, whole.crop_from_frame[times])
    assert torch.equal(looked_up.raw(np.arange(3)), _cut_by_hand(clip, times, wanted))
    one = Crop(whole.size, whole.crop_from_frame[:1])
    still = fill_bank(clip, one, times, tmp_path / "b")
    same = Crop(whole.size, np.repeat(one.crop_from_frame, 3, 0))
    assert torch.equal(still.raw(np.arange(3)), _cut_by_hand(clip, times, same))
    with pytest.raises(ContractError, match="2 crops for 3 frames"):
        fill_bank(clip, _moving(times[:2]), times, tmp_path / "c")


def test_rows_know_their_clip_frame_person_and_crop(
    actor_shot: Shot, photo: Clip, tmp_path: Path
) -> None:
    excerpts = _mixed(actor_shot, photo)
    bank = fill_excerpts(excerpts, tmp_path / "crops")
    assert len(bank) == 16
    assert bank.people == ("ada", "ben", "cy")
    assert [clip.path for clip in bank.clips] == [actor_shot.clip.path, photo.path]
    assert bank.person_indices.tolist() == [0] * 10 + [1] + [2] * 4 + [0]
    assert bank.clip_indices.tolist() == [0] * 10 + [1] + [0] * 4 + [1]
    assert bank.times.tolist() == [*range(0, 30, 3), 0, 2, 3, 40, 41, 0]
    first = 0
    for excerpt in excerpts:
        rows = np.arange(first, first + len(excerpt.times))
        wanted = _cut_by_hand(excerpt.clip, excerpt.times, excerpt.crop)
        assert torch.equal(bank.raw(rows), wanted)
        np.testing.assert_array_equal(bank.crop.crop_from_frame[rows], excerpt.crop.crop_from_frame)
        first += len(rows)


def test_a_clip_is_opened_once_and_frames_between_are_not_converted(
    actor_shot: Shot, photo: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, converted = [], []

    class Watched(Decoder):
        def __init__(self, clip: Clip) -> None:
            opened.append(clip.path.name)
            super().__init__(clip)

        def read(self, window: Window, out: torch.Tensor | None = None) -> torch.Tensor:
            converted.append(window.start)
            return super().read(window, out)

    monkeypatch.setattr(banks, "Decoder", Watched)
    fill_excerpts(_mixed(actor_shot, photo), tmp_path / "crops")
    assert opened == [actor_shot.clip.path.name, photo.path.name]
    # Frame 3 is wanted of two people and read once.
    assert converted == [0, 2, *range(3, 30, 3), 40, 41, 0]


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_an_interrupted_fill_goes_on_where_it_ended(
    actor_shot: Shot,
    photo: Clip,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: int,
) -> None:
    monkeypatch.setattr(banks, "_CHUNK", 6)
    excerpts, path = _mixed(actor_shot, photo), tmp_path / "crops"
    whole = fill_excerpts(excerpts, tmp_path / "whole")
    reports: list[int] = []

    def interrupt(_: str, done: int, total: int) -> None:
        reports.append(done)
        if len(reports) == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill_excerpts(excerpts, path, interrupt)
    assert not path.exists()
    rest: list[int] = []
    bank = fill_excerpts(excerpts, path, lambda _, done, total: rest.append(done))
    assert min(rest, default=99) > reports[-1]
    assert np.array_equal(bank.pixels, whole.pixels)
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


def test_a_file_is_used_again_for_the_same_frames_only(
    actor_shot: Shot, photo: Clip, tmp_path: Path
) -> None:
    base, path = _mixed(actor_shot, photo), tmp_path / "crops"
    fill_excerpts(base, path)

    def work(excerpts: Sequence[Excerpt]) -> int:
        calls: list[int] = []
        fill_excerpts(excerpts, path, lambda _, done, total: calls.append(done))
        return len(calls)

    relabeled = [replace(excerpt, person="x") for excerpt in base]
    assert work(base) == 0
    assert work(relabeled) == 0
    # All of these have files of one size.
    moved = base[0].crop.crop_from_frame.copy()
    moved[4, 0, 2] += 1e-3
    later = base[0].times.copy()
    later[-1] += 1
    content = replace(actor_shot.clip, digest="0" * 64)
    for changed in (
        replace(base[0], crop=Crop((32, 32), moved)),
        replace(base[0], times=later),
    ):
        assert work([changed, *base[1:]]) > 0
        assert work(base) > 0
    assert work([base[1], base[0], *base[2:]]) > 0
    with pytest.raises(MediaError, match="another file"):
        work([replace(base[0], clip=content), *base[1:]])


def test_another_file_of_the_same_name_is_replaced(actor_shot: Shot, tmp_path: Path) -> None:
    times, path = np.arange(4), tmp_path / "crops"
    crop = _moving(times)
    wanted = fill_bank(actor_shot.clip, crop, times, path).raw(times)
    length = path.stat().st_size
    for name in ("crops", "crops.partial"):
        path.unlink(missing_ok=True)
        (tmp_path / name).write_bytes(b"\7" * length)
        assert torch.equal(fill_bank(actor_shot.clip, crop, times, path).raw(times), wanted)


def test_a_full_disk_is_told_before_the_work(
    actor_shot: Shot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(bank_file.shutil, "disk_usage", lambda _: usage(10**6, 10**6 - 1000, 1000))
    crop = portrait_crop(actor_shot.track, actor_shot.clip.size, 96)
    with pytest.raises(MediaError, match="smaller --size"):
        fill_bank(actor_shot.clip, crop, np.arange(8), tmp_path / "crops")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_meanwhile_is_told(
    actor_shot: Shot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bank_file, "_claim", full)
    with pytest.raises(MediaError, match="make room"):
        fill_bank(actor_shot.clip, _moving(np.arange(4)), np.arange(4), tmp_path / "crops")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(actor_shot: Shot, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    times = np.arange(4)
    with pytest.raises(MediaError, match="a file stands there already: choose another"):
        fill_bank(actor_shot.clip, _moving(times), times, tmp_path / "file" / "crops")


def test_excerpts_are_checked_before_any_work(
    actor_shot: Shot, photo: Clip, tmp_path: Path
) -> None:
    clip, times = actor_shot.clip, np.array([1, 2])
    with pytest.raises(ContractError, match="no excerpts"):
        fill_excerpts([], tmp_path / "crops")
    with pytest.raises(ContractError, match="no frames"):
        Excerpt(clip, times[:0], Crop((8, 8), np.zeros((0, 2, 3), np.float32)))
    with pytest.raises(ContractError, match="must increase"):
        Excerpt(clip, times[::-1], _moving(times))
    with pytest.raises(ContractError, match="which has 1"):
        Excerpt(photo, times, _moving(times))
    with pytest.raises(ContractError, match="1 crops for 2 frames"):
        Excerpt(clip, times, _moving(times[:1]))
    one, other = Excerpt(clip, times, _moving(times)), Excerpt(clip, times, _moving(times, (8, 8)))
    with pytest.raises(ContractError, match=r"size \(8, 8\), expected \(32, 32\)"):
        fill_excerpts([one, other], tmp_path / "crops")


def test_folders_of_people_are_listed(tmp_path: Path) -> None:
    for name in ("ben/2.png", "ben/1.jpg", "ada/film.mp4", "ada/.hidden", ".git/x", "note.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "empty").mkdir()
    assert files_of_people(tmp_path) == {
        "ada": (tmp_path / "ada/film.mp4",),
        "ben": (tmp_path / "ben/1.jpg", tmp_path / "ben/2.png"),
    }
    with pytest.raises(MediaError, match="one folder for each person"):
        files_of_people(tmp_path / "empty")
    with pytest.raises(MediaError, match="there is no such file or folder"):
        files_of_people(tmp_path / "missing")


def test_a_disk_that_fills_up_while_writing_is_told(
    actor_shot: Shot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = bank_file.BankFile.put

    def put(file: bank_file.BankFile, row: int, pictures: np.ndarray) -> None:
        with file._told():
            if row > 2:
                raise OSError(28, "No space left on device")
        real(file, row, pictures)

    monkeypatch.setattr(banks, "_CHUNK", 3)
    monkeypatch.setattr(bank_file.BankFile, "put", put)
    times = np.arange(8)
    with pytest.raises(MediaError, match="make room"):
        fill_bank(actor_shot.clip, _moving(times), times, tmp_path / "crops")
    assert list(tmp_path.iterdir()) == []
