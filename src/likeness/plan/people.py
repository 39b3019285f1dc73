"""Whose face in a clip is meant."""

from __future__ import annotations

from collections.abc import Sequence

from likeness.errors import ConfigError, TrackError
from likeness.types import Shot


def choose_shot(shots: Sequence[Shot], face: str) -> Shot:
    """Return the person that `--face` names.

    Args:
        shots: from `analyze`, largest face first.
        face: largest, or a number from 0 on.

    Raises:
        ConfigError: `face` is neither.
        TrackError: there are fewer people.
    """
    if face != "largest" and not face.isdecimal():
        raise ConfigError(f"face is {face!r}; expected largest, or a number from 0 on")
    number = 0 if face == "largest" else int(face)
    if number >= len(shots):
        raise TrackError(
            f"--face {number} was asked for, and {shots[0].clip.path.name} shows {len(shots)} "
            f"people or scenes; expected a number from 0 to {len(shots) - 1}, largest face first"
        )
    return shots[number]
