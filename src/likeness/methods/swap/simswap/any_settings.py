"""Settings that trainings on many people share, and what they have to keep."""

from __future__ import annotations

from dataclasses import dataclass

from likeness.errors import ConfigError


@dataclass(frozen=True)
class PeopleTraining:
    """What all of them have in common; each has defaults of its own."""

    minutes: float | None = 60.0
    """Wall-clock budget of the loop; ignored where `steps` is given."""
    steps: int | None = None
    """Step budget; repeatable to the bit."""
    size: int = 64
    """Side of the crops in pixels: a power of two from 16 to 256."""
    batch: int = 8
    learning_rate: float = 4e-4
    restart: float = 0.5
    """Part of `learning_rate` that it begins with anew in each phase of a training that has any;
    0 lets it fall once over the whole."""
    average: float = 0.995
    max_faces: int = 200
    """Faces of each person that are used at most."""
    narrow: bool = False
    """Compute convolutions in bfloat16, where that is faster."""
    seed: int = 0

    def __post_init__(self) -> None:
        self._prove_size()
        if not 0 <= self.restart <= 1:
            raise ConfigError(f"restart is {self.restart}, expected a part from 0 to 1")
        if self.batch < 2 or self.max_faces < 2:
            raise ConfigError(
                f"batch is {self.batch} and max_faces is {self.max_faces}; expected 2 or more"
            )

    @property
    def restarts(self) -> tuple[float, ...]:
        """Shares of the training at which the learning rate begins anew."""
        return self.phases if self.restart > 0 else ()

    @property
    def phases(self) -> tuple[float, ...]:
        """Shares of the training at which what is minimized changes."""
        return ()

    def _prove_size(self) -> None:
        if self.size & (self.size - 1) or not 16 <= self.size <= 256:
            raise ConfigError(f"size is {self.size}, expected a power of two from 16 to 256")


@dataclass(frozen=True)
class PairTraining(PeopleTraining):
    """What those have that learn from pairs of a target and a source."""

    same: float = 0.5
    """Share of each batch in which source and target are one person."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.same < 1:
            raise ConfigError(f"same is {self.same}, expected a share between 0 and 1")
