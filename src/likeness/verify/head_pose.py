"""Two head poses of one face: from its inner landmarks and from its outline.

"Exposing deep fakes using inconsistent head poses" (Yang, Li and Lyu 2019): a face that was pasted
into a head brings its own pose, so that the pose from the landmarks inside the face and the pose
that includes the outline point in different directions. The paper solves for poses with an average
head and compares directions by the cosine distance 1 - cos(angle); real faces stay below 0.02
there, swapped ones reach 0.02 to 0.08. Here identity, expression and focal length are fitted first,
so that only the rigid pose is left to disagree, and real faces stay far lower.
"""

from __future__ import annotations

import numpy as np
import torch

from likeness.errors import FitError
from likeness.face3d.camera import pixel_jacobian, pixels
from likeness.face3d.model import FaceModel
from likeness.fit import FitConfig
from likeness.fit.landmarks import fit_landmarks
from likeness.fit.solve import State
from likeness.geometry import rotation_matrix
from likeness.metrics.regions import FACE_OVAL
from likeness.store import load_face_model
from likeness.types import FaceTrack, Floats, Ints, Window
from likeness.verify.signal import NO_FACE, Curve, Scene, SignalReading, ramp

OUTER = np.unique(FACE_OVAL)
INNER = np.array(
    [
        *(1, 2, 4, 5, 6, 48, 94, 98, 115, 168, 195, 197, 278, 327, 344),
        *(33, 133, 263, 362, 61, 291),
        *(46, 52, 53, 55, 63, 65, 66, 70, 105, 107),
        *(276, 282, 283, 285, 293, 295, 296, 300, 334, 336),
    ]
)
"""Nose, eye corners, mouth corners and brows."""
_FRAMES = 240
"""Frames that poses are compared in, spread over the clip: memory and time do not grow with it."""
_ROUNDS = 8
_LEAST = 8
"""Frames below which the fit of identity explains any disagreement away."""
_USUAL, _FAR = 0.003, 0.02
"""Median cosine distances: three times the largest of three recordings, and where the paper's fakes
begin."""
_BLIND = (
    "Looks for faces pasted into another head, and needs landmarks that show the seam. The "
    "landmark detector used here prefers consistent faces: in our own trial a pasted face raised "
    "the distance no more than recordings differ. A head that was rendered or re-enacted as a "
    "whole has one pose and passes, and so does a swap that fits well. Strong turns, beards, hair "
    "and hands over the outline raise the distance of real faces."
)
_TITLE = "Head pose of the inner and the outer face"


class HeadPoseSignal:
    """Judges the pose of the inner against the outer face from the track alone."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def look(self, window: Window, frames: torch.Tensor) -> None:
        """Nothing: the track holds all that is needed."""

    def read(self) -> SignalReading:
        """Solve for both poses and compare their directions over time."""
        scene, track = self._scene, self._scene.track
        if track is None or not track.observed.any():
            return _without(NO_FACE)
        seen = np.flatnonzero(track.observed)
        if len(seen) < _LEAST:
            return _without(
                f"{len(seen)} frames with a face, and {_LEAST} are needed to tell the person from "
                "the pose"
            )
        some = seen[np.linspace(0, len(seen) - 1, min(_FRAMES, len(seen))).round().astype(int)]
        try:
            distance = pose_distance(_part(track, some), scene.clip.size)
        except FitError as error:
            return _without(str(error))
        return _judge(scene, some + track.start, distance)


def pose_distance(track: FaceTrack, size: tuple[int, int]) -> Floats:
    """Return (N,) cosine distances of the directions of the inner and the outer face.

    Args:
        track: N frames, not necessarily neighbors in time.
        size: (H, W) of the frame.

    Raises:
        FitError: the face model cannot be brought onto the track.
    """
    model = load_face_model()
    state = fit_landmarks(track, model, size, FitConfig(time_weight=0))
    inner, outer = (_rotations(track, model, size, state, points) for points in (INNER, OUTER))
    # The third column of a rotation is where the head's own forward axis points.
    cosine = (inner[:, :, 2] * outer[:, :, 2]).sum(-1)
    return np.asarray(1 - cosine, np.float32)


def _rotations(
    track: FaceTrack, model: FaceModel, size: tuple[int, int], state: State, points: Ints
) -> Floats:
    """Solve for the rigid pose (N,3,3) of some landmarks by Gauss-Newton on robust pixel errors.

    Each round weights points by 1 / (1 + (error / 2 median)^2), the Cauchy weight of the fit.
    """
    head = model.vertices(state.shape, state.expression)[:, model.landmark_vertices[points]]
    seen = track.landmarks[:, points, :2]
    rotation, translation = state.rotation, state.translation
    for _ in range(_ROUNDS):
        turned = head @ np.swapaxes(rotation, 1, 2)
        camera = turned + translation[:, None]
        error = pixels(camera, state.focal, size)[..., :2] - seen
        miss = np.linalg.norm(error, axis=-1, keepdims=True)
        usual = np.median(miss, axis=1, keepdims=True) + 1e-6
        root = 1 / np.sqrt(1 + (miss / (2 * usual)) ** 2)
        by_point = pixel_jacobian(camera, state.focal)
        rows = np.concatenate([by_point @ _turning(turned), by_point], -1) * root[..., None]
        jacobian = rows.reshape(len(rows), -1, 6).astype(np.float64)
        residual = (error * root).reshape(len(rows), -1, 1)
        across = np.swapaxes(jacobian, 1, 2)
        step = -np.linalg.solve(across @ jacobian + 1e-9 * np.eye(6), across @ residual)[..., 0]
        rotation = rotation_matrix(step[:, :3].astype(np.float32)) @ rotation
        translation = (translation + step[:, 3:]).astype(np.float32)
    return rotation


def _turning(points: Floats) -> Floats:
    """Derivative (...,3,3) of turned points by a small rotation applied after: -[point]x."""
    x, y, z = np.moveaxis(points, -1, 0)
    zero = np.zeros_like(x)
    rows = [[zero, z, -y], [-z, zero, x], [y, -x, zero]]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def _part(track: FaceTrack, rows: Ints) -> FaceTrack:
    return FaceTrack(
        track.start,
        track.boxes[rows],
        track.landmarks[rows],
        track.scores[rows],
        track.observed[rows],
    )


def _judge(scene: Scene, frames: Ints, distance: Floats) -> SignalReading:
    typical = float(np.median(distance))
    angle = float(np.degrees(np.arccos(np.clip(1 - typical, -1, 1))))
    score = ramp(typical, _USUAL, _FAR)
    verdict = "the inner face points elsewhere than its outline" if score else "nothing unusual"
    curve = Curve(
        "Inner against outer face",
        scene.seconds(frames),
        {"cosine distance": distance},
        ("seconds", "cosine distance"),
        usual=(0.0, _USUAL),
        over_time=True,
    )
    return SignalReading(
        "head_pose",
        _TITLE,
        score,
        f"The two poses differ by {angle:.1f} degrees (median of {len(distance)} frames; cosine "
        f"distance {typical:.4f}); {verdict}.",
        _BLIND,
        {
            "cosine_distance": typical,
            "cosine_distance_95": float(np.quantile(distance, 0.95)),
            "degrees": angle,
        },
        (curve,) if len(distance) > 1 else (),
    )


def _without(reason: str) -> SignalReading:
    return SignalReading("head_pose", _TITLE, None, f"Not applicable: {reason}.", _BLIND)
