"""Settings of the trainings of FaceShifter and IPGAN."""

from __future__ import annotations

from dataclasses import dataclass

from likeness.errors import ConfigError
from likeness.methods.swap.simswap.any_settings import PairTraining
from likeness.synthesize.faceshifter import AEIConfig
from likeness.synthesize.ipgan import IPGANConfig


@dataclass(frozen=True)
class FaceShifterTraining(PairTraining):
    """How AEI-Net is trained (Li et al. 2019, section 3.1); weights are the paper's.

    It trains 500 000 steps of sixteen at 256 pixels; the defaults here are a network that learns
    something in an hour on a CPU.
    """

    size: int = 64
    """Side of the crops in pixels: a power of two; 256 in the paper."""
    width: int = 24
    """Channels after the first halving, doubled up to `most`; 32 in the paper."""
    most: int = 160
    """Channels of the coarsest maps; 1024 in the paper."""
    same: float = 0.5
    """Share of each batch in which source and target are one person. The paper has one *picture*
    in 80 % of its samples; where people have few pictures, more swaps are needed."""
    adversarial: float = 1.0
    attributes: float = 10.0
    """Weight of the difference of attribute maps."""
    identity: float = 5.0
    changed: float = 0.0
    """How much more than others pixels count that a known swap changes (`answers.counting`)."""
    judged: int = 256
    """Faces of a batch, the last, of which the recognizer is asked."""
    reconstruction: float = 10.0
    judge_width: int = 32
    """Channels of a discriminator's first layer; 64 in the paper."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.width, self.most) < 1:
            raise ConfigError(f"width {self.width} and most {self.most}: expected 1 or more")

    def network(self, code: int) -> AEIConfig:
        """Return the network's shape for codes of so many numbers."""
        halvings = self.size.bit_length() - 2
        encoder = tuple(min(self.width * 2**step, self.most) for step in range(halvings))
        return AEIConfig(encoder, (self.most, *reversed(encoder)), code)


@dataclass(frozen=True)
class IPGANTraining(PairTraining):
    """How IPGAN is trained (Bao et al. 2018, section 3 and algorithm 1).

    The paper's weights of its losses are not known for sure; those here keep them of one size.
    """

    size: int = 64
    """Side of the crops in pixels, 8 to 256, a power of two; 128 in the paper."""
    width: int = 32
    """Channels after the first halving, doubled up to 256."""
    numbers: int = 128
    """Numbers of the attribute vector f_A."""
    reconstruction: float = 10.0
    """Weight of the mean square difference to the target, where it is the source's person."""
    asymmetric: float = 0.1
    """Share of that weight where it is another's: the paper's."""
    divergence: float = 1e-3
    """Weight of the divergence of f_A from the normal distribution."""
    identity: float = 1.0
    """Weight of the recognizer's answer, which stands for the matched features of C."""
    feature: float = 1.0
    """Weight of the matched features of the discriminators."""
    adversarial: float = 0.05
    judge_width: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.width, self.numbers) < 1:
            raise ConfigError(f"width {self.width} and numbers {self.numbers}: expected 1 or more")

    def network(self, code: int) -> IPGANConfig:
        """Return the network's shape for codes of so many numbers."""
        halvings = self.size.bit_length() - 3
        widths = tuple(min(self.width * 2**step, 256) for step in range(halvings))
        return IPGANConfig(self.size, widths, self.numbers, code)
