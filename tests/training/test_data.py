"""The bank of crops that a training draws from."""

from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.condition import portrait_crop
from likeness.errors import ContractError, MediaError
from likeness.training import data
from likeness.training.data import fill_bank
from likeness.types import Shot


@pytest.fixture(scope="module")
def bank(actor_shot: Shot, tmp_path_factory: pytest.TempPathFactory) -> data.FrameBank:
    crop = portrait_crop(actor_shot.track, actor_shot.clip.size, 96)
    path = tmp_path_factory.mktemp("bank") / "crops"
    return fill_bank(actor_shot.clip, crop, np.arange(0, 48, 4), path)


def test_pixels_lie_on_disk(bank: data.FrameBank) -> None:
    assert isinstance(bank.pixels, np.memmap)
    assert bank.pixels.shape == (12, 3, 96, 96)
    assert not bank.pixels.flags.writeable


def test_a_shrunk_bank_reads_smaller_pictures_of_the_same(bank: data.FrameBank) -> None:
    small = bank.shrunk(48)
    rows = np.array([3, 7])
    assert small.pixels is bank.pixels
    assert small.crops(rows).shape == (2, 3, 48, 48)
    averaged = torch.nn.functional.avg_pool2d(bank.crops(rows), 2)
    assert (small.crops(rows) - averaged).abs().mean() < 0.01
    assert torch.equal(bank.shrunk(96).crops(rows), bank.crops(rows))
    with pytest.raises(ContractError, match="cannot grow"):
        bank.shrunk(128)


def test_raw_bytes_are_the_crops_rounded(bank: data.FrameBank) -> None:
    rows = np.array([0, 5])
    assert torch.equal(bank.raw(rows).float() / 255, bank.crops(rows))
    raw = bank.shrunk(48).raw(rows)
    assert raw.dtype == torch.uint8
    assert (raw.float() / 255 - bank.shrunk(48).crops(rows)).abs().max() <= 0.5001 / 255


def test_a_full_disk_is_told_before_the_work(
    actor_shot: Shot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(data.shutil, "disk_usage", lambda _: usage(10**6, 10**6 - 1000, 1000))
    crop = portrait_crop(actor_shot.track, actor_shot.clip.size, 96)
    with pytest.raises(MediaError, match="smaller --size"):
        fill_bank(actor_shot.clip, crop, np.arange(8), tmp_path / "crops")
    assert not (tmp_path / "crops").exists()
