"""What a person is learned from: clips, shots, photos, face sets, or a folder of any of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from likeness.condition.face_types import sixty_eight
from likeness.decode import open_clip
from likeness.errors import MediaError, TrackError
from likeness.importers.face_sets import read_face_set
from likeness.methods.photo.find import find_photo
from likeness.methods.swap.autoencoder.data import Faces
from likeness.people import face_like, find_person
from likeness.pipeline import AnalyzeConfig
from likeness.store import load_shot
from likeness.track.measure import IRIS_CENTERS
from likeness.types import Clip, Floats, Progress, silent

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Material:
    """What was given of one person, opened and not yet looked at."""

    path: Path
    clips: tuple[Clip, ...]
    """Clips and photos; faces of a face set are photos."""
    known: tuple[Floats | None, ...]
    """(68,2) points of each, where a face set tells them."""


def open_material(path: Path) -> Material:
    """Open what a person is learned from.

    Args:
        path: a clip or photo, NAME.shot, or a folder of clips, photos and aligned faces.

    Raises:
        MediaError: there is nothing in it, or a file that was named cannot be read.
        BundleError: a face set is damaged.
    """
    if path.suffix == ".shot":
        return Material(path, (load_shot(path).clip,), (None,))
    if not path.is_dir():
        return Material(path, (open_clip(path),), (None,))
    points = read_face_set(path)
    clips: list[Clip] = []
    for file in sorted(entry for entry in path.iterdir() if entry.name[0] != "."):
        if file.is_dir() or file.suffix in (".json", ".pak"):
            continue
        try:
            clips.append(open_clip(file))
        except MediaError as error:
            log.warning("%s; it is left out", error)
    if not clips:
        raise MediaError(
            f"{path} holds no clip and no photo; expected a folder of photos, clips or aligned "
            "faces of one person"
        )
    return Material(path, tuple(clips), tuple(points.get(clip.path.name) for clip in clips))


def find_faces(
    material: Material,
    face: str = "largest",
    config: AnalyzeConfig | None = None,
    progress: Progress = silent,
) -> tuple[Faces, ...]:
    """Find one person's face in everything that was given of them.

    Args:
        material: from `open_material`.
        face: whose, where there are several: largest, a number from 0 on, or like=PHOTO.
        config: settings of tracking and fitting.
        progress: called as ("track" | "fit" | "photo", done, total).

    Raises:
        TrackError: the face was found nowhere.
        MediaError, FitError: a clip is not usable.
    """
    config = config or AnalyzeConfig()
    nearest = face_like(face) if any(len(clip) == 1 for clip in material.clips) else None
    found: list[Faces] = []
    reasons: list[str] = []
    for number, (clip, known) in enumerate(zip(material.clips, material.known, strict=True)):
        try:
            if known is not None:
                found.append(Faces(clip, np.zeros(1, np.int64), known[None]))
            elif len(clip) == 1:
                photo = find_photo(clip, 0, face, config.track, config.fit, nearest)
                points = sixty_eight(photo.track.landmarks)
                irises = photo.track.landmarks[:, IRIS_CENTERS, :2]
                found.append(Faces(clip, np.zeros(1, np.int64), points, irises))
            else:
                found.append(_in_clip(material, clip, face, config, progress))
        except TrackError as error:
            reasons.append(str(error))
        if len(material.clips) > 1:
            progress("photo", number + 1, len(material.clips))
    if not found:
        raise TrackError(reasons[0] if reasons else f"{material.path} shows nobody")
    if reasons:
        log.warning(
            "%d of %d files of %s show no face that can be used; the first: %s",
            *(len(reasons), len(material.clips), material.path.name, reasons[0]),
        )
    return tuple(found)


def _in_clip(
    material: Material, clip: Clip, face: str, config: AnalyzeConfig, progress: Progress
) -> Faces:
    if material.path.suffix == ".shot":
        shot = load_shot(material.path)
    else:
        shot = find_person(clip, face, config, progress)
    rows = np.flatnonzero(shot.track.observed)
    if not len(rows):
        raise TrackError(f"{clip.path.name} shows the face in no frame; use another clip")
    landmarks = shot.track.landmarks[rows]
    irises = landmarks[:, IRIS_CENTERS, :2]
    return Faces(shot.clip, rows + shot.track.start, sixty_eight(landmarks), irises)


def digests(materials: Sequence[Material]) -> list[list[str]]:
    """Return the digests of all files, by person: what a training depends on."""
    return [[clip.digest for clip in material.clips] for material in materials]
