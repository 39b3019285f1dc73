"""Mattes of a bank's frames: where the person is, steadily in time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from likeness.track.detect import Image
from likeness.track.matte import at_edges, person_likelihoods
from likeness.training.bank import CropBank
from likeness.types import Floats, Ints


def cut_out(bank: CropBank, rows: Ints) -> torch.Tensor:
    """Cut the person out of some frames of a bank.

    The network's answers flicker by a pixel or two. Each frame's answer is averaged with its two
    neighbors' as [1 2 1]/4, and then moved to the edges of the frame itself, which don't flicker.

    Args:
        bank: crops of a clip.
        rows: (G,) rows of it.

    Returns:
        (G,h,w) uint8 coverage by people.

    Raises:
        BackendError: MediaPipe is missing or has no bundled segmentation any more.
    """
    groups = [_around(bank, int(row)) for row in rows]
    answers = person_likelihoods(_images(bank, [row for group in groups for row in group]))
    mattes = []
    for row, group in zip(rows, groups, strict=True):
        weights = np.array([2.0 if other == row else 1.0 for other in group], np.float32)
        mean: Floats = sum(w * next(answers) for w in weights) / weights.sum()
        matte = at_edges(next(_images(bank, [int(row)])), mean)
        mattes.append(torch.from_numpy((matte * 255 + 0.5).astype(np.uint8)))
    return torch.stack(mattes)


def _around(bank: CropBank, row: int) -> list[int]:
    """The row and those of its neighbors that follow each other in the clip."""
    last = len(bank) - 1
    beside = [other for other in (row - 1, row + 1) if 0 <= other <= last]
    return [row, *(other for other in beside if abs(bank.times[other] - bank.times[row]) == 1)]


def _images(bank: CropBank, rows: list[int]) -> Iterator[Image]:
    for row in rows:
        yield np.ascontiguousarray(bank.raw(np.array([row]))[0].permute(1, 2, 0).numpy())
