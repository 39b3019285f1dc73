"""Settings of SimSwap's training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from likeness.errors import ConfigError
from likeness.methods.swap.simswap.any_settings import PairTraining
from likeness.synthesize.simswap import SimSwapConfig


@dataclass(frozen=True)
class SimSwapTraining(PairTraining):
    """How SimSwap is trained (Chen et al. 2020, section 3, and the authors' later script).

    Weights are the paper's. It trains 500 epochs of VGGFace2 at 224 pixels; the defaults here are
    a network that learns something in an hour on a CPU.
    """

    size: int = 96
    """Side of the crops in pixels; 224 in the paper."""
    widths: tuple[int, ...] = (24, 48, 96, 160)
    """Channels at full size and after each halving; 64, 128, 256, 512 in the paper."""
    blocks: int = 6
    """Identity injection modules; 9 in the paper."""
    same: float = 0.5
    """Share of each batch in which source and target are one person; the paper alternates whole
    batches, which a small batch's norms do not bear."""
    identity: float = 10.0
    """Weight of the identity loss; 30 in the later script."""
    fall: tuple[tuple[float, float], ...] = ((0.44, 0.17), (0.75, 0.083))
    """Phases: from which share of the training on which part of that weight counts; empty in the
    paper. The recognizer soon says yes, and what it asks beyond that closes mouths and turns heads;
    later phases give them back. A short training swaps nothing if it begins with the last. Each
    phase is learned to its end: the learning rate begins anew with the next (`restart`)."""
    judged: int = 256
    """Faces of a batch, the last, of which the recognizer is asked."""
    feature: float = 10.0
    """Weight of weak feature matching."""
    matched: int = 3
    """Last layers of each discriminator that are matched; the paper does not say how many."""
    reconstruction: float = 10.0
    """Weight of L1 where source and target are one person, or where the answer is known."""
    changed: float = 0.0
    """How much more than others pixels count that a known swap changes (`answers.counting`)."""
    adversarial: float = 1.0
    penalty: float = 1e-5
    """Weight of the gradient penalty; 0 leaves it out, as the later script does."""
    judge: Literal["paper", "projected"] = "paper"
    """Discriminators: two patch discriminators at two scales, or small ones on fixed features."""
    judge_width: int = 32
    """Channels of a discriminator's first layer; 64 in the paper."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.matched <= 4 or self.judged < 1:
            raise ConfigError(
                f"matched is {self.matched} and judged is {self.judged}; expected 1 to 4, and 1 or "
                "more"
            )

        shares = [share for share, _ in self.fall]
        if shares != sorted(shares) or any(not 0 < s < 1 or part < 0 for s, part in self.fall):
            raise ConfigError(
                f"fall is {self.fall}; expected pairs of a share between 0 and 1, growing, and a "
                "factor of 0 or more"
            )

    def _prove_size(self) -> None:
        rate = 2 ** (len(self.widths) - 1)
        if self.size % rate or not 32 <= self.size <= 1024:
            raise ConfigError(f"size is {self.size}, expected a multiple of {rate} from 32 to 1024")

    @property
    def phases(self) -> tuple[float, ...]:
        """Shares at which the identity loss falls."""
        return tuple(share for share, _ in self.fall)

    def identity_at(self, progress: float) -> float:
        """Return the weight of the identity loss at a share of the training from 0 to 1."""
        factors = [1.0, *(part for share, part in self.fall if progress >= share)]
        return self.identity * factors[-1]

    def network(self, code: int) -> SimSwapConfig:
        """Return the generator's shape for codes of so many numbers."""
        return SimSwapConfig(self.widths, self.blocks, code)
