"""Finding the one face of a photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from likeness.decode import Decoder
from likeness.errors import TrackError
from likeness.fit import FitConfig
from likeness.fit.causal import calibrate
from likeness.methods.photo.animation import Photo
from likeness.store import load_face_model
from likeness.track import TrackConfig
from likeness.track.landmarks import Face
from likeness.track.readers import open_reader
from likeness.types import Clip, FaceTrack, Window

_SMALL = 40
"""Faces narrower than this, in pixels, have no eyes to speak of."""
_STANDING = 135
"""Degrees of roll up to which a head stands or lies."""
_BESIDE = 0.45
"""Faces narrower than this share of the largest stand in the background: nobody means them."""
_LINES = 256
"""Lines of a photo that are rounded to bytes at once."""


def find_photo(
    clip: Clip,
    frame: int = 0,
    face: str | None = None,
    track: TrackConfig | None = None,
    fit: FitConfig | None = None,
    nearest: Callable[[torch.Tensor, Sequence[Face]], int] | None = None,
) -> Photo:
    """Find the face in one frame of a clip and bring the face model onto it.

    Landmarks alone are fitted: one picture has no motion that pixels could steady.

    Args:
        clip: a photo (a clip of one frame) or a video.
        frame: which frame of it.
        face: whose: largest, or a number from 0 on, largest first; needed where there are several.
        track, fit: settings.
        nearest: chooses the number of a face in place of `face`, from the picture (3,H,W) and all
            faces in it.

    Raises:
        TrackError: no face, several without a choice, one that isn't there, or a tiny one.
        FitError, MediaError, BackendError: from the stages.
    """
    track, fit = track or TrackConfig(), fit or FitConfig()
    if not 0 <= frame < len(clip):
        raise TrackError(
            f"frame {frame} of {clip.path.name} was asked for; expected 0 to {len(clip) - 1}"
        )
    with Decoder(clip) as decoder:
        picture = decoder.read(Window(frame, frame + 1))[0]
    image = _bytes(picture)
    reader = open_reader(track)
    try:
        faces = sorted(reader.read(image), key=lambda found: -_width(found))
        if not faces and reader.refused:
            raise TrackError(
                f"no face was found in {clip.path.name}: something was read as one, but otherwise "
                "in its mirror image, whichever way the picture is turned. Expected a face that is "
                "seen from the front; crop the photo to the head"
            )
    finally:
        reader.close()
    if nearest is not None and faces:
        face = str(nearest(picture, faces))
    chosen = _choose(faces, face, clip)
    _expect_upright(chosen, clip)
    found = FaceTrack(
        start=frame,
        boxes=chosen.box[None],
        landmarks=chosen.landmarks[None],
        scores=np.array([chosen.score], np.float32),
        observed=np.ones(1, bool),
    )
    return Photo(picture, found, calibrate(found, load_face_model(), clip.size, fit))


def _bytes(picture: torch.Tensor) -> NDArray[np.uint8]:
    """(3,H,W) in [0,1] to (H,W,3), some lines at a time: whole photos of floats fill memory."""
    image = np.empty((*picture.shape[1:], 3), np.uint8)
    for top in range(0, len(image), _LINES):
        lines = slice(top, top + _LINES)
        image[lines] = (picture[:, lines] * 255 + 0.5).byte().permute(1, 2, 0).numpy()
    return image


def _expect_upright(face: Face, clip: Clip) -> None:
    """Refuse a head that stands on its crown: hair, neck and shadows would be made for another."""
    points = face.landmarks[:, :2]
    up = points[[33, 133, 263, 362]].mean(0) - points[[61, 291]].mean(0)
    roll = float(np.degrees(np.arctan2(up[0], -up[1])))
    if abs(roll) > _STANDING:
        raise TrackError(
            f"the face in {clip.path.name} is upside down (it is turned by {abs(roll):.0f} degrees)"
            "; turn the picture by 180 degrees first"
        )


def _width(face: Face) -> float:
    return float(face.box[2] - face.box[0])


def _choose(faces: list[Face], wanted: str | None, clip: Clip) -> Face:
    name = clip.path.name
    if not faces:
        raise TrackError(
            f"no face was found in {name}; expected one that is seen from the front. Crop the"
            " photo to the head, or lower min_confidence in [track]"
        )
    listed = "; ".join(
        f"{i} at ({(f.box[0] + f.box[2]) / 2:.0f}, {(f.box[1] + f.box[3]) / 2:.0f}),"
        f" {_width(f):.0f} px wide"
        for i, f in enumerate(faces)
    )
    rivals = sum(_width(f) > _BESIDE * _width(faces[0]) for f in faces)
    if wanted is None and rivals > 1:
        raise TrackError(
            f"{len(faces)} faces were found in {name}: {listed}. Choose one with --face"
        )
    number = 0 if wanted in (None, "largest") else int(wanted or 0)
    if number >= len(faces):
        raise TrackError(f"face {wanted} was asked for; found in {name}: {listed}")
    if _width(faces[number]) < _SMALL:
        raise TrackError(
            f"the face in {name} is {_width(faces[number]):.0f} pixels wide, expected at least"
            f" {_SMALL}; use a larger photo, or one cropped from a larger original"
        )
    return faces[number]
