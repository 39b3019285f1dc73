"""Training of MegaFS on a generator that was trained before.

Paper: Zhu et al., One Shot Face Swapping on Megapixels (CVPR 2021), section 3: first the encoder
learns to invert, then the face transfer module to swap, the encoder and the generator standing
still. Losses of the second: reconstruction where source and target are one person, identity,
landmarks, and the distance of the transferred codes.
Differs: the encoder may come from the generator's own training, and inverts for `inversion` of the
budget once more; losses of both are mean absolute differences over the bands of a pyramid instead
of squares and LPIPS; reconstruction counts wherever the answer is known (`answers`). The paper's
weights are not known, and its landmark network is not at hand: in its place, what an eighth of the
size shows of the target shall stay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from likeness.errors import BundleError, ConfigError
from likeness.methods.swap.simswap.answers import AnsweredSample, AnsweredTask, counting
from likeness.methods.swap.simswap.any_settings import PairTraining
from likeness.methods.swap.simswap.judges import Nobody
from likeness.methods.swap.simswap.learn import Given, System
from likeness.nets.inversion import Inversion
from likeness.networks import build
from likeness.synthesize.megafs import MegaFS, MegaFSConfig
from likeness.synthesize.stylegan import Stylegan
from likeness.synthesize.swap_contract import SwapContract
from likeness.training.gan import band_error
from likeness.training.loop import Losses

_LAID = "ffhq_512"
"""How the pictures of `likeness train gan` lie."""
_COARSE = 8
_KEPT = 4 / 18
"""Share of the codes, the first, that stay the target's: the paper's."""
_WHERE = "a bundle of likeness train gan, of arch stylegan2"


@dataclass(frozen=True)
class MegaFSTraining(PairTraining):
    """How MegaFS is trained, on a generator of `likeness train gan`."""

    size: int = 64
    """Side of the crops in pixels: that of the generator's pictures."""
    cells: int = 3
    """Transfer cells, one after another."""
    inversion: float = 0.4
    """Share of the budget in which the encoder learns to invert, before anything is swapped."""
    same: float = 0.3
    reconstruction: float = 6.0
    identity: float = 1.0
    coarse: float = 2.0
    """Weight of what an eighth of the size shows of the target, where no answer is known."""
    codes: float = 0.01
    """Weight of the squared distance of the transferred codes from the target's."""
    changed: float = 0.0
    """How much more than others pixels count that a known swap changes (`answers.counting`)."""
    judged: int = 4
    """Faces of a batch, the last, of which the recognizer is asked."""
    learning_rate: float = 1e-3
    average: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.inversion < 1 or min(self.cells, self.judged) < 1:
            raise ConfigError(
                f"inversion is {self.inversion}, cells {self.cells}, judged {self.judged}; "
                "expected a share below 1, and 1 or more"
            )


class MegaFSTask(AnsweredTask):
    """MegaFS on many people."""

    def __init__(self, given: Given, config: MegaFSTraining, network: MegaFS) -> None:
        self.network, self.config = network, config
        super().__init__(
            given.people, given.recognizer, Nobody(), self.network, config, given.device
        )

    def losses(self, sample: AnsweredSample, progress: float) -> Losses:
        """Evaluate one batch: invert at first, then swap."""
        config, device, network = self.config, self.device, self.network
        target, answer = sample.target.to(device), sample.answer.to(device)
        if progress < config.inversion:
            codes, begin = network.encode(target)
            same = network.draw(codes, begin)
            apart = (codes - codes.mean(1, keepdim=True)).square().mean()
            return Losses(config.reconstruction * band_error(same - target) + config.codes * apart)
        with torch.no_grad():
            codes, begin = network.encode(target)
            found, _ = network.encode(sample.source.to(device))
        moved = network.transfer(found, codes)
        result = network.draw(moved, begin)
        known, asked = sample.known, slice(-config.judged, None)
        wanted, theta = sample.code.to(device), sample.theta.to(device)
        weight = counting(target, answer, config.changed)[:known]
        total = (
            config.reconstruction * band_error(weight * (result[:known] - answer[:known]))
            + config.identity * self.identity(result[asked], theta[asked], wanted[asked])
            + config.codes * (moved - codes).square().mean()
        )
        if known < len(target):
            total = total + config.coarse * _coarse(result[known:], target[known:])
        return Losses(total)


def _coarse(result: Tensor, target: Tensor) -> Tensor:
    difference = functional.adaptive_avg_pool2d(result - target, result.shape[-1] // _COARSE)
    return difference.abs().mean()


def network_of(given: Given, config: MegaFSTraining) -> MegaFS:
    """Build the network around a generator that was trained before.

    Raises:
        BundleError: there is none, or it has no encoder.
        ConfigError: its pictures have another size.
    """
    faces = build(given.part("generator", _WHERE))
    encoder = build(given.part("encoder", _WHERE))
    if not isinstance(faces, Stylegan) or not isinstance(encoder, Inversion):
        raise BundleError(
            f"the training starts from {type(faces).__name__} and {type(encoder).__name__}, "
            f"expected StyleGAN2 and its encoder: {_WHERE}"
        )
    if faces.config.size != config.size:
        raise ConfigError(
            f"size is {config.size} and the generator's {faces.config.size}; expected one size"
        )
    kept = round(_KEPT * faces.config.layers)
    network = MegaFS(MegaFSConfig(faces.config, encoder.config, kept, config.cells))
    network.faces.load_state_dict(faces.state_dict())
    network.encoder.load_state_dict(encoder.state_dict())
    return network


def _make(given: Given, config: MegaFSTraining) -> MegaFSTask:
    return MegaFSTask(given, config, network_of(given, config))


def _told(contract: SwapContract, given: Given, config: MegaFSTraining) -> SwapContract:
    """It is told of the source by a picture that lies as the target's."""
    plain = replace(contract, center=(), spread=1.0, source="picture")
    return replace(plain, source_size=config.size, source_template=contract.template)


MEGAFS = System("megafs", _make, _told, _LAID, _WHERE)
