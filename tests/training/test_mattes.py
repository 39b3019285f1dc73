"""Mattes of a bank: each from a frame and its neighbors, steadily."""

from collections.abc import Iterable, Iterator

import numpy as np
import pytest
import torch

from likeness.training import mattes
from likeness.training.data import FrameBank


@pytest.fixture
def bank() -> FrameBank:
    pixels = np.arange(6, dtype=np.uint8)[:, None, None, None] * 40
    return FrameBank(
        np.broadcast_to(pixels, (6, 3, 32, 32)).copy(), np.array([0, 1, 2, 7, 8, 20], np.int64)
    )


def test_answers_of_neighbors_are_averaged(
    bank: FrameBank, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_wandering_answer_is_calmed(bank: FrameBank, monkeypatch: pytest.MonkeyPatch) -> None:
    def network(images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for image in images:
            yield np.full((32, 32), 0.5 + (0.2 if image[0, 0, 0] // 40 % 2 else -0.2), np.float32)

    monkeypatch.setattr(mattes, "person_likelihoods", network)
    monkeypatch.setattr(mattes, "at_edges", lambda image, likelihood: likelihood)
    still = FrameBank(bank.pixels, np.arange(6, dtype=np.int64))
    cut = mattes.cut_out(still, np.arange(1, 5)).float() / 255
    assert (cut - 0.5).abs().max() < 0.01
