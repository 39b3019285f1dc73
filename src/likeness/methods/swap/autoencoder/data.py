"""What a one-to-one network learns from: faces of several people, cut from any files.

Every face comes with its 68 points, from our tracker or from a face set of DeepFaceLab: crops,
masks and what is looked at most closely follow from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from likeness import geometry
from likeness.condition.face_types import FaceType, face_crop, feature_mask, hull_mask
from likeness.errors import TrackError
from likeness.methods.swap.autoencoder.augment import SwapAugmentConfig, draw_move, recolored, taken
from likeness.methods.swap.autoencoder.marks import marks_of, rarity
from likeness.training.bank import CropBank, Excerpt, fill_excerpts
from likeness.types import Clip, Floats, Ints, Progress, silent

LEAST = 8
"""Fewest frames of a person that can be learned from."""
WIDEN = 1.3
"""Side of the stored crops in units of the network's: what turning and shifting reach for."""
_DENSE = 1.2
"""Pixels of a stored crop for each of the network's."""
_TURNS = 32
"""Bins of turned faces between which draws are even, where that is asked for."""


@dataclass(frozen=True, eq=False)
class Faces:
    """Frames of one clip or photo that show one person."""

    clip: Clip
    times: Ints
    """(N,) increasing frames of the clip."""
    points: Floats
    """(N,68,2) in pixels of the frame."""
    irises: Floats | None = None
    """(N,2,2) centers of the irises, image left first; None where they are not known."""

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True)
class FacesConfig:
    """How faces are cut and drawn."""

    size: int
    """Side of the network's pictures."""
    face_type: FaceType
    max_frames: int
    """Most frames of each person; more are thinned out evenly."""
    brows: float
    """How far the mask rises over the brows."""
    even_turns: bool
    """Whether turned faces are drawn as often as those seen from the front."""
    even_faces: float = 0.0
    """How far faces that do what is rare are drawn as often as others: 0 not at all, 1 wholly."""


@dataclass(frozen=True, eq=False)
class Batch:
    """N faces of one person."""

    warped: Tensor
    """(N,3,S,S) RGB in [0,1]: what goes in while warping is on."""
    real: Tensor
    """(N,3,S,S) the same faces unwarped: what shall come out."""
    mask: Tensor
    """(N,1,S,S) in [0,1]: where the face is."""
    features: Tensor
    """(N,1,S,S) in [0,1]: eyes and mouth."""
    marks: Tensor
    """(N,140) what the face does, from `marks_of`; NaN where it is not known."""

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device."""
        parts = (self.warped, self.real, self.mask, self.features)
        warped, real, mask, features = (
            part.to(device, memory_format=torch.channels_last) for part in parts
        )
        return Batch(warped, real, mask, features, self.marks.to(device))


@dataclass(frozen=True, eq=False)
class Person:
    """All faces of one person, ready to be drawn from."""

    bank: CropBank
    rows: Ints
    """(M,) which rows of the bank."""
    points: Floats
    """(M,68,2) in pixels of the stored crops."""
    probability: Floats
    """(M,) with which each is drawn."""
    config: FacesConfig
    marks: Floats
    """(M,140) what each face does; NaN where it is not known."""

    def draw(self, random: np.random.Generator, count: int, how: SwapAugmentConfig) -> Batch:
        """Draw faces by chance, each moved and warped by chance."""
        chosen = random.choice(len(self.rows), count, p=self.probability)
        side, inner = self.config.size, self.inner
        larger = self.bank.raw(self.rows[chosen]).permute(0, 2, 3, 1).contiguous().numpy()
        pictures = np.empty((2, count, side, side, 3), np.float32)
        points = np.empty((count, 68, 2), np.float32)
        marks = self.marks[chosen]
        for n, picture in enumerate(larger):
            move = draw_move(random, how, inner, side)
            pictures[0, n] = taken(picture, move, warped=True)
            pictures[1, n] = taken(picture, move, warped=False)
            points[n] = geometry.apply(move.crop_from_larger, self.points[chosen[n]])
            if np.linalg.det(move.crop_from_larger[:, :2]) < 0:
                marks[n] = np.nan
            if how.hue > 0:
                pictures[0, n] = recolored(pictures[0, n], random, how.hue)
        warped, real = torch.from_numpy(pictures).permute(0, 1, 4, 2, 3).unbind(0)
        mask = torch.from_numpy(hull_mask(points, side, self.config.brows))
        features = torch.from_numpy(feature_mask(points, side))
        return Batch(warped, real, mask, features, torch.from_numpy(marks))

    @property
    def inner(self) -> Floats:
        """(2,3) the network's crop, unmoved, in the stored ones: equal middles."""
        return inner_of(self.config.size, self.bank.crop.size[0])

    def sized(self, side: int) -> Person:
        """Return the same faces for a network of a smaller side."""
        size = stored_side(side)
        factor = np.float32(size / self.bank.crop.size[0])
        config = FacesConfig(side, *(getattr(self.config, name) for name in _REST))
        bank, points = self.bank.shrunk(size), self.points * factor
        return Person(bank, self.rows, points, self.probability, config, self.marks)


_REST = ("face_type", "max_frames", "brows", "even_turns", "even_faces")


def inner_of(side: int, stored: int) -> Floats:
    """Return (2,3) the network's crop, of a side, in a stored one: equal middles."""
    scale = side * WIDEN / stored
    # Both count half a pixel from their own middle, as `face_crop` does.
    middle = side / 2 + 0.5 - scale * (stored / 2 + 0.5)
    return np.array([[scale, 0, middle], [0, scale, middle]], np.float32)


def stored_side(side: int) -> int:
    """Return the side of stored crops for a network's."""
    return int(np.ceil(side * WIDEN * _DENSE / 2) * 2)


def collect(
    people: Sequence[Sequence[Faces]],
    config: FacesConfig,
    path: Path,
    progress: Progress = silent,
) -> tuple[Person, ...]:
    """Cut the faces of all people into one bank.

    Args:
        people: what there is of each.
        config: how they are cut.
        path: file of the bank.
        progress: called as ("frames", done, total).

    Raises:
        TrackError: a person is seen in fewer than `LEAST` frames.
        MediaError: a file cannot be read, or the disk has no room.
    """
    for number, faces in enumerate(people):
        count = sum(len(part) for part in faces)
        if count < LEAST:
            names = ", ".join(part.clip.path.name for part in faces[:3]) or "nothing"
            raise TrackError(
                f"person {number + 1} is seen in {count} frames of {names}, expected at least "
                f"{LEAST}; give a clip of a minute or more, or more photos"
            )
    excerpts: list[Excerpt] = []
    points: list[Floats] = []
    irises: list[Floats] = []
    for number, faces in enumerate(people):
        for part in thinned(faces, config.max_frames):
            crop = face_crop(part.points, config.face_type, stored_side(config.size), WIDEN)
            excerpts.append(Excerpt(part.clip, part.times, crop, str(number)))
            points.append(geometry.apply(crop.crop_from_frame, part.points))
            seen = np.full((len(part), 2, 2), np.nan) if part.irises is None else part.irises
            irises.append(geometry.apply(crop.crop_from_frame, seen.astype(np.float32)))
    bank = fill_excerpts(excerpts, path, progress)
    joined = (np.concatenate(points).astype(np.float32), np.concatenate(irises))
    return tuple(_person(bank, *joined, number, config) for number in range(len(people)))


def thinned(faces: Sequence[Faces], most: int) -> list[Faces]:
    """Leave out frames evenly until there are at most so many; none is left without a clip."""
    count = sum(len(part) for part in faces)
    if count <= most:
        return list(faces)
    chosen = np.linspace(0, count - 1, most).round().astype(np.int64)
    kept, first = [], 0
    for part in faces:
        rows = chosen[(chosen >= first) & (chosen < first + len(part))] - first
        first += len(part)
        if len(rows):
            irises = None if part.irises is None else part.irises[rows]
            kept.append(Faces(part.clip, part.times[rows], part.points[rows], irises))
    return kept


def turn_of(points: Floats) -> Floats:
    """Estimate how far (N,68,2) faces are turned: -1 to 1, 0 from the front.

    Where the nose stands between the outer corners of the eyes, along the line that joins them.
    """
    right, left, nose = points[:, 36], points[:, 45], points[:, 30]
    line = left - right
    place = ((nose - right) * line).sum(1) / np.maximum((line * line).sum(1), 1e-6)
    return np.asarray((2 * place - 1).clip(-1, 1), np.float32)


def _person(
    bank: CropBank, points: Floats, irises: Floats, number: int, config: FacesConfig
) -> Person:
    rows = np.flatnonzero(bank.person_indices == bank.people.index(str(number)))
    own = points[rows]
    weight = np.ones(len(rows))
    if config.even_turns:
        bins = ((turn_of(own) + 1) / 2 * _TURNS).astype(int).clip(0, _TURNS - 1)
        weight = 1 / np.bincount(bins, minlength=_TURNS)[bins]
    if config.even_faces > 0:
        weight = weight * rarity(own) ** config.even_faces
    marks = marks_of(own, irises[rows], stored_side(config.size))
    return Person(bank, rows, own, (weight / weight.sum()), config, marks)
