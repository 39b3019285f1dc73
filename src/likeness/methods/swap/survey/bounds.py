"""What settings of any system of the survey have to keep."""

from __future__ import annotations

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
