"""Pairs with answers: a picture, whose face is wanted on it, and how it looks then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likeness.methods.swap.compact.actors import ActorFaces
from likeness.methods.swap.simswap.people import chips
from likeness.recognize.source import Describer
from likeness.types import Floats, Ints, check

_BATCH = 16


@dataclass(frozen=True, eq=False)
class Faces:
    """M aligned pictures of faces."""

    pictures: NDArray[np.uint8]
    """(M,3,S,S) RGB."""
    cover: NDArray[np.uint8]
    """(M,1,S,S) 255 where the face is, and where the faces are that it is paired with."""
    theta: Tensor
    """(M,2,3) where a recognizer's crop lies, both from -1 to 1."""
    people: Ints
    """(M,) whose face is seen, a number for each person."""
    real: NDArray[np.bool_]
    """(M,) False where the face was put there: only real ones tell who a person is."""

    def __post_init__(self) -> None:
        found = {len(self.pictures), len(self.cover), len(self.theta), len(self.people)}
        check(found == {len(self.real)}, f"arrays of {sorted(found)} faces, expected one number")

    def __len__(self) -> int:
        return len(self.real)


@dataclass(frozen=True, eq=False)
class Pairs:
    """K pairs of faces: what is shown, and what is wanted."""

    faces: Faces
    shown: Ints
    """(K,) rows: what the network gets."""
    wanted: Ints
    """(K,) rows: the same picture with the face of that row's person."""
    codes: Tensor
    """(M,D) what the recognizer says of every face."""
    side: int
    """Of the recognizer's crop in pixels."""

    @property
    def center(self) -> Tensor:
        """(D,) mean of people's mean codes, of real pictures."""
        told = [self.codes[rows].mean(0) for rows in self.sources().values()]
        return torch.stack(told).mean(0)

    @property
    def spread(self) -> float:
        """Root mean square of what codes of real pictures lie from the center."""
        real = self.codes[torch.from_numpy(self.faces.real)]
        away = (real - self.center).square().sum(1).mean().sqrt()
        return float(away.clamp(min=1e-6))

    def sources(self) -> dict[int, Ints]:
        """Rows of real pictures by person."""
        faces = self.faces
        return {
            int(person): np.flatnonzero(faces.real & (faces.people == person))
            for person in np.unique(faces.people[faces.real])
        }


def pairs_of_actors(films: Sequence[ActorFaces], recognizer: Describer) -> Pairs:
    """Read what actors answer both ways: with the next one's face, and that one with their own."""
    moments = len(films[0].filmed)
    numbers = {film.seed: index for index, film in enumerate(films)}
    names = [[numbers[film.seed]] * moments + [numbers[film.face]] * moments for film in films]
    faces = Faces(
        np.concatenate([part for film in films for part in (film.filmed, film.swapped)]),
        np.concatenate([part for film in films for part in (film.cover, film.cover)]),
        torch.from_numpy(
            np.concatenate([t for film in films for t in (film.filmed_theta, film.swapped_theta)])
        ),
        np.concatenate(names).astype(np.int64),
        np.tile(np.repeat([True, False], moments), len(films)),
    )
    rows = np.arange(len(faces)).reshape(len(films), 2, moments)
    ahead, back = rows[:, 0].ravel(), rows[:, 1].ravel()
    return asked(faces, np.concatenate([ahead, back]), np.concatenate([back, ahead]), recognizer)


def asked(faces: Faces, shown: Ints, wanted: Ints, recognizer: Describer) -> Pairs:
    """Ask a recognizer who everybody is, and keep its answers with the pairs."""
    side, codes = recognizer.template.size, []
    for start in range(0, len(faces), _BATCH):
        part = slice(start, start + _BATCH)
        pictures = torch.from_numpy(faces.pictures[part]).float() / 255
        with torch.no_grad():
            told = recognizer.describe(chips(pictures, faces.theta[part], side))
        codes.append(told.float().cpu())
    return Pairs(faces, shown, wanted, torch.cat(codes), side)


def joined_pairs(parts: Sequence[Pairs]) -> Pairs:
    """Put several sets of pairs together; their people are others."""
    rows = np.cumsum([0, *(len(part.faces) for part in parts)])
    people = np.cumsum([0, *(int(part.faces.people.max()) + 1 for part in parts)])
    faces = Faces(
        np.concatenate([part.faces.pictures for part in parts]),
        np.concatenate([part.faces.cover for part in parts]),
        torch.cat([part.faces.theta for part in parts]),
        np.concatenate(
            [p.faces.people + first for p, first in zip(parts, people[:-1], strict=True)]
        ),
        np.concatenate([part.faces.real for part in parts]),
    )
    both = list(zip(parts, rows[:-1], strict=True))
    return Pairs(
        faces,
        np.concatenate([part.shown + first for part, first in both]),
        np.concatenate([part.wanted + first for part, first in both]),
        torch.cat([part.codes for part in parts]),
        parts[0].side,
    )


def moved_alike(pictures: Tensor, theta: Tensor, matrices: Floats) -> tuple[Tensor, Tensor]:
    """Move pictures (N,C,S,S) and where a recognizer looks in them alike.

    Args:
        pictures: of any channels.
        theta: (N,2,3) where the recognizer's crop lies, from -1 to 1.
        matrices: (N,2,3) where each place of the answer lies in the picture, from -1 to 1.
    """
    grids = torch.from_numpy(np.ascontiguousarray(matrices)).to(pictures)
    grid = torch.nn.functional.affine_grid(grids, list(pictures.shape), align_corners=False)
    drawn = torch.nn.functional.grid_sample(
        pictures, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    back = torch.linalg.inv(grids[:, :, :2])
    linear = back @ theta[:, :, :2]
    shift = back @ (theta[:, :, 2:] - grids[:, :, 2:])
    return drawn, torch.cat([linear, shift], 2)
