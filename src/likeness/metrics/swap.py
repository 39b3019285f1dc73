"""A swap, judged: whose face, whose motion, what else changed.

evaluation = SwapEvaluation()
for window in ...:
    evaluation.add(target, result, landmarks_target, landmarks_result, {"pose_error_deg": ...})
report = evaluation.result(left_out)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from likeness.condition.crop import cut
from likeness.metrics import motion
from likeness.metrics.outside import changed_far
from likeness.metrics.regions import FACE_OVAL
from likeness.metrics.seam import seam
from likeness.metrics.summary import bootstrap_interval, mean
from likeness.metrics.temporal import difference_of_roots, unexplained
from likeness.track.measure import eye_openness, mouth_openness
from likeness.types import Bools, Crop, Floats, check

SQUARE = 1.9
"""Side of the square around a face in which seam and flicker are looked for, in sizes of the face
(root of the area of its oval's box)."""
SIDE = 256
"""Side of that square in pixels."""
GIVEN = ("identity_source", "identity_target", "pose_error_deg", "expression_error", "gaze")
"""Numbers per frame that the caller measures."""
_BOTH = ("result", "target")


@dataclass(frozen=True, slots=True)
class SwapReport:
    """A swap against its target and its source; None where a number cannot be told."""

    frames: int
    """Pairs of frames in which the target's face was seen."""
    identity_source: float | None
    """Mean distance of the result's face to the source by a recognizer."""
    identity_target: float | None
    """Mean distance to the target; larger is better."""
    nearer_to_source: float | None
    """Share of frames whose face is nearer to the source than to the target."""
    pose_error_deg: float | None
    """Angle between the fitted heads."""
    expression_error: float | None
    """Mean distance in millimetres between the face model's points, each face's fitted expression
    put on the mean head."""
    gaze_error_deg: float | None
    """Angle between the fitted gazes in the head, over frames with both of the target's eyes
    open."""
    mouth_correlation: float | None
    blink_correlation: float | None
    mouth_gain: float | None
    """How far the mouth opens for each step that the target's does, by regression."""
    blink_gain: float | None
    temporal_error: float | None
    """Flicker beyond the target's own, RGB [0,1]."""
    seam: float | None
    """How much sharper an edge stands where the change begins than in the target, RGB [0,1]."""
    outside_changed: float | None
    """Share of the picture far from the face that changed by more than coding explains."""
    outside_noise: float | None
    """Median difference far from the face, RGB [0,1]: what coding, or a change of the whole
    picture, did everywhere."""
    identity_apart: float | None
    """Distance between source and target: what there was to be bridged."""
    identity_own: float | None
    """Mean distance of the source's own pictures to the source: the best that can be had."""
    faces_lost: int
    """Frames in which the target's face is seen and none in its place in the result."""
    left_out: Mapping[str, int]
    """Frames of the `result` and of the `target` without a partner."""
    intervals: Mapping[str, tuple[float, float]]
    """95 % confidence intervals of the numbers above, by a block bootstrap over frames."""

    def json(self) -> dict[str, Any]:
        """Return the report as JSON values, under the names of its fields."""
        told = {name: list(self.intervals[name]) for name in sorted(self.intervals)}
        return {**dataclasses.asdict(self), "left_out": dict(self.left_out), "intervals": told}


@dataclass(frozen=True, slots=True)
class Apart:
    """What identities have to do with each other before any result."""

    source_target: float | None = None
    own: float | None = None


class SwapEvaluation:
    """Collects a SwapReport from consecutive windows of frames."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Floats]] = {}
        self._before: Tensor | None = None

    def add(
        self,
        target: Tensor,
        result: Tensor,
        landmarks_target: Floats,
        landmarks_result: Floats,
        given: Mapping[str, Floats] | None = None,
    ) -> None:
        """Take the next n frames, in order.

        Args:
            target, result: (n,3,h,w) RGB in [0,1].
            landmarks_target, landmarks_result: (n,478,3) pixels; NaN for frames in which the face
                was not seen.
            given: (n,) by the names of `GIVEN`, NaN where unknown: distances to source and target,
                degrees between heads, millimetres between expressions, degrees between gazes.

        Raises:
            ContractError: lengths or shapes differ, or a number has another name.
        """
        check(target.shape == result.shape, f"shapes differ: {target.shape} and {result.shape}")
        unknown = np.full(len(target), np.nan, np.float32)
        found = dict.fromkeys(GIVEN, unknown) | dict(given or {})
        check(set(found) == set(GIVEN), f"{sorted(found)} were given, expected {GIVEN}")
        for name, values in found.items():
            check(len(values) == len(target), f"{name} has {len(values)}, not {len(target)}")
            self._put(name, values)
        for name, landmarks in zip(_BOTH, (landmarks_result, landmarks_target), strict=True):
            self._put(f"eyes_{name}", eye_openness(landmarks))
            self._put(f"mouth_{name}", mouth_openness(landmarks))
        seen = np.isfinite(landmarks_target).all((1, 2))
        share, noise = changed_far(target, result, (landmarks_target, landmarks_result))
        self._put("outside_changed", np.where(seen, share, np.nan))
        self._put("outside_noise", np.where(seen, noise, np.nan))
        self._add_squares(target, result, landmarks_target, seen)

    def series(self) -> dict[str, Floats]:
        """Return per-frame numbers by name, (T,) or (T,2) each; NaN where unknown."""
        return {name: np.concatenate(parts) for name, parts in self._columns.items()}

    def latest(self, name: str) -> Floats:
        """Return (n,...) numbers of the frames that were added last."""
        return self._columns[name][-1]

    def result(
        self, left_out: Mapping[str, int] | None = None, apart: Apart | None = None
    ) -> SwapReport:
        """Sum up.

        Args:
            left_out: frames without a partner, of `result` and `target`; none by default.
            apart: distances that are known without the result.

        Raises:
            ContractError: no frames were added.
        """
        check(bool(self._columns), "nothing was added to the evaluation, expected frames")
        of, apart = self.series(), apart or Apart()
        shut = motion.closed_eyes(of["eyes_target"])
        both = np.stack([of["identity_source"], of["identity_target"]], -1)
        nearer = np.where(np.isfinite(both).all(-1), both[:, 0] < both[:, 1], np.nan)
        told: dict[str, tuple[Floats, Callable[[Floats], float | None]]] = {
            **{name: (of[name], mean) for name in GIVEN[:4]},
            "nearer_to_source": (nearer, mean),
            "gaze_error_deg": (np.where(shut, np.nan, of["gaze"]), mean),
            "mouth_correlation": (_pair(of, "mouth"), _lips),
            "blink_correlation": (_pair(of, "eyes"), _blinks),
            "mouth_gain": (_pair(of, "mouth"), _lips_gain),
            "blink_gain": (_pair(of, "eyes"), _blinks_gain),
            "temporal_error": (of["unexplained"], difference_of_roots),
            "seam": (of["seam"], mean),
            "outside_changed": (of["outside_changed"], mean),
            "outside_noise": (of["outside_noise"], mean),
        }
        intervals = {name: bootstrap_interval(v, how) for name, (v, how) in told.items()}
        seen = np.isfinite(of["mouth_target"])
        return SwapReport(
            **{name: how(values) for name, (values, how) in told.items()},
            frames=int(seen.sum()),
            faces_lost=int((seen & np.isnan(of["mouth_result"])).sum()),
            identity_apart=apart.source_target,
            identity_own=apart.own,
            left_out=dict(left_out or {"result": 0, "target": 0}),
            intervals={name: found for name, found in intervals.items() if found},
        )

    def _put(self, name: str, values: Floats) -> None:
        self._columns.setdefault(name, []).append(np.asarray(values, np.float32))

    def _add_squares(self, target: Tensor, result: Tensor, landmarks: Floats, seen: Bools) -> None:
        seams = np.full(len(target), np.nan, np.float32)
        changes = np.full((len(target), 2), np.nan, np.float32)
        for i in range(len(target)):
            if not seen[i]:
                self._before = None
                continue
            square = face_square(landmarks[i : i + 1])
            now = torch.cat([cut(result[i : i + 1], square), cut(target[i : i + 1], square)])
            seams[i] = seam(now[1:], now[:1])[0]
            if self._before is not None:
                changes[i] = unexplained(self._before, now)
            self._before = now
        self._put("seam", seams)
        self._put("unexplained", changes)
        roots = np.sqrt(changes)
        self._put("temporal_error", roots[:, 0] - roots[:, 1])


def face_square(landmarks: Floats) -> Crop:
    """Return the upright squares around faces, which follow them.

    Args:
        landmarks: (n,478,>=2) pixels.

    Returns:
        n similarities to squares of SIDE pixels, SQUARE times as large as the face.
    """
    oval = landmarks[:, FACE_OVAL, :2]
    low, high = oval.min(1), oval.max(1)
    size = np.sqrt((high - low).prod(-1).clip(min=1))
    scale = SIDE / (SQUARE * size)
    matrices = np.zeros((len(landmarks), 2, 3), np.float32)
    matrices[:, 0, 0] = matrices[:, 1, 1] = scale
    matrices[:, :, 2] = SIDE / 2 - scale[:, None] * (low + high) / 2
    return Crop((SIDE, SIDE), matrices)


def _pair(of: Mapping[str, Floats], name: str) -> Floats:
    columns = [of[f"{name}_{who}"] for who in _BOTH]
    return np.stack([values if values.ndim == 1 else values.mean(-1) for values in columns], -1)


def _lips(openness: Floats) -> float | None:
    return motion.correlation(openness[:, 0], openness[:, 1], motion.STILL_MOUTH)


def _blinks(openness: Floats) -> float | None:
    return motion.correlation(openness[:, 0], openness[:, 1], motion.STILL_OPENNESS)


def _lips_gain(openness: Floats) -> float | None:
    return motion.gain(openness[:, 0], openness[:, 1], motion.STILL_MOUTH)


def _blinks_gain(openness: Floats) -> float | None:
    return motion.gain(openness[:, 0], openness[:, 1], motion.STILL_OPENNESS)
