"""What trainings share whose networks are told of a source by its picture and its landmarks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.methods.swap.simswap.any_task import AnyTask, SwapSample
from likeness.methods.swap.simswap.judges import TwoScales
from likeness.methods.swap.simswap.learn import Given
from likeness.methods.swap.simswap.people import chips
from likeness.methods.swap.survey.faced import faced
from likeness.methods.swap.survey.picture_settings import PictureTraining
from likeness.nets.identity_dlib import MEAN, DlibIdentity
from likeness.networks import build
from likeness.synthesize.swap_contract import SwapContract
from likeness.training.loop import Losses
from likeness.types import Ints, Weights

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

    def __init__(self, given: Given, generator: nn.Module, config: PictureTraining) -> None:
        people, device = given.people, given.device
        if people.points is None:
            people = faced(people, given.faces, config.size, config.max_faces)
        assert people.points is not None  # noqa: S101 - they were just looked up
        judges = TwoScales(config.judge_width, config.size)
        super().__init__(people, given.recognizer, judges, generator, config, device)
        self.perceptual = perceptual_of(given.told_by, device)
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


def perceptual_of(recognizer: Weights, device: torch.device) -> Perceptual | None:
    """Look through a recognizer, where it is of a kind that can be looked through."""
    if recognizer.network != "identity_dlib":
        return None
    backbone = build(recognizer).to(device)
    return Perceptual(backbone) if isinstance(backbone, DlibIdentity) else None


def told_by_faces(contract: SwapContract, given: Given, config: PictureTraining) -> SwapContract:
    """Say how a network is called that is told of its source by pictures and landmarks."""
    return SwapContract(
        contract.family,
        config.size,
        contract.template,
        source="faces",
        source_size=config.size,
        source_template=contract.template,
        mask=True,
    )


def _other(random: np.random.Generator, rows: Ints, row: int) -> int:
    """Choose another of a person's rows, where there is one."""
    others = rows[rows != row]
    return int(random.choice(others)) if len(others) else int(row)
