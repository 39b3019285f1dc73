"""Where the eyes look, from the irises and the fitted head, in closed form."""

from __future__ import annotations

import numpy as np

from likeness.face3d.camera import pixels
from likeness.face3d.model import FaceModel
from likeness.fit.energy import Values
from likeness.fit.seen_range import seen_rows
from likeness.geometry import rotation_matrix
from likeness.types import Bools, FaceParams, Floats

IRISES = np.array([[468, 469, 470, 471, 472], [473, 474, 475, 476, 477]])
LID_PAIRS = np.array([[[160, 144], [159, 145], [158, 153]], [[387, 373], [386, 374], [385, 380]]])
CORNERS = np.array([[33, 133], [362, 263]])
CONTOURS = np.array(
    [
        [33, 133, 160, 159, 158, 157, 144, 145, 153, 154],
        [362, 263, 387, 386, 385, 384, 373, 374, 380, 381],
    ]
)
"""Lid and corner landmarks of each eye; irises are read relative to them."""

_CLOSED = 0.14
_OWN = np.array([0.6, 0.3])
"""How much of an eye's own departure from both eyes' mean is believed, for yaw and pitch."""
_LIMIT = np.radians([50.0, 40.0])


def solve_gaze(
    landmarks: Floats,
    params: FaceParams,
    model: FaceModel,
    size: tuple[int, int],
    observed: Bools | None = None,
) -> Floats:
    """Find the gaze angles that put the model's irises on the tracked ones.

    The iris center lies on a sphere of radius sqrt(eye_radius^2 - iris_radius^2) about the
    eyeball's center: the viewing ray through the tracked center is cut with it, and the direction
    from the eyeball's center to the cut, turned into head space, is the gaze. Before that the
    tracked iris is moved by the mean difference between modeled and tracked lids, which takes the
    fit's own error out. While an eye is closed, or was not seen, gaze is held between the frames
    around it.

    No zero is subtracted: a person whose irises sit off the model's shows a constant offset, which
    relative transfer cancels, and the model's irises stay on the picture's.

    Args:
        landmarks: (N,478,3) tracked, pixels.
        params: fit of the head; its gaze is not read.
        model: the face model, with eyeballs.
        size: (H, W) of the frame.
        observed: (N,) frames in which the face was seen; None is all.

    Returns:
        (N,2,2) per eye (yaw, pitch) radians; zeros where the model has no eyeballs.
    """
    if model.eye_centers is None:
        return np.zeros((len(landmarks), 2, 2), np.float32)
    gaze = gaze_angles(landmarks, params, model, size).astype(np.float64)
    seen = np.zeros(len(gaze), np.bool_)
    seen[seen_rows(len(gaze), observed)] = True
    return _hold(gaze, ~is_shut(eye_openness(landmarks)), seen).astype(np.float32)


def gaze_angles(
    landmarks: Floats, params: FaceParams, model: FaceModel, size: tuple[int, int]
) -> Floats:
    """Find gaze angles as `solve_gaze` does, each frame for itself: nothing is held.

    Args:
        landmarks: (N,478,3) tracked, pixels; NaN where there is no face.
        params, model, size: as in `solve_gaze`; the model has eyeballs.

    Returns:
        (N,2,2) per eye (yaw, pitch) radians; of no use where an eye is closed, NaN without a face.
    """
    rotation = rotation_matrix(params.rotation).astype(np.float64)
    eyes = (
        np.einsum("nij,ej->nei", rotation, model.eyes(params.shape)) + params.translation[:, None]
    )
    iris = landmarks[:, IRISES, :2].mean(2) + _lid_shift(landmarks, params, model, size)
    center = np.array([size[1] / 2, size[0] / 2])
    ray = np.concatenate([(iris - center) / params.focal, np.ones((len(landmarks), 2, 1))], -1)
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    radius = float(np.sqrt(model.eye_radius**2 - model.iris_radius**2))
    along = (ray * eyes).sum(-1)
    missed = (eyes**2).sum(-1) - along**2
    # A ray that misses the eyeball meets it, as nearly as it can, at the rim.
    near = along - np.sqrt(np.maximum(radius**2 - missed, 0.0))
    direction = np.einsum("nji,nej->nei", rotation, near[..., None] * ray - eyes)
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    yaw = np.arctan2(direction[..., 0], -direction[..., 2])
    pitch = np.arcsin(np.clip(direction[..., 1], -1, 1))
    gaze = np.clip(np.stack([yaw, pitch], -1), -_LIMIT, _LIMIT)
    both = gaze.mean(1, keepdims=True)
    return np.asarray(both + _OWN * (gaze - both), np.float32)


def eye_openness(landmarks: Floats) -> Floats:
    """Return (N,2) mean lid distance over eye width (Soukupova and Cech 2016, eq. 1)."""
    xy = landmarks[..., :2]
    pairs = xy[:, LID_PAIRS]
    gap = np.linalg.norm(pairs[..., 0, :] - pairs[..., 1, :], axis=-1).mean(-1)
    width = np.linalg.norm(xy[:, CORNERS[:, 0]] - xy[:, CORNERS[:, 1]], axis=-1)
    return np.asarray(gap / np.maximum(width, 1e-6), np.float32)


def is_shut(openness: Floats) -> Bools:
    """Tell for each of (N,2) opennesses whether the lids hide the iris."""
    return np.asarray(openness <= _CLOSED, np.bool_)


def _lid_shift(
    landmarks: Floats, params: FaceParams, model: FaceModel, size: tuple[int, int]
) -> Floats:
    """(N,2,2) mean of modeled minus tracked contour points of each eye."""
    vertices = model.landmark_vertices[CONTOURS]
    used = vertices >= 0
    if not used.any(1).all():
        return np.zeros((len(landmarks), 2, 2), np.float32)
    head = model.vertices(params.shape, params.expression)[:, np.maximum(vertices, 0)]
    rotation = rotation_matrix(params.rotation)
    camera = np.einsum("nij,nepj->nepi", rotation, head) + params.translation[:, None, None]
    projected = pixels(camera, params.focal, size)[..., :2]
    shift = (projected - landmarks[:, CONTOURS, :2]) * used[..., None]
    return np.asarray(shift.sum(2) / used.sum(1)[:, None], np.float32)


def _hold(gaze: Values, is_open: Bools, seen: Bools) -> Values:
    """Replace gaze of closed eyes, of frames beside a closure and of unseen ones, in place."""
    time = np.arange(len(gaze))
    for eye in range(2):
        shut = ~is_open[:, eye] & seen
        closed = shut.copy()
        closed[1:] |= shut[:-1]
        closed[:-1] |= shut[1:]
        closed |= ~seen
        if closed.all():
            closed = ~seen
        if not closed.any():
            continue
        for axis in range(2):
            gaze[closed, eye, axis] = np.interp(
                time[closed], time[~closed], gaze[~closed, eye, axis]
            )
    return gaze
