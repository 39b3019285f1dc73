"""People of whom it is known where the points of their faces lie, in depth too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from likeness import geometry
from likeness.condition.align import TEMPLATES, aligned_crop
from likeness.errors import TrackError
from likeness.methods.swap.simswap.people import TEMPLATE, People, PersonFaces
from likeness.recognize.source import scaled
from likeness.types import Crop, Floats, check

_DEEP = 3


def faced(
    found: People, people: Mapping[str, Sequence[PersonFaces]], size: int, most: int
) -> People:
    """Add landmarks to what `collect` found of the same people, by the same size and number.

    Raises:
        TrackError: landmarks have no depth.
    """
    template, points = scaled(TEMPLATES[TEMPLATE], size), []
    for parts in people.values():
        share = max(1, most // len(parts))
        for part in (one.spread(share) for one in parts):
            if part.landmarks.shape[-1] != _DEEP:
                raise TrackError("the landmarks have no depth; expected the tracker's, x y z")
            points.append(laid_points(part.landmarks, aligned_crop(part.landmarks, template)))
    laid = torch.from_numpy(np.concatenate(points))
    check(len(laid) == len(found.bank), f"{len(laid)} faces for {len(found.bank)} crops")
    return replace(found, points=laid)


def laid_points(landmarks: Floats, crop: Crop) -> Floats:
    """Move (N,478,3) landmarks of frames into their crops, in sides of the crop."""
    laid = np.array(landmarks, np.float32)
    laid[..., :2] = geometry.apply(crop.crop_from_frame, landmarks[..., :2])
    laid[..., 2] *= np.sqrt(np.linalg.det(crop.crop_from_frame[:, :, :2]))[:, None]
    return np.asarray(laid / crop.size[0], np.float32)
