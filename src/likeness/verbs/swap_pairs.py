"""Which source goes on which face of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from likeness.errors import ConfigError
from likeness.people import check_face, choose_person
from likeness.types import Shot

ALL = "all"


@dataclass(frozen=True)
class SwapPair:
    """Whose identity goes on whose face."""

    source: Path
    """Photo, folder of photos, clip, NAME.shot or NAME.bundle."""
    face: str = "largest"
    """Whose face in the target: largest, a number from 0 on, like=PHOTO, or all."""

    def __post_init__(self) -> None:
        if self.face != ALL:
            check_face(self.face)


def chosen_people(pairs: Sequence[SwapPair], people: Sequence[Shot]) -> list[tuple[int, Shot]]:
    """Return for each face that is changed the number of its pair, and its person."""
    found: list[tuple[int, Shot]] = []
    for number, pair in enumerate(pairs):
        if pair.face == ALL:
            found += [(number, shot) for shot in people]
        else:
            found.append((number, choose_person(people, pair.face)))
    twice = [shot for _, shot in found]
    if len({id(shot) for shot in twice}) < len(twice):
        raise ConfigError(
            "two sources were given for one face; name faces that differ, such as A.jpg=0 B.jpg=1"
        )
    return found
