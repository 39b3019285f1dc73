"""Finding the photos that a source is: one, a folder of them, or frames of a clip."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from likeness.condition.conditioner import select
from likeness.decode import Decoder, open_clip
from likeness.errors import MediaError, TrackError
from likeness.fit.transfer import rest_frame
from likeness.geometry import axis_angle, rotation_matrix
from likeness.methods.photo.animation import Photo
from likeness.methods.photo.find import find_photo
from likeness.methods.photo.reduced import to_face
from likeness.track.landmarks import Face
from likeness.types import Clip, FaceTrack, Shot, Window

log = logging.getLogger(__name__)

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".heic")
FACE = 640.0
"""Widest face in pixels that a swap is made from. Targets are drawn into crops of 640 pixels at
most (`view`), which show no more than 430 of a face; half as many again leave room for a turn."""
_FRAMES = 5
"""Frames of a clip that stand for its person: at rest, and turned to all sides."""

Nearest = Callable[[torch.Tensor, Sequence[Face]], int]


def photo_files(source: Path) -> tuple[Path, ...]:
    """Return the photos of a folder by name, or the one file that a source is.

    Raises:
        MediaError: the folder holds no photo.
    """
    if not source.is_dir():
        return (source,)
    found = tuple(
        sorted(path for path in source.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES)
    )
    if not found:
        raise MediaError(
            f"{source} holds no photo; expected a folder of {', '.join(PHOTO_SUFFIXES[:4])} files"
        )
    return found


def find_photos(
    clips: Sequence[Clip], face: str | None = None, nearest: Nearest | None = None
) -> tuple[Photo, ...]:
    """Find the one person of several photos.

    Args:
        clips: photos, opened.
        face: whose face, where a photo shows several.
        nearest: chooses among the faces of a picture in place of `face`.

    Returns:
        One per photo that shows a usable face, in order, reduced where the face is wider than
        `FACE`.

    Raises:
        TrackError: none of them does; where there is one photo, why.
    """
    found: list[Photo] = []
    for clip in clips:
        try:
            photo = find_photo(clip, face=face, nearest=nearest)
            found.append(to_face(photo, FACE))
        except TrackError as error:
            if len(clips) == 1:
                raise
            log.warning("%s; it is left out", error)
    if not found:
        raise TrackError(
            f"none of {len(clips)} photos shows a face that can be used; expected one that is seen "
            "from the front, at least 40 pixels wide"
        )
    return tuple(found)


def photos_in(shot: Shot, count: int = _FRAMES) -> tuple[Photo, ...]:
    """Take the frames of a clip that show a person's face best: at rest, and turned to all sides.

    Args:
        shot: the person.
        count: how many frames.
    """
    params, observed = shot.params, np.flatnonzero(shot.track.observed)
    turns = axis_angle(
        rotation_matrix(params.rotation)
        @ rotation_matrix(params.rotation[rest_frame(params, shot.track.observed)]).T
    )
    busy = np.abs(params.expression).sum(1)
    calm = observed[busy[observed] <= np.percentile(busy[observed], 50)]
    chosen = [rest_frame(params, shot.track.observed)]
    while len(chosen) < min(count, len(calm)):
        apart = np.linalg.norm(turns[calm][:, None] - turns[chosen], axis=-1).min(1)
        if apart.max() < np.radians(6):
            break
        chosen.append(int(calm[apart.argmax()]))
    return tuple(_photo(shot, row) for row in chosen)


def _photo(shot: Shot, row: int) -> Photo:
    frame, track = shot.track.start + row, shot.track
    with Decoder(shot.clip) as decoder:
        picture = decoder.read(Window(frame, frame + 1))[0]
    one = slice(row, row + 1)
    found = FaceTrack(
        frame, track.boxes[one], track.landmarks[one], track.scores[one], track.observed[one]
    )
    return to_face(Photo(picture, found, select(shot.params, np.array([row]))), FACE)


def open_photos(source: Path) -> tuple[Clip, ...]:
    """Open the photos that a source is, as clips."""
    return tuple(open_clip(path) for path in photo_files(source))
