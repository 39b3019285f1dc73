"""Draw what was tracked and fitted over the frames, so that a person can judge it.

The mesh of the fitted face, the tracker's points (filled in where not observed: red) and a ray
along each eye's gaze.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from likeness.decode import stream
from likeness.encode import encode
from likeness.face3d.camera import camera_points, pixels
from likeness.face3d.model import FaceModel
from likeness.geometry import gaze_direction, rotation_matrix
from likeness.provenance.manifest import Manifest
from likeness.types import Clip, Floats, Ints, Progress, Shot, Window, silent

Color = tuple[float, float, float]

MESH: Color = (0.2, 0.9, 1.0)
SEEN: Color = (0.3, 1.0, 0.3)
FILLED: Color = (1.0, 0.3, 0.2)
GAZE: Color = (1.0, 0.85, 0.1)
RAY = 60.0
"""Length of a gaze ray in millimetres."""


def edges(triangles: Ints) -> Ints:
    """Return the (K,2) edges of (F,3) triangles, each once."""
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    unique: Ints = np.unique(np.sort(pairs, axis=1), axis=0)
    return unique


def draw_lines(
    frame: torch.Tensor, starts: Floats, ends: Floats, color: Color, strength: float = 1.0
) -> torch.Tensor:
    """Return the frame with antialiased lines about one pixel wide.

    Args:
        frame: (3,H,W) RGB in [0,1].
        starts: (K,2) positions in pixels; parts outside the frame are not drawn.
        ends: (K,2).
        color: RGB in [0,1].
        strength: opacity of a line, in [0,1].
    """
    h, w = frame.shape[-2:]
    inside = np.isfinite(starts).all(1) & np.isfinite(ends).all(1)
    starts, ends = starts[inside].clip(-w - h, 2 * (w + h)), ends[inside].clip(-w - h, 2 * (w + h))
    length = np.linalg.norm(ends - starts, axis=1)
    counts = np.ceil(2 * length).astype(np.int64) + 1
    line = np.repeat(np.arange(len(starts)), counts)
    step = np.arange(len(line)) - np.repeat(np.cumsum(counts) - counts, counts)
    along = (step / np.maximum(counts[line] - 1, 1))[:, None]
    points = starts[line] * (1 - along) + ends[line] * along
    return _blend(frame, _coverage(points, (h, w)), color, strength)


def draw_points(frame: torch.Tensor, points: Floats, color: Color) -> torch.Tensor:
    """Return the frame with (P,2) dots of about two pixels."""
    offsets = np.array([[x, y] for x in (-0.5, 0.5) for y in (-0.5, 0.5)], np.float32)
    spread = (points[:, None] + offsets).reshape(-1, 2)
    return _blend(frame, _coverage(spread[np.isfinite(spread).all(1)], frame.shape[-2:]), color, 1)


def _coverage(points: Floats, size: tuple[int, int] | torch.Size) -> torch.Tensor:
    """(H,W) in [0,1]: each point spreads over its four nearest pixels by distance."""
    h, w = size
    corner = np.floor(points - 0.5).astype(np.int64)
    fraction = points - 0.5 - corner
    total = np.zeros(h * w)
    for dy in (0, 1):
        for dx in (0, 1):
            x, y = corner[:, 0] + dx, corner[:, 1] + dy
            weight = np.abs(1 - dx - fraction[:, 0]) * np.abs(1 - dy - fraction[:, 1])
            kept = (x >= 0) & (x < w) & (y >= 0) & (y < h)
            total += np.bincount(y[kept] * w + x[kept], weight[kept], h * w)
    return torch.from_numpy(total.reshape(h, w).clip(0, 1).astype(np.float32))


def _blend(
    frame: torch.Tensor, coverage: torch.Tensor, color: Color, strength: float
) -> torch.Tensor:
    alpha = (strength * coverage).to(frame.device)
    paint = torch.tensor(color, dtype=frame.dtype, device=frame.device)[:, None, None]
    return frame + alpha * (paint - frame)


def draw_shot(
    frame: torch.Tensor, shot: Shot, model: FaceModel, index: int, lines: Ints
) -> torch.Tensor:
    """Return a frame of the shot's clip with its mesh, points and gaze.

    Args:
        frame: (3,H,W) RGB in [0,1].
        shot: whose face.
        model: the face model that the shot was fitted with.
        index: frame in the clip; outside the track the frame is returned as it is.
        lines: (K,2) edges of the mesh.
    """
    if index not in range(shot.track.window.start, shot.track.window.stop):
        return frame
    at = index - shot.track.start
    params, size = shot.params, (frame.shape[-2], frame.shape[-1])
    moment = slice(at, at + 1)
    head = model.vertices(params.shape, params.expression[moment])
    posed = camera_points(head, params.rotation[moment], params.translation[moment])
    mesh = pixels(posed, params.focal, size)[0, :, :2]
    frame = draw_lines(frame, mesh[lines[:, 0]], mesh[lines[:, 1]], MESH, 0.3)
    seen = bool(shot.track.observed[at])
    frame = draw_points(frame, shot.track.landmarks[at, :, :2], SEEN if seen else FILLED)
    if model.eye_centers is None:
        return frame
    eyes = model.eyes(params.shape)
    ray = np.stack([eyes, eyes + RAY * gaze_direction(params.gaze[at])]).reshape(1, 4, 3)
    turned = ray @ rotation_matrix(params.rotation[moment]).swapaxes(-1, -2)
    placed = pixels(turned + params.translation[moment, None], params.focal, size)[0, :, :2]
    for shift in (-0.7, 0.0, 0.7):
        frame = draw_lines(frame, placed[:2] + shift, placed[2:] + shift, GAZE)
    return frame


def write_overlay(
    clip: Clip,
    shots: Sequence[Shot],
    model: FaceModel,
    output: Path,
    progress: Progress = silent,
) -> int:
    """Write a copy of the clip with every shot drawn over it and return the number of frames.

    Raises:
        MediaError: the clip cannot be read or the output not be written.
    """
    lines = edges(model.triangles)
    manifest = Manifest(title=f"Tracking overlay of {clip.path.name}", action="overlay")
    with encode(output, like=clip, manifest=manifest) as video:
        for window, frames in stream(clip):
            video.append(_draw_window(frames, window, shots, (model, lines)))
            progress("overlay", window.stop, len(clip))
    return len(clip)


def _draw_window(
    frames: torch.Tensor, window: Window, shots: Sequence[Shot], mesh: tuple[FaceModel, Ints]
) -> torch.Tensor:
    drawn = []
    for index, frame in zip(window, frames, strict=True):
        for shot in shots:
            frame = draw_shot(frame, shot, mesh[0], index, mesh[1])
        drawn.append(frame)
    return torch.stack(drawn)
