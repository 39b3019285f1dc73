"""Many people to learn from: a folder of each, with photos and clips mixed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from likeness.decode import open_clip
from likeness.errors import MediaError, TrackError
from likeness.methods.photo.find import find_photo
from likeness.methods.swap.simswap.people import PersonFaces
from likeness.people import find_person
from likeness.pipeline import AnalyzeConfig
from likeness.store import load_shot
from likeness.types import Clip, Progress, Shot, silent

log = logging.getLogger(__name__)

_SHOT = ".shot"
_BESIDE = (".json", ".toml", ".txt", ".csv")


@dataclass(frozen=True, eq=False)
class Member:
    """What was given of one person, opened and not yet looked at."""

    name: str
    clips: tuple[Clip, ...]
    shots: tuple[Shot, ...]
    """Those of them that were looked at before."""


def open_people(folders: Sequence[Path]) -> tuple[Member, ...]:
    """Open what is there of many people.

    Each folder is one person's, with photos, clips and NAME.shot folders in it, or holds such a
    folder for each of several people.

    Raises:
        MediaError: a folder is missing or holds nobody.
    """
    found: dict[str, Member] = {}
    for folder in folders:
        for place in _places(folder):
            member = _open(place)
            if member is not None:
                name = member.name if member.name not in found else str(place)
                found[name] = member
    if not found:
        raise MediaError(
            f"{', '.join(map(str, folders))} hold no photo and no clip; expected a folder for each "
            "person"
        )
    return tuple(Member(name, one.clips, one.shots) for name, one in found.items())


def find_members(
    members: Sequence[Member],
    config: AnalyzeConfig | None = None,
    progress: Progress = silent,
) -> Mapping[str, tuple[PersonFaces, ...]]:
    """Return each person's faces in everything that was given of them; see `find_shots`."""
    shots = find_shots(members, config, progress)
    return {name: tuple(map(_faces, theirs)) for name, theirs in shots.items()}


def find_shots(
    members: Sequence[Member],
    config: AnalyzeConfig | None = None,
    progress: Progress = silent,
) -> Mapping[str, tuple[Shot, ...]]:
    """Return each person in everything that was given of them; the largest face is theirs.

    Who is seen nowhere is left out. Progress is called as ("track" | "fit" | "photo", done, total).
    """
    config = config or AnalyzeConfig()
    total, done, missed = sum(len(member.clips) for member in members), 0, 0
    found: dict[str, tuple[Shot, ...]] = {}
    for member in members:
        known = {shot.clip.digest: shot for shot in member.shots}
        faces = []
        for clip in member.clips:
            try:
                faces.append(_shot(clip, known.get(clip.digest), config, progress))
            except TrackError as error:
                log.info("%s", error)
                missed += 1
            done += 1
            progress("photo", done, total)
        if faces:
            found[member.name] = tuple(faces)
    if missed:
        log.warning("%d of %d files show no face that can be used", missed, total)
    return found


def digests(members: Sequence[Member]) -> list[list[str]]:
    """Return the digests of all files, by person: what a training depends on."""
    return [[clip.digest for clip in member.clips] for member in members]


def _shot(clip: Clip, shot: Shot | None, config: AnalyzeConfig, progress: Progress) -> Shot:
    if len(clip) == 1 and shot is None:
        photo = find_photo(clip, 0, "largest", config.track, config.fit)
        return Shot(clip, photo.track, photo.params)
    if shot is None:
        shot = find_person(clip, "largest", config, progress)
    if not shot.track.observed.any():
        raise TrackError(f"{clip.path.name} shows the face in no frame")
    return shot


def _faces(shot: Shot) -> PersonFaces:
    rows = np.flatnonzero(shot.track.observed)
    return PersonFaces(shot.clip, rows + shot.track.start, shot.track.landmarks[rows])


def _places(folder: Path) -> list[Path]:
    """Return the folders of people: the folder itself, or those in it."""
    if not folder.is_dir():
        raise MediaError(f"{folder} is no folder; expected one for each person")
    inside = sorted(
        entry
        for entry in folder.iterdir()
        if entry.is_dir() and entry.suffix != _SHOT and entry.name[0] != "."
    )
    return inside or [folder]


def _open(place: Path) -> Member | None:
    clips: list[Clip] = []
    shots: list[Shot] = []
    for entry in sorted(entry for entry in place.iterdir() if entry.name[0] != "."):
        try:
            if entry.suffix == _SHOT:
                shots.append(load_shot(entry))
                clips.append(shots[-1].clip)
            elif entry.is_file() and entry.suffix.lower() not in _BESIDE:
                clips.append(open_clip(entry))
        except MediaError as error:
            log.warning("%s; it is left out", error)
    once = {clip.digest: clip for clip in clips}
    return Member(place.name, tuple(once.values()), tuple(shots)) if once else None
