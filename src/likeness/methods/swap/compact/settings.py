"""Settings of the compact network's training."""

from __future__ import annotations

from dataclasses import dataclass

from likeness.errors import ConfigError
from likeness.methods.swap.simswap.any_settings import PeopleTraining
from likeness.synthesize.compact import CompactConfig


@dataclass(frozen=True)
class CompactTraining(PeopleTraining):
    """How the compact network is trained: on answers, which other any-to-any networks lack."""

    size: int = 128
    """Side of the crops in pixels."""
    widths: tuple[int, ...] = (32, 64, 128)
    """Channels at half size and after each further halving."""
    blocks: int = 4
    """Identity injection modules."""
    actors: int = 0
    """Procedural actors that are filmed as well; 2 or more, or none. With an exact answer each."""
    moments: int = 8
    """Pictures of each actor."""
    pseudo: int = 4
    """Pictures of each person that get another's face by the method `photo`, to be undone."""
    same: float = 0.2
    """Share of a batch in which the target's own face is wanted."""
    identity: float = 0.05
    """Weight of the identity loss at the end; it grows from 0 over the second half. Earlier or
    larger, the network learns colored patterns that please the recognizer and nobody else."""
    judged: int = 4
    """Faces of a batch of which the recognizer is asked: it costs more than the network."""
    edges: float = 1.0
    """Weight of the difference of gradients."""
    cover: float = 0.1
    """Weight of the difference of alpha from where the faces are."""
    cycle: float = 0.0
    """Weight of the way back: the target's own face, put on the result, gives the target."""
    feature: float = 0.0
    """Weight of weak feature matching against the answer; needs the discriminators."""
    adversarial: float = 0.0
    """Weight of the discriminators' verdict; 0 and no feature matching: there are none."""
    judge_width: int = 16
    """Channels of a discriminator's first layer."""
    learning_rate: float = 1e-3
    max_faces: int = 40
    """Pictures of each person that are used at most."""
    narrow: bool = True
    """Compute convolutions in bfloat16, where that is faster."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.same < 1 or self.moments < 2:
            raise ConfigError(
                f"same is {self.same} and moments is {self.moments}; expected a share below 1, and "
                "2 or more"
            )
        if self.actors < 0 or self.actors == 1 or self.pseudo < 0:
            raise ConfigError(
                f"actors is {self.actors} and pseudo is {self.pseudo}; expected 0 or at least 2, "
                "and at least 0"
            )

    def _prove_size(self) -> None:
        rate = 2 ** len(self.widths)
        if self.size % rate or not 32 <= self.size <= 1024:
            raise ConfigError(f"size is {self.size}, expected a multiple of {rate} from 32 to 1024")

    def network(self, code: int) -> CompactConfig:
        """Return the network's shape for codes of so many numbers."""
        return CompactConfig(self.widths, self.blocks, code)
