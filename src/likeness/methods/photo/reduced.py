"""Photos that are larger than anything drawn from them, made smaller before anything costs memory.

A photo of twelve million pixels is 150 MB of floats, and every mask, gradient and warp over it is
as large again; what is drawn from it is a frame of a video.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from likeness.methods.photo.animation import Photo
from likeness.types import FaceParams, FaceTrack, Floats, check


def reduced(photo: Photo, scale: float) -> Photo:
    """Scale a photo down together with the face that was found in it.

    Each pixel of the result is a mean over the pixels that it covers (bicubic, widened by the
    scale). Lengths in millimetres stay; pixels and the focal length shrink.

    Args:
        photo: with one frame's track.
        scale: above 0; from 1 on the photo is returned as it is.

    Raises:
        ContractError: the scale is not above 0.
    """
    check(scale > 0, f"scale is {scale}, expected above 0")
    if scale >= 1:
        return photo
    sides = tuple(photo.picture.shape[1:])
    size = [max(2, round(side * scale)) for side in sides]
    picture = torch.nn.functional.interpolate(
        photo.picture[None], size=size, mode="bicubic", align_corners=False, antialias=True
    )[0].clamp_(0, 1)
    # Sides are whole pixels: each axis has its own factor, by a hair.
    factors = np.array([size[1] / sides[1], size[0] / sides[0]], np.float32)
    return Photo(picture, _track(photo.track, factors), _params(photo.params, factors))


def to_side(photo: Photo, side: int) -> Photo:
    """Reduce a photo until its longest side is at most so many pixels."""
    return reduced(photo, side / max(photo.picture.shape[1:]))


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
