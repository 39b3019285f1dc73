"""Mattes of a bank: each from a frame and its neighbors, steadily."""

from collections.abc import Iterable, Iterator

import numpy as np
import pytest
import torch

from likeness.training import mattes
from likeness.training.bank import CropBank
from likeness.types import Crop


@pytest.fixture
def bank() -> CropBank:
    return banked(np.array([0, 1, 2, 7, 8, 20], np.int64))


def banked(times: np.ndarray) -> CropBank:
    """Six gray crops of frames at these times."""
    pixels = np.arange(6, dtype=np.uint8)[:, None, None, None] * 40
    crop = Crop((32, 32), np.repeat(np.array([[[1, 0, 0], [0, 1, 0]]], np.float32), 6, 0))
    none, all_pixels = np.zeros(6, np.int64), np.broadcast_to(pixels, (6, 3, 32, 32)).copy()
    return CropBank(all_pixels, times, crop, (), none, ("",), none)


def test_answers_of_neighbors_are_averaged(bank: CropBank, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def network(images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for image in images:
            asked.append(int(image[0, 0, 0]) // 40)
            yield np.full((32, 32), asked[-1] / 10, np.float32)

    monkeypatch.setattr(mattes, "person_likelihoods", network)
    monkeypatch.setattr(mattes, "at_edges", lambda image, likelihood: likelihood)
    cut = mattes.cut_out(bank, np.array([1, 3, 5]))
    # Frame 7 has only 8 beside it, frame 20 nobody.
    assert asked == [1, 0, 2, 3, 4, 5]
    expected = torch.tensor([0.1, (2 * 0.3 + 0.4) / 3, 0.5]) * 255
    assert (cut[:, 0, 0] - expected).abs().max() < 1
    assert cut.dtype == torch.uint8
    assert cut.shape == (3, 32, 32)


def test_a_wandering_answer_is_calmed(bank: CropBank, monkeypatch: pytest.MonkeyPatch) -> None:
    def network(images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for image in images:
            yield np.full((32, 32), 0.5 + (0.2 if image[0, 0, 0] // 40 % 2 else -0.2), np.float32)

    monkeypatch.setattr(mattes, "person_likelihoods", network)
    monkeypatch.setattr(mattes, "at_edges", lambda image, likelihood: likelihood)
    still = banked(np.arange(6, dtype=np.int64))
    cut = mattes.cut_out(still, np.arange(1, 5)).float() / 255
    assert (cut - 0.5).abs().max() < 0.01
