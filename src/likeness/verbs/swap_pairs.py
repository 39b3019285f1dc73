"""Which source goes on which face of a clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from likeness.errors import ConfigError
from likeness.people import check_face, chooser
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


def chosen_people(
    pairs: Sequence[SwapPair], find: Callable[[], Sequence[Shot]]
) -> list[tuple[int, Shot]]:
    """Return for each face that is changed the number of its pair, and its person.

    Args:
        pairs: photos in them are looked at before `find` is called.
        find: returns the people of the clip.
    """
    choosers = [None if pair.face == ALL else chooser(pair.face) for pair in pairs]
    people = find()
    found: list[tuple[int, Shot]] = []
    for number, choose in enumerate(choosers):
        if choose is None:
            found += [(number, shot) for shot in people]
        else:
            found.append((number, choose(people)))
    twice = [shot for _, shot in found]
    if len({id(shot) for shot in twice}) < len(twice):
        raise ConfigError(
            "two sources were given for one face; name faces that differ, such as A.jpg=0 B.jpg=1"
        )
    return found
