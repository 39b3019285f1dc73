"""Settings of the trainings of networks that are told of a source by its picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from likeness.errors import ConfigError
from likeness.methods.swap.simswap.any_settings import PairTraining
from likeness.synthesize.fsgan import FSGANConfig
from likeness.synthesize.fsnet import FSNetConfig
from likeness.synthesize.picture_layers import LEAST
from likeness.synthesize.rsgan import RSGANConfig
from likeness.synthesize.unifacegan import UniFaceGANConfig


@dataclass(frozen=True)
class PictureTraining(PairTraining):
    """What all of them have."""

    width: int = 24
    """Channels after the first halving, doubled up to `most`."""
    most: int = 128
    adversarial: float = 0.02
    judge_width: int = 16
    """Channels of a discriminator's first layer; 64 in the papers."""
    learning_rate: float = 7e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.width, self.most, self.judge_width) < 1:
            raise ConfigError(
                f"width {self.width}, most {self.most}, judge_width {self.judge_width}: expected 1 "
                "or more"
            )

    def network(self) -> Any:
        """Return the network's shape."""
        raise NotImplementedError

    def widths(self, share: float = 1.0) -> tuple[int, ...]:
        """Channels after each halving down to 4x4, at a share of the width."""
        halvings = (self.size // LEAST).bit_length() - 1
        return tuple(
            max(1, round(min(self.width * 2**step, self.most) * share)) for step in range(halvings)
        )


@dataclass(frozen=True)
class RSGANTraining(PictureTraining):
    """How RSGAN is trained (Natsume et al. 2018); its weights are not known for sure."""

    face: int = 128
    """Numbers of the face's latent; about 1024 in the paper."""
    hair: int = 128
    """Numbers of the latent of all else."""
    reconstruction: float = 10.0
    """Weight of the absolute difference of whole pictures, mean over the bands of a pyramid."""
    regions: float = 5.0
    """Weight of that of each region's picture."""
    divergence: float = 1e-4
    """Weight of the divergence of both latents from the normal distribution; much more of it, and
    latents are as much noise as they tell."""

    def network(self) -> RSGANConfig:
        """Return the network's shape."""
        return RSGANConfig(self.size, self.widths(), self.face, self.hair)


@dataclass(frozen=True)
class FSNetTraining(PictureTraining):
    """How FSNet is trained (Natsume et al. 2018); its weights are not known for sure."""

    latent: int = 128
    """Numbers of the face's latent."""
    reconstruction: float = 10.0
    """Weight of the absolute difference inside the face, where both show one person."""
    outside: float = 10.0
    """Weight of that outside of the face, for every pair."""
    face: float = 5.0
    """Weight of that of the face part that the latent draws."""
    triplet: float = 1.0
    margin: float = 1.0
    """How much nearer than another person's a person's latents shall be, squared, in units of
    their number."""
    identity: float = 0.1
    """Weight of the recognizer's answer."""

    def network(self) -> FSNetConfig:
        """Return the network's shape."""
        return FSNetConfig(self.size, self.widths(), self.latent)


@dataclass(frozen=True)
class FSGANTraining(PictureTraining):
    """How FSGAN is trained (Nirkin et al. 2019, section 4); all four networks at once.

    The paper trains one after the other, and takes least squares for adversaries at 0.001, and 0.1
    for blending.
    """

    width: int = 32
    most: int = 160
    same: float = 0.75
    """The share that teaches reenactment; blending is taught by all."""
    pixels: float = 1.0
    """Weight of absolute differences; 0.1 in the paper, beside features of two VGG networks."""
    features: float = 0.5
    """Weight of differences of the recognizer's features, which stand for VGG's."""
    segmentation: float = 0.1
    adversarial: float = 0.001
    blending: float = 0.1
    """Weight of the adversary of blended pictures."""

    def network(self) -> FSGANConfig:
        """Return the networks' shapes."""
        return FSGANConfig(self.size, self.widths(), self.widths(0.5))


@dataclass(frozen=True)
class UniFaceGANTraining(PictureTraining):
    """How UniFaceGAN is trained (Cao et al. 2021); its weights are not known for sure."""

    reconstruction: float = 10.0
    """Weight of the absolute difference, where both show one person."""
    outside: float = 10.0
    """Weight of that outside of the face, for every pair."""
    features: float = 0.5
    """Weight of differences of the recognizer's features, where both show one person."""
    identity: float = 0.1
    steady: float = 5.0
    """Weight of the change of places on the face from one frame to the next."""
    neighbors: int = 2
    """How many of a batch are drawn in the next frame, too, where there is one."""
    choice: int = 2
    """How many pairs are drawn for each that is learned from; 1 learns from all alike."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neighbors < 0 or self.choice < 1:
            raise ConfigError(
                f"neighbors is {self.neighbors} and choice is {self.choice}; expected 0 or more, "
                "and 1 or more"
            )

    def network(self) -> UniFaceGANConfig:
        """Return the network's shape."""
        return UniFaceGANConfig(self.size, self.widths())
