"""Training of Korshunova's style transfer: one network for one source.

Paper: Korshunova et al., Fast Face-swap Using Convolutional Neural Networks (ICCV 2017), section 3:
L = L_content + a L_light + b L_style + c L_tv. Content: squared difference of features to the
target's, over their square. Style: every patch of features shall be near one of the source's
pictures about the same place, by cosine, among the `nearest` pictures whose landmarks lie most
alike. Light: what a network that was trained to tell light apart sees. Smoothness: total variation.
Differs: features are the recognizer's (`perceptual`) instead of VGG's, and weights are for them.
They look at the recognizer's crop alone, so that what lies around it is kept by a term of its own.
Light is compared without a network of its own: by the coarse map of the logarithm of luminance,
counted from its mean, as only where it falls from shall stay and not how bright the skin is.
Landmarks are compared with their center and size taken off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from likeness import geometry
from likeness.errors import ConfigError, TrackError
from likeness.methods.swap.simswap.any_settings import PeopleTraining
from likeness.methods.swap.simswap.any_task import AnyTask
from likeness.methods.swap.simswap.judges import Nobody
from likeness.methods.swap.simswap.learn import Given, System
from likeness.methods.swap.simswap.people import PersonFaces
from likeness.methods.swap.survey.perceptual import Features
from likeness.synthesize.korshunova import Korshunova, KorshunovaConfig
from likeness.synthesize.swap_contract import SwapContract
from likeness.training import losses
from likeness.training.bank import CropBank
from likeness.training.loop import Losses
from likeness.types import Floats, Ints

_STYLES = 2
"""Stages whose patches are compared, the shallow ones."""
_CONTENT = 2
"""Index of the stage that holds the content."""
_LIGHT = 8
"""Side of the map of luminance."""


@dataclass(frozen=True)
class KorshunovaTraining(PeopleTraining):
    """How a style transfer is trained; weights are for the recognizer's features, not the paper's.

    The first person that is given is the source; of all others it learns what faces do.
    """

    size: int = 64
    """Side of the crops in pixels: a power of two; 128 and 256 in the paper."""
    branches: int = 4
    width: int = 24
    """Channels of a branch; 32 in the paper."""
    batch: int = 4
    nearest: int = 8
    """Pictures of the source, the nearest by landmarks, that patches are looked for in."""
    reach: int = 1
    """How far from its place a patch is looked for, in cells of the feature map."""
    content: float = 1.0
    style: float = 10.0
    light: float = 1.0
    smooth: float = 0.3
    """Weight of the total variation."""
    outside: float = 10.0
    """Weight of what changes where the features do not look."""
    learning_rate: float = 1e-3
    average: float = 0.99
    max_faces: int = 60
    """Faces of each person that are used at most; the paper has 60 and 256 of its sources."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.nearest, self.width, self.branches) < 1 or not 0 <= self.reach <= 3:
            raise ConfigError(
                f"nearest {self.nearest}, width {self.width}, branches {self.branches}, reach "
                f"{self.reach}: expected 1 or more, and a reach of 0 to 3"
            )

    def network(self) -> KorshunovaConfig:
        """Return the network's shape."""
        return KorshunovaConfig(self.size, self.branches, self.width)


@dataclass(frozen=True, eq=False)
class StyleSample:
    """A batch of targets."""

    target: Tensor
    """(N,3,S,S) RGB in [0,1]."""
    theta: Tensor
    """(N,2,3) where the recognizer looks in them."""
    near: Tensor
    """(N,K) rows of the source's pictures whose landmarks lie most alike."""


class KorshunovaTask(AnyTask):
    """One source's network, on the faces of others."""

    def __init__(
        self, given: Given, config: KorshunovaTraining, marks: Floats, features: Features
    ) -> None:
        """Learn the first person.

        Args:
            given: people and recognizer.
            config: settings.
            marks: (M,P,2) landmarks of all faces.
            features: what pictures look like.
        """
        self.network = Korshunova(config.network())
        people = given.people
        # A batch here is of targets alone, of people the source is not.
        super().__init__(people, given.recognizer, Nobody(), self.network, _Alone(), given.device)
        self.config, self.features = config, features
        self.rows = self._rows[0]
        self.others = np.flatnonzero(people.bank.person_indices > 0)
        self.near = _nearest(marks, self.others, self.rows, config.nearest)
        with torch.no_grad():
            shown, theta = people.bank.crops(self.rows), people.theta[self.rows]
            seen = features(shown.to(given.device), theta, _STYLES)
        self.styles = [functional.normalize(one, dim=1) for one in seen]

    def sample(self, random: np.random.Generator) -> StyleSample:  # type: ignore[override]
        """Draw faces of people who are not the source."""
        chosen = random.integers(0, len(self.others), self.config.batch)
        rows, bank = self.others[chosen], self.people.bank
        near = torch.from_numpy(self.near[chosen])
        return StyleSample(bank.crops(rows), self.people.theta[rows], near)

    def losses(self, sample: StyleSample, progress: float) -> Losses:
        """Evaluate one batch."""
        config, target = self.config, sample.target.to(self.device)
        result = self.network(target)
        drawn = self.features(result, sample.theta, _CONTENT + 1)
        with torch.no_grad():
            kept = self.features(target, sample.theta, _CONTENT + 1)[_CONTENT]
        content = (drawn[_CONTENT] - kept).square().mean() / kept.square().mean()
        styles = [
            unlike(one, known[sample.near.to(known.device)], config.reach)
            for one, known in zip(drawn[:_STYLES], self.styles, strict=True)
        ]
        total = (
            config.content * content
            + config.style * torch.stack(styles).mean()
            + config.light * light_apart(result, target)
            + config.smooth * variation(result)
            + config.outside * losses.l1(result, target, 1 - seen_in(target, sample.theta))
        )
        return Losses(total)


class _Alone:
    """Batches that nobody draws: see `KorshunovaTask.sample`."""

    batch, same = 2, 0.5


def seen_in(pictures: Tensor, theta: Tensor) -> Tensor:
    """(N,1,S,S) 1 where crops at theta (N,2,3) of the pictures lie, 0 around them."""
    n, _, h, w = pictures.shape
    back = torch.linalg.inv(theta[:, :, :2].to(pictures))
    move = torch.cat([back, -back @ theta[:, :, 2:].to(pictures)], 2)
    grid = functional.affine_grid(move, [n, 1, h, w], align_corners=False)
    return (grid.abs().amax(3) <= 1).float()[:, None]


def unlike(seen: Tensor, known: Tensor, reach: int) -> Tensor:
    """Mean over places of the least cosine distance to what is known about the same place.

    Args:
        seen: (N,C,h,w) features.
        known: (N,K,C,h,w) features of length 1 of K pictures.
        reach: how far from a place is looked, in cells.
    """
    own = functional.normalize(seen, dim=1)[:, None]
    padded = functional.pad(known.flatten(0, 1), (reach,) * 4, mode="replicate")
    padded = padded.unflatten(0, known.shape[:2])
    h, w = seen.shape[2:]
    best: Tensor | None = None
    for y in range(2 * reach + 1):
        for x in range(2 * reach + 1):
            close = (own * padded[..., y : y + h, x : x + w]).sum(2).amax(1)
            best = close if best is None else torch.maximum(best, close)
    assert best is not None  # noqa: S101 - a reach of 0 is one place
    return (1 - best).mean()


def light_apart(result: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of where light falls from: of log luminance, its mean taken off."""
    maps = []
    for one in (result, target):
        weights = one.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
        luminance = (one.clamp(0, 1) * weights).sum(1, keepdim=True)
        log = functional.adaptive_avg_pool2d(luminance, _LIGHT).add(0.05).log()
        maps.append(log - log.mean((2, 3), keepdim=True))
    return (maps[0] - maps[1]).square().mean()


def variation(result: Tensor) -> Tensor:
    """Mean squared difference of neighbors, along both axes."""
    across = (result[..., 1:] - result[..., :-1]).square().mean()
    along = (result[..., 1:, :] - result[..., :-1, :]).square().mean()
    return across + along


def _nearest(marks: Floats, rows: Ints, known: Ints, count: int) -> Ints:
    """(R,K) places in `known` of the faces whose landmarks lie most like each row's."""
    points = marks - marks.mean(1, keepdims=True)
    points = points / np.linalg.norm(points, axis=(1, 2), keepdims=True).clip(1e-6)
    flat = points.reshape(len(points), -1)
    apart = np.linalg.norm(flat[rows][:, None] - flat[known][None], axis=2)
    return np.argsort(apart, 1, kind="stable")[:, :count].astype(np.int64)


def marks_of(bank: CropBank, faces: Mapping[str, Sequence[PersonFaces]]) -> Floats:
    """(M,P,2) landmarks of a bank's rows in its crops, from the faces that it was cut from."""
    found = {
        (one.clip.digest, int(time)): points[:, :2]
        for theirs in faces.values()
        for one in theirs
        for time, points in zip(one.times, one.landmarks, strict=True)
    }
    keys = zip(bank.clip_indices, bank.times, strict=True)
    seen = [found[bank.clips[clip].digest, int(time)] for clip, time in keys]
    return geometry.apply(bank.crop.crop_from_frame, np.stack(seen).astype(np.float32))


def _make(given: Given, config: KorshunovaTraining) -> KorshunovaTask:
    if len(given.people.bank.people) < 2:
        raise TrackError("one person was given, expected the source first and others after it")
    points = given.people.points
    known = None if points is None else np.asarray(points[..., :2] * config.size, np.float32)
    marks = marks_of(given.people.bank, given.faces) if known is None else known
    return KorshunovaTask(given, config, marks, Features.of(given.told_by, given.device))


def _told(contract: SwapContract, given: Given, config: KorshunovaTraining) -> SwapContract:
    return replace(contract, source="none", center=(), spread=1.0)


KORSHUNOVA = System("korshunova", _make, _told)
