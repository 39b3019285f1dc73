"""Training of HEAR-Net, FaceShifter's second stage, on a first one that was trained before.

Paper: Li et al., FaceShifter (arXiv 1912.13457), section 3.2, equations 10 to 13:
L = L_id + L_chg + L_rec, L_id = 1 - cos(code of the result, code of the source), L_chg = |first
stage's swap - result|, L_rec = 1/2 |result - target|^2 where both are one person's. The first
stage stands still. Something is laid over the faces of half of all targets, as hands and things
are that the first stage cannot draw.
Differs: L_rec counts wherever the answer is known (`answers`), squares and absolute values are
means, what is laid over faces is drawn (`cover`) instead of cut out of other data sets. There is no
adversary, as in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from likeness import config as settings
from likeness.errors import BundleError, ConfigError
from likeness.methods.swap.simswap.answers import AnsweredSample, AnsweredTask, counting
from likeness.methods.swap.simswap.any_settings import PairTraining
from likeness.methods.swap.simswap.judges import Nobody
from likeness.methods.swap.simswap.learn import Given, System
from likeness.methods.swap.survey.cover import cover
from likeness.networks import build
from likeness.synthesize.faceshifter import AEIConfig, AEINet
from likeness.synthesize.hear import Hear, HearConfig
from likeness.synthesize.swap_contract import SwapContract
from likeness.training import losses
from likeness.training.loop import Losses

_FIRST = "a bundle of likeness train swap --arch faceshifter"


@dataclass(frozen=True)
class HearTraining(PairTraining):
    """How HEAR-Net is trained (Li et al. 2019, section 3.2); weights are the paper's.

    The size of the pictures is the first stage's.
    """

    minutes: float | None = 30.0
    size: int = 64
    """Side of the crops in pixels: that of the first stage."""
    width: int = 24
    """Channels after the first halving, doubled up to `most`; 64 in the paper."""
    most: int = 128
    """Channels of the coarsest maps; 512 in the paper."""
    halvings: int = 4
    """5 in the paper, at 256 pixels."""
    same: float = 0.5
    """Share of each batch in which source and target are one person, as in the paper."""
    covered: float = 0.5
    """Share of the targets over whose face something is laid."""
    identity: float = 1.0
    change: float = 1.0
    """Weight of the difference to the first stage's swap."""
    reconstruction: float = 1.0
    changed: float = 0.0
    """How much more than others pixels count that a known swap changes (`answers.counting`)."""
    judged: int = 4
    """Faces of a batch of which the recognizer is asked: it costs more than the network."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.width, self.most, self.judged) < 1 or self.halvings < 2:
            raise ConfigError(
                f"width {self.width}, most {self.most}, judged {self.judged}, halvings "
                f"{self.halvings}: expected 1 or more, and two halvings or more"
            )

    def network(self, first: AEIConfig) -> HearConfig:
        """Return the network's shape on a first stage."""
        widths = (min(self.width * 2**step, self.most) for step in range(self.halvings))
        return HearConfig(first, tuple(widths))


class HearTask(AnsweredTask):
    """HEAR-Net on many people."""

    def __init__(self, given: Given, config: HearTraining, first: AEINet) -> None:
        self.network = Hear(config.network(first.config))
        self.network.first.load_state_dict(first.state_dict())
        self.network.first.requires_grad_(False)
        super().__init__(
            given.people, given.recognizer, Nobody(), self.network, config, given.device
        )
        self.config = config
        told = counted_by(given)
        if told is not None:
            self.center = torch.tensor(told.center, device=given.device)
            self.scale = 1 / told.spread

    def sample(self, random: np.random.Generator) -> AnsweredSample:
        """Draw people and their faces, and lay something over some."""
        drawn = super().sample(random)
        covered = random.random(len(drawn.target)) < self.config.covered
        target, answer = cover(random, (drawn.target, drawn.answer), covered)
        return replace(drawn, target=target, answer=answer)

    def losses(self, sample: AnsweredSample, progress: float) -> Losses:
        """Evaluate one batch."""
        config, device = self.config, self.device
        target, answer = sample.target.to(device), sample.answer.to(device)
        wanted, own = sample.code.to(device), sample.own.to(device)
        with torch.no_grad():
            swapped, error = self.network.begun(target, torch.cat([wanted, own], 1))
        result = self.network.refine(swapped, error)
        known, asked = sample.known, slice(-config.judged, None)
        weight = counting(target, answer, config.changed)[:known]
        again = (weight * (result[:known] - answer[:known]).square()).mean() / 2
        total = (
            config.change * losses.l1(result, swapped)
            + config.reconstruction * again
            + config.identity
            * self.identity(result[asked], sample.theta.to(device)[asked], wanted[asked])
        )
        return Losses(total)


def _make(given: Given, config: HearTraining) -> HearTask:
    first = given.part("generator", _FIRST)
    network: nn.Module = build(first)
    if isinstance(network, Hear):
        network = network.first
    if not isinstance(network, AEINet):
        raise BundleError(
            f"the training starts from {first.network!r}, expected faceshifter: give a bundle of "
            "likeness train swap --arch faceshifter with --start"
        )
    if network.config.size != config.size:
        raise ConfigError(
            f"size is {config.size} and the first stage's {network.config.size}; expected one size"
        )
    if network.config.code != given.people.codes.shape[1]:
        raise BundleError(
            f"the first stage takes codes of {network.config.code} numbers and the recognizer "
            f"answers {given.people.codes.shape[1]}; give the recognizer it was trained with"
        )
    return HearTask(given, config, network)


def _told(contract: SwapContract, given: Given, config: HearTraining) -> SwapContract:
    """Codes are counted as the first stage was told them."""
    first = counted_by(given) or contract
    return replace(contract, center=first.center, spread=first.spread, own=True)


def counted_by(given: Given) -> SwapContract | None:
    """Read how the first stage's codes are counted, where its bundle tells."""
    told = None if given.start is None else given.start.input.get("contract")
    return None if told is None else settings.resolve(SwapContract, told)


HEAR = System("hear", _make, _told, builds_on=_FIRST)
