"""Tell how much of the motion in real clips the expression modes explain.

    python scripts/check_face_model.py CLIP...

Fits pose, identity and expression weights to the landmarks of every sixth frame (no prior but a
mild ridge) and prints the residual with no expression, the named modes and all modes.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from likeness.decode import Decoder, open_clip
from likeness.face3d.camera import camera_points, pixel_jacobian, pixels
from likeness.face3d.model import FaceModel
from likeness.geometry import axis_angle, rotation_matrix
from likeness.store import load_face_model
from likeness.types import Floats, Window

EVERY = 6
Doubles = NDArray[np.float64]


@dataclasses.dataclass
class State:
    """Unknowns of N frames."""

    shape: Floats
    weights: Floats
    rotation: Floats
    translation: Floats
    focal: float
    size: tuple[int, int]


def tracked(path: Path) -> tuple[Floats, tuple[int, int]]:
    """Landmarks (N,468,2) in pixels and the frame's size."""
    from mediapipe.python.solutions.face_mesh import FaceMesh

    clip = open_clip(path)
    h, w = clip.size
    found = []
    with FaceMesh(refine_landmarks=True) as mesh, Decoder(clip) as decoder:
        for index in range(len(clip)):
            frame = decoder.read(Window(index, index + 1))[0]
            image = (frame.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
            faces = mesh.process(np.ascontiguousarray(image)).multi_face_landmarks
            if faces and index % EVERY == 0:
                found.append([[p.x * w, p.y * h] for p in faces[0].landmark[:468]])
    return np.array(found, np.float32), (h, w)


def fit(model: FaceModel, points: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Residuals (N,468,2) in pixels, and on the head in millimetres (N,468,3)."""
    n, focal = len(points), 1.8 * max(size)
    depth = focal * 146 / np.ptp(points[..., 0], axis=1)
    middle = (points.mean(1) - [size[1] / 2, size[0] / 2]) * (depth / focal)[:, None]
    state = State(
        np.zeros(len(model.identity), np.float32),
        np.zeros((n, len(model.expression)), np.float32),
        np.zeros((n, 3), np.float32),
        np.concatenate([middle, depth[:, None] + 60], axis=1).astype(np.float32),
        focal,
        size,
    )
    for turn in range(12):
        for _ in range(3 if turn else 10):
            _pose(model, points, state)
        if len(model.expression):
            _expression(model, points, state)
        if turn < 9:
            _identity(model, points, state)
    for _ in range(3):
        _pose(model, points, state)
    residual, _ = _linear(model, points, state)
    millimetres = residual * (state.translation[:, 2] / focal)[:, None, None]
    flat = np.concatenate([millimetres, np.zeros((n, 468, 1))], axis=-1)
    return residual, np.asarray(flat @ rotation_matrix(state.rotation), np.float32)


def _linear(model: FaceModel, points: Floats, state: State) -> tuple[Floats, Floats]:
    """Residuals (N,V,2) and their slope by head-space vertices (N,V,2,3)."""
    vertices = model.vertices(state.shape, state.weights)
    seen = camera_points(vertices, state.rotation, state.translation)
    residual = points - pixels(seen, state.focal, state.size)[..., :2]
    slope = pixel_jacobian(seen, state.focal) @ rotation_matrix(state.rotation)[:, None]
    return residual, np.asarray(slope, np.float32)


def _pose(model: FaceModel, points: Floats, state: State) -> None:
    vertices = model.vertices(state.shape, state.weights)
    seen = camera_points(vertices, state.rotation, state.translation)
    residual = points - pixels(seen, state.focal, state.size)[..., :2]
    slope = pixel_jacobian(seen, state.focal)
    x, y, z = np.moveaxis(seen - state.translation[:, None], -1, 0)
    zero = np.zeros_like(x)
    turn = np.stack([zero, z, -y, -z, zero, x, y, -x, zero], -1).reshape(*x.shape, 3, 3)
    rows = np.concatenate([slope @ turn, slope], -1).reshape(len(points), -1, 6)
    normal = rows.transpose(0, 2, 1) @ rows + 1e-6 * np.eye(6)
    right = rows.transpose(0, 2, 1) @ residual.reshape(len(points), -1, 1)
    step = np.linalg.solve(normal, right)[..., 0].astype(np.float32)
    state.rotation = axis_angle(rotation_matrix(step[:, :3]) @ rotation_matrix(state.rotation))
    state.translation = state.translation + step[:, 3:]


def _expression(model: FaceModel, points: Floats, state: State) -> None:
    residual, slope = _linear(model, points, state)
    scale = float(np.median(state.focal / state.translation[:, 2]))
    signed = np.array([name.startswith("detail_") for name in model.expression_names])
    for k in range(len(points)):
        rows = np.einsum("pij,epj->pie", slope[k], model.expression).reshape(-1, len(signed))
        wanted = residual[k].ravel() + rows @ state.weights[k]
        both = np.concatenate([rows, -rows[:, signed]], axis=1).astype(np.float64)
        gram = both.T @ both + (0.9 * scale) ** 2 * np.eye(both.shape[1])
        root = np.linalg.cholesky(gram)
        answer, _ = nnls(root.T, np.linalg.solve(root, both.T @ wanted))
        state.weights[k] = answer[: len(signed)]
        state.weights[k, signed] -= answer[len(signed) :]


def _identity(model: FaceModel, points: Floats, state: State) -> None:
    residual, slope = _linear(model, points, state)
    count = len(model.identity)
    rows = np.einsum("npij,spj->npis", slope, model.identity).reshape(-1, count)
    scale = float(np.median(state.focal / state.translation[:, 2]))
    normal = rows.T @ rows + 1.8 * scale**2 * len(points) * np.eye(count)
    right = rows.T @ (residual.ravel() + rows @ state.shape)
    state.shape = np.linalg.solve(normal, right).astype(np.float32)


def main(paths: list[Path]) -> None:
    """Print one line per clip and set of modes."""
    whole = load_face_model()
    for path in paths:
        points, size = tracked(path)
        height = float(np.median(np.ptp(points[..., 1], axis=1)))
        motion = None
        for label, count in (("none", 0), ("named", 52), ("all", len(whole.expression))):
            model = dataclasses.replace(
                whole,
                expression=whole.expression[:count],
                expression_names=whole.expression_names[:count],
            )
            residual, head = fit(model, points, size)
            rms = np.sqrt((residual**2).sum(-1).mean())
            moving = ((head - head.mean(0)) ** 2).sum(-1).mean()
            motion = moving if motion is None else motion
            share = 1.0 - moving / motion
            print(
                f"{path.name}: face {height:.0f} px, {label} modes: {rms:.2f} px, "
                f"motion {np.sqrt(moving):.2f} mm, {share:.0%} explained"
            )


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python scripts/check_face_model.py CLIP...")
    main([Path(argument) for argument in sys.argv[1:]])
