"""What the finish of a swap knows of each frame besides its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness import geometry
from likeness.composite.finish import FrameFacts
from likeness.composite.mask import OVAL
from likeness.methods.swap.view import SwapTarget, TargetView
from likeness.types import Bools, FaceParams, Floats, Ints


@dataclass(frozen=True, eq=False)
class ClipFacts:
    """Motion and angles of a target's face in M frames."""

    motion: Floats
    """(M,2,3) similarities in pixels of the frame: where places of each frame lie in the next."""
    degrees: Floats
    """(M,) between the face and the camera."""
    numbers: Ints
    """(M,) numbers of the frames."""

    @staticmethod
    def of(target: SwapTarget) -> ClipFacts:
        """Read them from a target's track and params."""
        rows = target.rows
        points = target.shot.track.landmarks[:, list(OVAL), :2]
        return ClipFacts(
            _velocity(points, target.shot.track.observed)[rows],
            turned_away(target.shot.params)[rows],
            np.arange(len(rows)),
        )

    def told(self, view: TargetView) -> FrameFacts:
        """Tell them of a window, in pixels of its crops."""
        chosen = slice(view.window.start, view.window.stop)
        crop = np.asarray(view.crop.crop_from_frame)
        motion = geometry.compose(
            crop, geometry.compose(self.motion[chosen], geometry.invert(crop))
        )
        return FrameFacts(self.numbers[chosen], motion, self.degrees[chosen])


def turned_away(params: FaceParams) -> Floats:
    """Return (N,) degrees between where a face looks and where the camera is."""
    forward = -geometry.rotation_matrix(params.rotation)[:, :, 2]
    toward = -params.translation / np.linalg.norm(params.translation, axis=1, keepdims=True)
    cosine = (forward * toward).sum(1).clip(-1, 1)
    return np.asarray(np.degrees(np.arccos(cosine)), np.float32)


def _velocity(points: Floats, observed: Bools) -> Floats:
    """(N,2,3) motion per frame of (N,P,2) points, from the frame before to the frame after.

    None where a neighbour was not seen: what is made up has no motion that a camera saw.
    """
    count = len(points)
    before, after = np.arange(count) - 1, np.arange(count) + 1
    before, after = before.clip(0), after.clip(max=count - 1)
    steps = np.maximum(after - before, 1)[:, None, None]
    change = (similarities(points[before], points[after]) - np.eye(2, 3)) / steps
    seen = observed & observed[before] & observed[after]
    return np.asarray(np.eye(2, 3) + change * seen[:, None, None], np.float32)


def similarities(source: Floats, wanted: Floats) -> Floats:
    """(N,2,3) similarities that bring (N,P,2) points nearest to others, by least squares."""
    here, there = (points.astype(np.float64) for points in (source, wanted))
    a, b = here[..., 0] + 1j * here[..., 1], there[..., 0] + 1j * there[..., 1]
    middle, moved = a.mean(1), b.mean(1)
    a, b = a - middle[:, None], b - moved[:, None]
    turn = (np.conj(a) * b).sum(1) / np.maximum((np.abs(a) ** 2).sum(1), 1e-9)
    shift = moved - turn * middle
    rows = [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    return np.stack([np.stack(row, -1) for row in rows], -2)
