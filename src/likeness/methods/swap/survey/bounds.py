"""Settings that systems of the survey share, and what they have to keep."""

from __future__ import annotations

from dataclasses import dataclass

from likeness.errors import ConfigError


def prove(size: int, batch: int, same: float, most: int) -> None:
    """Refuse settings that no system can have.

    Raises:
        ConfigError: as it says.
    """
    if size & (size - 1) or not 16 <= size <= 256:
        raise ConfigError(f"size is {size}, expected a power of two from 16 to 256")
    if batch < 2 or not 0 < same < 1 or most < 2:
        raise ConfigError(
            f"batch is {batch}, same is {same} and max_faces is {most}; expected 2 or more, a "
            "share between 0 and 1, and 2 or more"
        )


@dataclass(frozen=True)
class SurveyTraining:
    """What trainings on many people have in common; each has defaults of its own."""

    minutes: float | None = 60.0
    """Wall-clock budget of the loop; ignored where `steps` is given."""
    steps: int | None = None
    """Step budget; repeatable to the bit."""
    size: int = 64
    """Side of the crops in pixels: a power of two from 16 to 256."""
    batch: int = 8
    same: float = 0.5
    """Share of each batch in which source and target are one person."""
    learning_rate: float = 4e-4
    average: float = 0.995
    max_faces: int = 200
    """Faces of each person that are used at most."""
    seed: int = 0

    def __post_init__(self) -> None:
        prove(self.size, self.batch, self.same, self.max_faces)
