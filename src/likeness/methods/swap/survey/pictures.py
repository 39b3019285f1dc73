"""What trainings share whose networks are told of a source by its picture and its landmarks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.methods.swap.simswap.any_task import AnyTask, SwapSample
from likeness.methods.swap.simswap.judges import Judges, TwoScales
from likeness.methods.swap.simswap.people import TEMPLATE, PersonFaces, chips, collect
from likeness.methods.swap.simswap.train import recognizer_of, run_loop
from likeness.methods.swap.survey.faced import FacedPeople, faced
from likeness.methods.swap.survey.picture_settings import PictureTraining
from likeness.nets.identity_dlib import MEAN, DlibIdentity
from likeness.networks import build, runner
from likeness.recognize.source import Describer
from likeness.synthesize.swap_contract import SwapContract
from likeness.training.footage import Budget, Learned, weights_of
from likeness.training.loop import Losses
from likeness.types import Bundle, Ints

_SHEET = 5
"""People of the sample sheet."""
_STAGES = 3
"""Depths of the recognizer whose features are compared."""


@dataclass(frozen=True, eq=False)
class PictureSample(SwapSample):
    """A batch of targets, sources, and further pictures of the sources."""

    points: Tensor
    """(N,478,3) landmarks of the targets, in sides of the crop."""
    source: Tensor
    """(N,3,S,S) RGB in [0,1]."""
    source_points: Tensor
    twin: Tensor
    """(N,3,S,S) another picture of each source, where there is one."""
    twin_points: Tensor
    targets: Ints
    """(N,) rows of the targets."""
    sources: Ints
    """(N,) rows of the sources."""
    noise: Tensor
    """(N,D) of a normal distribution, for what is drawn by chance."""


class Perceptual:
    """Differences of what a fixed network sees: the recognizer's first stages, at any size.

    They stand for VGG's features: a recognizer is at hand on every machine.
    """

    def __init__(self, backbone: DlibIdentity) -> None:
        self.backbone = backbone

    def apart(self, result: Tensor, wanted: Tensor) -> Tensor:
        """Return the mean over stages of mean absolute differences, in units of their size."""
        with torch.no_grad():
            real = self._seen(wanted)
        pairs = zip(self._seen(result), real, strict=True)
        parts = [(a - b).abs().mean() / b.abs().mean().clamp(min=1e-6) for a, b in pairs]
        return torch.stack(parts).mean()

    def _seen(self, rgb: Tensor) -> list[Tensor]:
        mean = rgb.new_tensor(MEAN).view(3, 1, 1)
        x = self.backbone.stem((rgb * 255 - mean) / 256)
        x = functional.max_pool2d(functional.relu(x), 3, 2)
        seen = []
        for stage in list(self.backbone.stages)[:_STAGES]:
            if x.shape[-1] < 3:
                break
            x = stage(x)
            seen.append(x)
        return seen


class PictureTask(AnyTask):
    """A network that is told of a source by its picture, learned from many people.

    Its batch holds `config.batch` pairs, the first of them of one person.
    """

    numbers = 1
    """Columns of a sample's noise."""

    def __init__(
        self,
        people: FacedPeople,
        recognizer: Describer,
        judges: Judges,
        generator: nn.Module,
        config: PictureTraining,
        perceptual: Perceptual | None,
        device: torch.device,
    ) -> None:
        super().__init__(people, recognizer, judges, generator, config, device)
        self.perceptual = perceptual
        self.points = people.points

    def sample(self, random: np.random.Generator) -> PictureSample:
        """Draw people evenly, and their faces."""
        count = self._batches.batch
        same = min(max(round(self._batches.same * count), 1), count - 1)
        targets, sources = self._pairs(random, count, same)
        return self.pictured(random, targets, sources, same)

    def pictured(
        self, random: np.random.Generator, targets: Ints, sources: Ints, same: int
    ) -> PictureSample:
        """Look pairs up, and find another picture of each source."""
        bank, points = self.people.bank, self.points
        owners = bank.person_indices[sources]
        twins = np.array(
            [_other(random, self._rows[p], s) for p, s in zip(owners, sources, strict=True)]
        )
        noise = random.standard_normal((len(targets), self.numbers), np.float32)
        return PictureSample(
            bank.crops(targets),
            self.people.theta[targets],
            (self.people.codes[sources] - self.center.cpu()) * self.scale,
            same,
            points[targets],
            bank.crops(sources),
            points[sources],
            bank.crops(twins),
            points[twins],
            targets,
            sources,
            torch.from_numpy(noise),
        )

    def placed(self, sample: PictureSample) -> PictureSample:
        """Move a sample to the device."""
        tensors: dict[str, Any] = {
            name: value.to(self.device)
            for name, value in vars(sample).items()
            if isinstance(value, Tensor)
        }
        return replace(sample, **tensors)

    def likenesses(self, result: Tensor, theta: Tensor, wanted: Tensor) -> Tensor:
        """(N,) 1 - cosine of the codes of results (N,3,S,S) and those of the sources (N,D)."""
        told = self.recognizer.describe(chips(result, theta, self.people.side)) - self.center
        return 1 - functional.cosine_similarity(told, wanted, dim=1)

    def features(self, result: Tensor, wanted: Tensor) -> Tensor:
        """Differences of features; 0 where the recognizer has none to show."""
        if self.perceptual is None or not len(result):
            return result.new_zeros(())
        return self.perceptual.apart(result, wanted)

    def losses(self, sample: Any, progress: float) -> Losses:
        """Evaluate one batch: what sets one system apart from the others."""
        raise NotImplementedError


def within(error: Tensor, region: Tensor) -> Tensor:
    """Mean of errors (N,C,S,S) over a region (N,1,S,S) in [0,1]; 0 where there is none."""
    weight = region.expand_as(error)
    return (error * weight).sum() / weight.sum().clamp(min=1)


Making = Callable[
    [FacedPeople, Describer, Judges, Any, Perceptual | None, torch.device], PictureTask
]
"""A task of people, recognizer, discriminators, its settings, features, and a device."""


def learn_pictures(
    family: str,
    make: Making,
    people: Mapping[str, Sequence[PersonFaces]],
    recognizer: Bundle,
    config: PictureTraining,
    budget: Budget,
) -> tuple[Learned, SwapContract, Tensor]:
    """Train a network that is told of its source by a picture; see `learn_simswap`.

    Args:
        family: its name.
        make: makes the task.
        people: faces by person.
        recognizer: who judges identity in training; it is not needed afterward.
        config: settings.
        budget: time, and where the training's state lies.

    Raises:
        TrackError: fewer than two people.
        BundleError: the recognizer has no gradients, or the resume state is of another training.
    """
    torch.manual_seed(config.seed)
    _, describer, kept = recognizer_of(recognizer, budget.device)
    path = budget.folder / f"{budget.digest[:16]}.crops"
    found = collect(people, describer, config.size, config.max_faces, path, budget.progress)
    there = faced(found, people, config.size, config.max_faces)
    backbone = build(kept).to(budget.device)
    seen = Perceptual(backbone) if isinstance(backbone, DlibIdentity) else None
    judges = TwoScales(config.judge_width, config.size)
    task = make(there, describer, judges, config, seen, budget.device)
    outcome = run_loop(task, config, budget)
    made = weights_of(family, config.network(), outcome.weights)
    bank = found.bank
    record = {
        "steps": outcome.steps,
        "seconds": round(outcome.seconds, 1),
        "losses": list(outcome.losses),
        "faces_by_person": {
            name: int((bank.person_indices == index).sum())
            for index, name in enumerate(bank.people)
        },
    }
    size = config.size
    contract = SwapContract(
        family,
        size,
        TEMPLATE,
        source="faces",
        source_size=size,
        source_template=TEMPLATE,
        mask=True,
    )
    drawn = picture_sheet(build(made), there, budget.device)
    return Learned({"generator": made}, record), contract, drawn


def picture_sheet(network: nn.Module, people: FacedPeople, device: torch.device) -> Tensor:
    """Draw who becomes whom: sources in the first row, targets in the first column."""
    run, bank = runner(network, device), people.bank
    rows = [np.flatnonzero(bank.person_indices == p) for p in range(len(bank.people))]
    chosen = np.array([one[len(one) // 2] for one in rows[:_SHEET]])
    pictures, marks = bank.crops(chosen), people.points[chosen]
    columns = []
    for number in range(len(chosen)):
        one = slice(number, number + 1)
        answer = run(pictures, marks, pictures[one], marks[one])
        laid = torch.lerp(pictures, answer[:, :3], answer[:, 3:])
        columns.append(torch.cat([pictures[number], *laid], 1))
    first = torch.cat([torch.ones_like(pictures[0]), *pictures], 1)
    return torch.cat([first, *columns], 2)


def _other(random: np.random.Generator, rows: Ints, row: int) -> int:
    """Choose another of a person's rows, where there is one."""
    others = rows[rows != row]
    return int(random.choice(others)) if len(others) else int(row)
