"""Batches in which it is known how some results shall look.

Of one person's two pictures the target itself is the answer. Of procedural actors more is known:
what a swap of two of them looks like, pixel by pixel (`compact.actors`). A system that reconstructs
can learn from both; where there are no actors, batches are those of `any_task`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.nn import functional

from likeness.methods.swap.compact.pairs import Pairs
from likeness.methods.swap.simswap.any_task import AnyTask, SwapSample
from likeness.methods.swap.simswap.people import People, Swaps
from likeness.training.bank import CropBank
from likeness.types import Crop, Ints

_CHANGED = 20.0
_NOBODY = -1
"""Index of the person in made pictures."""


@dataclass(frozen=True, eq=False)
class AnsweredSample(SwapSample):
    """A batch, and what is known of it."""

    source: Tensor
    """(N,3,S,S) a picture of each source."""
    own: Tensor
    """(N,D) codes of the targets' own faces, counted as the sources'."""
    answer: Tensor
    """(N,3,S,S) how the results shall look, where that is known; else the targets."""
    known: int
    """For how many, the first."""


def people_of_pairs(pairs: Pairs, size: int) -> People:
    """Read actors with exact swaps as people.

    Args:
        pairs: of actors.
        size: side at which their crops are read, at most that of the pairs.
    """
    faces = pairs.faces
    count, side = len(faces), faces.pictures.shape[2]
    whole = np.zeros((count, 2, 3), np.float32)
    whole[:, 0, 0] = whole[:, 1, 1] = 1
    names = tuple(f"actor {person}" for person in range(int(faces.people.max()) + 1))
    shown = np.where(faces.real, faces.people, _NOBODY)
    nothing = np.zeros(count, np.int64)
    crop = Crop((side, side), whole)
    bank = CropBank(faces.pictures, nothing, crop, (), nothing, names, shown)
    return People(
        bank.shrunk(size),
        pairs.codes,
        faces.theta,
        pairs.side,
        swaps=Swaps(np.stack([pairs.shown, pairs.wanted], 1), faces.people[pairs.wanted]),
    )


def counting(target: Tensor, answer: Tensor, more: float) -> Tensor:
    """(N,1,S,S) how much pixels count: 1, and up to `more` above that where an answer changes them.

    A swap changes little of a picture; a network that changes nothing is nearly right everywhere.

    Args:
        target, answer: (N,3,S,S).
        more: above 1, where they differ by a twentieth of white or more around a pixel.
    """
    change = functional.avg_pool2d((answer - target).abs().mean(1, keepdim=True), 5, 1, 2)
    return 1 + more * (change * _CHANGED).clamp(max=1)


class AnsweredTask(AnyTask):
    """A network for any two people, learned where some answers are known."""

    def sample(self, random: np.random.Generator) -> AnsweredSample:
        """Draw people evenly, and their faces; of two people a swap that is known, if any is."""
        count = self._batches.batch
        same = min(max(round(self._batches.same * count), 1), count - 1)
        targets, sources = self._pairs(random, count, same)
        answers, known = targets.copy(), same
        if (swaps := self.people.swaps) is not None:
            chosen = random.integers(0, len(swaps.rows), count - same)
            targets[same:], answers[same:] = swaps.rows[chosen].T
            sources[same:] = self._photos(random, swaps.sources[chosen])
            known = count
        bank, theta = self.people.bank, self.people.theta[answers]
        pictures = bank.crops(np.concatenate([targets, answers, sources])).chunk(3)
        code, own = (self._counted(rows) for rows in (sources, targets))
        return AnsweredSample(pictures[0], theta, code, same, pictures[2], own, pictures[1], known)

    def _counted(self, rows: Ints) -> Tensor:
        return (self.people.codes[rows] - self.center.cpu()) * self.scale

    def _photos(self, random: np.random.Generator, people: Sequence[int] | Ints) -> Ints:
        return np.array([random.choice(self._rows[int(person)]) for person in people])
