"""Photos that are larger than anything drawn from them, made smaller before anything costs memory.

A photo of twelve million pixels is 150 MB of floats, and every mask, gradient and warp over it is
as large again; what is drawn from it is a frame of a video.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from likeness.methods.photo.animation import Photo, scaled_down
from likeness.types import FaceParams, FaceTrack, Floats, check


def reduced(photo: Photo, scale: float) -> Photo:
    """Scale a photo down together with the face that was found in it.

    Lengths in millimetres stay; pixels and the focal length shrink.

    Args:
        photo: with one frame's track.
        scale: above 0; from 1 on the photo is returned as it is.

    Raises:
        ContractError: the scale is not above 0.
    """
    check(scale > 0, f"scale is {scale}, expected above 0")
    if scale >= 1:
        return photo
    picture, sides = scaled_down(photo.picture, scale), photo.picture.shape[1:]
    # Sides are whole pixels: each axis has its own factor, by a hair.
    height, width = picture.shape[1:]
    factors = np.array([width / sides[1], height / sides[0]], np.float32)
    return Photo(picture, _track(photo.track, factors), _params(photo.params, factors))


def to_face(photo: Photo, width: float) -> Photo:
    """Reduce a photo until its face is at most so many pixels wide."""
    box = photo.track.boxes[0]
    return reduced(photo, width / max(float(box[2] - box[0]), 1.0))


def _track(track: FaceTrack, factors: Floats) -> FaceTrack:
    # Depth is in the scale of x.
    return replace(
        track,
        boxes=track.boxes * np.tile(factors, 2),
        landmarks=track.landmarks * np.append(factors, factors[:1]),
    )


def _params(params: FaceParams, factors: Floats) -> FaceParams:
    return replace(params, focal=params.focal * float(factors.mean()))
