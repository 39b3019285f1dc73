"""Training of UniFaceGAN.

Paper: Cao et al., UniFaceGAN (arXiv 2108.05650): L = reconstruction (swap and reenactment within
one person) + outside (|result - target| where no face is, for every pair) + features + identity
+ steady (the 3D temporal loss of `same_mesh`) + adversarial; samples are selected dynamically.
Differs: weights are ours, the paper's are not known for sure, nor is its rule of selection. Here
more pairs are drawn than are learned from, and chosen by chance, in proportion to how much the
target's last result was off: its difference where both show one person, 1 - cos of the codes where
not. The features are the recognizer's. Hinge losses and SimSwap's discriminators. Neighboring
frames come from the clips of a folder; photos have none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from likeness.methods.swap.simswap.learn import Faces, Given, System
from likeness.methods.swap.simswap.people import PersonFaces
from likeness.methods.swap.survey.picture_settings import UniFaceGANTraining
from likeness.methods.swap.survey.pictures import (
    PictureSample,
    PictureTask,
    told_by_faces,
    within,
)
from likeness.methods.swap.survey.same_mesh import followed, triangles_of, unsteady
from likeness.synthesize.face_maps import shape
from likeness.synthesize.unifacegan import UniFaceGAN, reshaped
from likeness.training.bank import CropBank
from likeness.training.loop import Losses
from likeness.types import Ints

_MEMORY = 0.5
"""Share of an error that is remembered when a new one is seen."""
_LEAST = 0.02


class UniFaceGANTask(PictureTask):
    """UniFaceGAN on many people."""

    def __init__(self, given: Given, config: UniFaceGANTraining) -> None:
        self.network = UniFaceGAN(config.network())
        super().__init__(given, self.network, config)
        # Beside the discriminators, whose state a training keeps to go on from.
        errors = torch.ones(2, len(self.people.bank), device=self.device)
        self.judges.register_buffer("errors", errors)
        self.config = config
        shapes, _ = shape(self.points)
        self.rests = torch.stack([shapes[rows].mean(0) for rows in self._rows])
        self.triangles = triangles_of(self.points)
        self.next = next_rows(self.people.bank)

    @property
    def errors(self) -> Tensor:
        """(2,M) how much each target's last results were off, of its own person and of others."""
        return self.judges.get_buffer("errors")

    def sample(self, random: np.random.Generator) -> PictureSample:
        """Draw more pairs than are learned from."""
        choice, count = self.config.choice, self.config.batch
        same = min(max(round(self.config.same * count), 1), count - 1)
        targets, sources = self._pairs(random, choice * count, choice * same)
        return self.pictured(random, targets, sources, choice * same)

    def chosen(self, sample: PictureSample) -> PictureSample:
        """Choose among a sample's pairs: one of `choice`, in proportion to errors.

        Each draws u evenly, and the largest u ** (1 / error) win (Efraimidis and Spirakis 2006).
        """
        chance = torch.special.ndtr(sample.noise[:, 0].double())
        errors, rows = self.errors.cpu().double(), torch.from_numpy(sample.targets)
        picks = []
        for kind, part in enumerate((slice(0, sample.same), slice(sample.same, None))):
            keys = chance[part].log() / errors[kind][rows[part]].clamp(min=_LEAST)
            picks.append(keys.topk(len(keys) // self.config.choice).indices + (part.start or 0))
        order = torch.cat(picks)
        fields: dict[str, Any] = {
            name: value[order] for name, value in vars(sample).items() if isinstance(value, Tensor)
        }
        numbers = order.numpy()
        return replace(
            sample,
            **fields,
            same=len(picks[0]),
            targets=sample.targets[numbers],
            sources=sample.sources[numbers],
        )

    def losses(self, sample: PictureSample, progress: float) -> Losses:
        """Evaluate one batch."""
        config, network = self.config, self.network
        sample = self.placed(self.chosen(sample))
        target, same = sample.target, sample.same
        looks = network.looks(sample.source, sample.source_points)
        wanted = self._wanted(sample.points, sample.targets, sample.sources)
        result, region = network.draw(target, sample.points, wanted, looks)
        error = (result - target).abs()
        apart = self.likenesses(result[same:], sample.theta[same:], sample.code[same:])
        total = (
            config.reconstruction * within(error[:same], region[:same])
            + config.outside * within(error, 1 - region)
            + config.features * self.features(result[:same], target[:same])
            + config.identity * apart.mean()
            + config.adversarial * self.fooled(result)
        )
        if config.steady > 0:
            total = total + config.steady * self._unsteady(sample, result, wanted, looks)
        self._remember(sample, within_each(error[:same], region[:same]), apart)
        real = torch.cat([target, sample.source])
        return Losses(total, lambda: self.judged(real, result.detach()))

    def _wanted(self, points: Tensor, targets: Ints, sources: Ints) -> Tensor:
        """Lay the sources' shapes on the targets' landmarks."""
        owners = self.people.bank.person_indices
        change = self.rests[owners[sources]] - self.rests[owners[targets]]
        return reshaped(points, change.to(points))

    def _unsteady(
        self, sample: PictureSample, result: Tensor, wanted: Tensor, looks: Tensor
    ) -> Tensor:
        """Draw the frames after some targets, and follow the faces to them."""
        after = self.next[sample.targets]
        here = np.flatnonzero(after >= 0)[: self.config.neighbors]
        if not len(here):
            return result.new_zeros(())
        points = self.points[after[here]].to(self.device)
        there = self._wanted(points, after[here], sample.sources[here])
        picture = self.people.bank.crops(after[here]).to(self.device)
        drawn, _ = self.network.draw(picture, points, there, looks[here])
        first, second = (x.detach().cpu().numpy() for x in (wanted[here], there))
        places, covered = followed(first, second, self.triangles, self.config.size)
        return unsteady(result[here], drawn, places.to(drawn), covered.to(drawn))

    @torch.no_grad()
    def _remember(self, sample: PictureSample, own: Tensor, other: Tensor) -> None:
        for kind, (rows, found) in enumerate(
            ((sample.targets[: sample.same], own), (sample.targets[sample.same :], other))
        ):
            index = torch.from_numpy(rows).to(self.device)
            before = self.errors[kind, index]
            self.errors[kind, index] = _MEMORY * before + (1 - _MEMORY) * found.detach()


def within_each(error: Tensor, region: Tensor) -> Tensor:
    """(N,) means of errors (N,C,S,S) over regions (N,1,S,S) in [0,1]."""
    area = region.sum((1, 2, 3)).clamp(min=1) * error.shape[1]
    return (error * region).sum((1, 2, 3)) / area


def next_rows(bank: CropBank) -> Ints:
    """(M,) the row of a bank that shows the next frame of the same clip and person, or -1."""
    found = {
        (int(clip), int(person), int(time)): row
        for row, (clip, person, time) in enumerate(
            zip(bank.clip_indices, bank.person_indices, bank.times, strict=True)
        )
    }
    return np.array(
        [found.get((clip, person, time + 1), -1) for clip, person, time in found], np.int64
    )


def neighbors(part: PersonFaces, count: int) -> PersonFaces:
    """Return at most so many faces, evenly spread, in neighboring pairs where there are any."""
    if len(part.times) <= count:
        return part
    firsts = np.flatnonzero(np.diff(part.times) == 1)
    if not len(firsts) or count < 2:
        return part.spread(count)
    chosen = firsts[np.linspace(0, len(firsts) - 1, count // 2).round().astype(np.int64)]
    rows = np.unique(np.concatenate([chosen, chosen + 1]))
    return PersonFaces(part.clip, part.times[rows], part.landmarks[rows])


def _paired(people: Faces, config: UniFaceGANTraining) -> Faces:
    return {
        name: tuple(neighbors(part, max(1, config.max_faces // len(parts))) for part in parts)
        for name, parts in people.items()
    }


UNIFACEGAN_SYSTEM = System("unifacegan", UniFaceGANTask, told_by_faces, chosen=_paired)
