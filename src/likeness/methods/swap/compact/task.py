"""What a step of the compact network's training is.

Every pair has its answer, so that the loss is a plain distance:
L = |R - W| + edges |dR - dW| + cover BCE(alpha, faces) + identity (1 - cos(code(R), source's code))
    + cycle |net(R, target's code) - T| + feature wFM(R, W) + adversarial hinge,
R the result laid over the target T, W the answer. Differences count five times where a face is.
Weak feature matching as in SimSwap (Chen et al. 2020, section 3.3), against the answer, which is
known here, instead of the target.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.methods.swap.compact.pairs import Pairs, moved_alike
from likeness.methods.swap.compact.settings import CompactTraining
from likeness.methods.swap.simswap.judges import Judges, TwoScales
from likeness.methods.swap.simswap.people import chips
from likeness.recognize.source import Describer
from likeness.synthesize.compact import Compact, laid
from likeness.training import losses
from likeness.training.loop import Losses
from likeness.types import Floats, Ints

_WEIGHT = 4.0
"""What differences on a face count more than those around it."""
_MATCHED = 2
"""Last layers of each discriminator that are matched."""


@dataclass(frozen=True, eq=False)
class PairSample:
    """A batch of N targets, sources and answers."""

    target: Tensor
    """(N,3,S,S) RGB in [0,1]."""
    wanted: Tensor
    """(N,3,S,S) RGB in [0,1]."""
    cover: Tensor
    """(N,1,S,S) in [0,1]."""
    theta: Tensor
    """(N,2,3) where the recognizer looks in the answer."""
    code: Tensor
    """(N,D) of the sources, as the recognizer gives them."""
    own: Tensor
    """(N,D) of the targets' own faces."""


class CompactTask:
    """The compact network on pairs with answers."""

    def __init__(
        self, pairs: Pairs, recognizer: Describer, config: CompactTraining, device: torch.device
    ) -> None:
        self.pairs, self.recognizer, self.config, self.device = pairs, recognizer, config, device
        network = Compact(config.network(pairs.codes.shape[1]))
        network.count_from(pairs.center, pairs.spread)
        self.generator: nn.Module = network.to(device)
        self.center = pairs.center.to(device)
        wanted = config.feature > 0 or config.adversarial > 0
        judges = TwoScales(config.judge_width, config.size).to(device) if wanted else None
        self.judges: Judges | None = judges
        self._sources = pairs.sources()

    @property
    def discriminator(self) -> nn.Module | None:
        """What judges it, if anything does."""
        return self.judges

    def sample(self, random: np.random.Generator) -> PairSample:
        """Draw pairs evenly, and a picture of whose face is wanted; move and light them alike."""
        count, faces = self.config.batch, self.pairs.faces
        chosen = random.integers(0, len(self.pairs.shown), count)
        shown, wanted = self.pairs.shown[chosen], self.pairs.wanted[chosen]
        same = random.random(count) < self.config.same
        shown = np.where(same, wanted, shown)
        both = np.concatenate([faces.pictures[shown], faces.pictures[wanted]], 1)
        stack = np.concatenate([both, faces.cover[wanted]], 1)
        pictures = torch.from_numpy(stack).float() / 255
        pictures, theta = moved_alike(pictures, faces.theta[wanted], _moves(random, count))
        target, answer, cover = pictures[:, :3], pictures[:, 3:6], pictures[:, 6:]
        gain = torch.from_numpy(random.uniform(0.8, 1.2, (count, 3, 1, 1))).float()
        gamma = torch.from_numpy(random.uniform(0.75, 1.35, (count, 1, 1, 1))).float()
        lit = [(one.clamp(1e-4, 1) ** gamma * gain).clamp(0, 1) for one in (target, answer)]
        noise = random.standard_normal(lit[0].shape, np.float32)
        noise *= random.uniform(0, 0.02, (count, 1, 1, 1)).astype(np.float32)
        target = (lit[0] + torch.from_numpy(noise)).clamp(0, 1)
        code, own = (
            self.pairs.codes[self._photos(random, faces.people[rows])] for rows in (wanted, shown)
        )
        return PairSample(target, lit[1], cover, theta, code, own)

    def losses(self, sample: PairSample, progress: float) -> Losses:
        """Evaluate one batch."""
        config, device = self.config, self.device
        target, wanted = sample.target.to(device), sample.wanted.to(device)
        cover, code = sample.cover.to(device), sample.code.to(device)
        answer = self._drawn(target, code)
        result = laid(answer, target)
        weight = 1 + _WEIGHT * cover
        total = losses.l1(result, wanted, weight)
        total = total + config.edges * losses.gradient(result, wanted, weight)
        alpha = answer[:, 3:].clamp(1e-4, 1 - 1e-4)
        total = total + config.cover * functional.binary_cross_entropy(alpha, cover)
        identity = config.identity * max(0.0, 2 * progress - 1)
        if identity > 0:
            total = total + identity * self._apart(result, sample, code)
        if config.cycle > 0:
            back = laid(self._drawn(result, sample.own.to(device)), result)
            total = total + config.cycle * losses.l1(back, target)
        if self.judges is None:
            return Losses(total)
        total = total + self._verdict(self.judges, result, wanted)
        judges, made = self.judges, result.detach()
        return Losses(total, lambda: _judged(judges, wanted, made))

    def _drawn(self, target: Tensor, code: Tensor) -> Tensor:
        with self._narrow():
            answer: Tensor = self.generator(target, code)
        return answer

    def _apart(self, result: Tensor, sample: PairSample, code: Tensor) -> Tensor:
        """Mean of 1 - cosine of some results' codes and the sources', from everybody's center."""
        count = min(self.config.judged, len(result))
        theta = sample.theta[:count].to(self.device)
        with self._narrow():
            told = self.recognizer.describe(chips(result[:count], theta, self.pairs.side))
        close = functional.cosine_similarity(
            told.float() - self.center, code[:count] - self.center, dim=1
        )
        return (1 - close).mean()

    def _verdict(self, judges: Judges, result: Tensor, wanted: Tensor) -> Tensor:
        config = self.config
        with torch.no_grad():
            real = judges.matched(wanted, _MATCHED)
        fake = judges.matched(result, _MATCHED)
        matched = torch.stack([losses.l1(f, r) for f, r in zip(fake, real, strict=True)]).sum()
        seen = judges.features(result)
        fooled = torch.stack([losses.generator_hinge(one[-1]) for one in seen]).mean()
        return config.feature * matched + config.adversarial * fooled

    def _narrow(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.narrow)

    def _photos(self, random: np.random.Generator, people: Ints) -> Ints:
        """Choose a real picture of each person."""
        return np.array([random.choice(self._sources[int(person)]) for person in people])


def _judged(judges: Judges, real: Tensor, fake: Tensor) -> Tensor:
    pairs = zip(judges.features(real), judges.features(fake), strict=True)
    return torch.stack([losses.discriminator_hinge(r[-1], f[-1]) for r, f in pairs]).mean()


def _moves(random: np.random.Generator, count: int) -> Floats:
    """(N,2,3) small turns, shifts and scales, half of them mirrored: trackers are not exact."""
    turn = random.normal(0, 0.05, count)
    scale = np.exp(random.normal(0, 0.04, count))
    mirror = np.where(random.random(count) < 0.5, -1.0, 1.0)
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    matrices = np.empty((count, 2, 3), np.float32)
    matrices[:, 0, 0], matrices[:, 0, 1] = cos * mirror, -sin
    matrices[:, 1, 0], matrices[:, 1, 1] = sin * mirror, cos
    matrices[:, :, 2] = random.normal(0, 0.03, (count, 2))
    return matrices
