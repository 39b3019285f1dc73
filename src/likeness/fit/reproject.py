"""Put the fitted model's landmarks back onto the frame."""

from __future__ import annotations

import numpy as np

from likeness.face3d.camera import project
from likeness.face3d.model import FaceModel
from likeness.types import FaceParams, FaceTrack, Floats

_IRIS_START = 468


def reproject(params: FaceParams, model: FaceModel, size: tuple[int, int]) -> Floats:
    """Project the model's landmarks, irises placed by gaze.

    Args:
        params: N frames.
        model: the face model that the params belong to.
        size: (H, W) of the frame.

    Returns:
        (N,478,3) like a track's landmarks: x y in pixels, z in their scale with zero at the head's
        origin, smaller is nearer. NaN where the model has no vertex for a landmark.
    """
    count = len(params)
    used = np.flatnonzero(model.landmark_vertices[:_IRIS_START] >= 0)
    head = np.full((count, 478, 3), np.nan, np.float32)
    vertices = model.vertices(params.shape, params.expression)
    head[:, used] = vertices[:, model.landmark_vertices[used]]
    if model.eye_centers is not None:
        head[:, _IRIS_START:] = model.irises(params.shape, params.gaze)
    points = project(head, params.rotation, params.translation, params.focal, size)
    depth = np.maximum(params.translation[:, None, 2], 1.0)
    points[..., 2] = (points[..., 2] - depth) * (params.focal / depth)
    return points


def landmark_rms(
    track: FaceTrack, params: FaceParams, model: FaceModel, size: tuple[int, int]
) -> float:
    """Root mean square distance of reprojected and tracked landmarks, pixels per coordinate pair.

    Irises are left out, and so are frames where the face wasn't seen.
    """
    points = reproject(params, model, size)[track.observed, :_IRIS_START, :2]
    distance = ((points - track.landmarks[track.observed, :_IRIS_START, :2]) ** 2).sum(-1)
    return float(np.sqrt(np.nanmean(distance)))
