"""What SimSwap learns from: crops of many people, and who a recognizer says that they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from likeness import geometry
from likeness.condition.align import TEMPLATES, aligned_crop
from likeness.errors import TrackError
from likeness.recognize.source import Describer, scaled
from likeness.training.bank import CropBank, Excerpt, fill_excerpts
from likeness.types import Clip, Crop, Floats, Ints, Progress, check, silent

TEMPLATE = "simswap_224"
_PEOPLE = 2
_BATCH = 16


@dataclass(frozen=True, eq=False)
class PersonFaces:
    """Frames of one clip or photo that show a person."""

    clip: Clip
    times: Ints
    """(N,) increasing indices of frames."""
    landmarks: Floats
    """(N,478,>=2) x, y in pixels of the frame."""

    def __post_init__(self) -> None:
        check(len(self.times) == len(self.landmarks), "as many faces as frames are expected")

    def spread(self, count: int) -> PersonFaces:
        """Return at most so many of them, evenly spread."""
        if len(self.times) <= count:
            return self
        chosen = np.linspace(0, len(self.times) - 1, count).round().astype(np.int64)
        return PersonFaces(self.clip, self.times[chosen], self.landmarks[chosen])


@dataclass(frozen=True, eq=False)
class Swaps:
    """K swaps among M faces that are known, pixel by pixel."""

    rows: Ints
    """(K,2) a target, and the same picture with another's face."""
    sources: Ints
    """(K,) index of the person with that face."""


@dataclass(frozen=True, eq=False)
class People:
    """Crops of M faces of several people, and what a recognizer says of each.

    Pictures that a swap made are nobody's: the index of their person is below 0.
    """

    bank: CropBank
    codes: Tensor
    """(M,D) as the recognizer gives them."""
    theta: Tensor
    """(M,2,3) where the recognizer's crop lies in the bank's, both from -1 to 1."""
    side: int
    """Of the recognizer's crop in pixels."""
    points: Tensor | None = None
    """(M,478,3) landmarks in sides of the crop: x and y from its corner, smaller z nearer."""
    swaps: Swaps | None = None
    """What is known of swaps among them."""

    @property
    def center(self) -> Tensor:
        """(D,) the mean of all people's mean codes."""
        return self._means().mean(0)

    @property
    def spread(self) -> float:
        """Root of the mean square of what a number of people's codes lies from the center."""
        real = torch.from_numpy(self.bank.person_indices >= 0)
        away = self.codes[real] - self.center
        return float(away.square().mean().sqrt().clamp(min=1e-6))

    def chips(self, pictures: Tensor, rows: Ints) -> Tensor:
        """Cut the recognizer's crops out of pictures (N,3,S,S) that lie as these rows do."""
        return chips(pictures, self.theta[rows].to(pictures), self.side)

    def _means(self) -> Tensor:
        indices = torch.from_numpy(self.bank.person_indices)
        return torch.stack(
            [self.codes[indices == person].mean(0) for person in range(len(self.bank.people))]
        )


def collect(
    people: Mapping[str, Sequence[PersonFaces]],
    recognizer: Describer,
    size: int,
    most: int,
    path: Path,
    progress: Progress = silent,
    laid: str = TEMPLATE,
) -> People:
    """Cut the faces of people and ask who they are.

    Args:
        people: faces by person.
        recognizer: whose codes the network shall understand.
        size: side of the crops in pixels.
        most: faces of each person that are used.
        path: file for the crops.
        progress: called as ("frames" | "codes", done, total).
        laid: key of `condition.align.TEMPLATES`, how the crops lie.

    Raises:
        TrackError: these are fewer than two people.
        MediaError: a clip cannot be read, or the disk is full.
    """
    if len(people) < _PEOPLE:
        raise TrackError(
            f"{len(people)} person has faces that can be used, expected at least {_PEOPLE}: a "
            "folder for each person, with photos and clips"
        )
    template = scaled(TEMPLATES[laid], size)
    excerpts, thetas = [], []
    for person, parts in people.items():
        share = max(1, most // len(parts))
        for part in (one.spread(share) for one in parts):
            crop = aligned_crop(part.landmarks, template)
            theirs = aligned_crop(part.landmarks, recognizer.template)
            excerpts.append(Excerpt(part.clip, part.times, crop, person))
            thetas.append(lies(crop, theirs))
    bank = fill_excerpts(excerpts, path, progress)
    theta = torch.from_numpy(np.concatenate(thetas))
    side, codes = recognizer.template.size, []
    for start in range(0, len(bank), _BATCH):
        rows = np.arange(start, min(start + _BATCH, len(bank)))
        with torch.no_grad():
            cut = chips(bank.crops(rows), theta[rows], side)
            codes.append(recognizer.describe(cut).float().cpu())
        progress("codes", int(rows[-1]) + 1, len(bank))
    return People(bank, torch.cat(codes), theta, side)


def chips(pictures: Tensor, theta: Tensor, side: int) -> Tensor:
    """Sample (N,3,side,side) from pictures (N,3,S,S), with gradients."""
    grid = functional.affine_grid(theta, [len(pictures), 3, side, side], align_corners=False)
    return functional.grid_sample(
        pictures, grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def lies(crop: Crop, chip: Crop) -> Floats:
    """(N,2,3) positions in square crops from those in chips of the same frames, from -1 to 1."""
    size, side = crop.size[0], chip.size[0]
    both = geometry.compose(crop.crop_from_frame, geometry.invert(chip.crop_from_frame))
    both = both.astype(np.float64)
    linear = both[:, :, :2] * (side / size)
    middle = both[:, :, :2] @ np.full(2, side / 2) + both[:, :, 2]
    offset = middle / (size / 2) - 1
    return np.asarray(np.concatenate([linear, offset[:, :, None]], 2), np.float32)
