"""What an edit changed, and whether it is steady: a result against the clip it was made from.

evaluation = EditEvaluation()
for window in ...:
    evaluation.add(original, result, landmarks_original)
report = evaluation.result(codes_original, codes_result, frames, distances)
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter
from torch import Tensor
from torch.nn import functional

from likeness.metrics.consistency import tg_id, tl_id
from likeness.metrics.image import luma
from likeness.metrics.regions import face_hull, head_zone
from likeness.metrics.temporal import flow, visible, warp
from likeness.types import Bools, Floats, Ints

_NOISE_FLOOR = 1 / 255 / np.sqrt(12)
"""Deviation that rounding to 8 bits makes: nothing is steadier."""
_EDGE = 0.012
"""Deviation, in face widths, of the blur under which an edge is looked for."""
_BAND = 0.07
"""How far the band around the outline reaches to both sides, in face widths."""
_STEEPEST = 0.05
"""Share of the band that counts: an edge is narrow."""
_HAIR = 0.75
"""How far hair may stand above the face, in face heights: a bun grays with the rest."""
_CHANGED = 8 / 255
"""Difference that coding the video anew does not make."""
_LONGEST = 512


@dataclass(frozen=True, slots=True)
class EditReport:
    """An edited clip against its original; None where a number cannot be told."""

    frames: int
    tl_id: float | None
    """`consistency.tl_id`: identity between neighboring frames, 1 is as in the original."""
    tg_id: float | None
    """`consistency.tg_id`: the same between all frames."""
    seam: float | None
    """Height of the steps that the edit makes along the face's outline, in [0,1] of luma: the
    steepest twentieth of a band around it, mean over frames."""
    flicker: float | None
    """Change of the edit from frame to frame that the original's motion doesn't explain, inside the
    face, relative to the same of the original itself: below 1 the edit is steadier than the clip.
    Where an edit moves skin, the clip's own grain moves along and counts, too.
    """
    flicker_result: float | None
    """What the result's own motion does not explain in the result, over the same of the original:
    near 1 the picture is as steady as the clip, whatever moved."""
    identity_original: float | None
    """Mean distance between the faces of result and original by the recognizer."""
    outside_changed: float | None
    """Share of pixels outside the head that differ by more than coding makes them."""
    face_changed: float | None
    """Mean absolute difference inside the face's outline, in [0,1]: how much was edited."""
    faces_lost: int
    """Frames whose face is found in the original and not in the result."""

    def json(self) -> dict[str, Any]:
        """Return the report as JSON values, under the names of its fields."""
        return dataclasses.asdict(self)


class EditEvaluation:
    """Collects what pixels tell from consecutive windows of frames; memory is that of one frame."""

    def __init__(self) -> None:
        self._before: tuple[Tensor, Tensor] | None = None
        self._squares: list[tuple[float, float, float]] = []
        self._seams: list[float] = []
        self._outside: list[float] = []
        self._inside: list[float] = []
        self._frames = 0

    def add(self, original: Tensor, result: Tensor, landmarks: Floats) -> None:
        """Take the next n frames.

        Args:
            original, result: (n,3,H,W) RGB in [0,1].
            landmarks: (n,478,>=2) of the original's face in pixels; NaN where there is none.
        """
        factor = -(-max(original.shape[-2:]) // _LONGEST)
        if factor > 1:
            original, result = (functional.avg_pool2d(p, factor) for p in (original, result))
        points = landmarks[..., :2] / factor
        size = (original.shape[2], original.shape[3])
        hulls, heads = face_hull(points, size), head_zone(points, size, _HAIR)
        for n in range(len(original)):
            self._frames += 1
            self._steadiness(original[n], result[n], hulls[n])
            away = np.abs((result[n] - original[n]).numpy()).max(0)
            if not heads[n].any():
                continue
            if (~heads[n]).any():
                # Averaged over neighbors, so that a coder's grain counts less than an edit.
                self._outside.append(float((_blur(away, 1.0)[~heads[n]] > _CHANGED).mean()))
            self._inside.append(float(away[hulls[n]].mean()))
            step = _steps(luma(result[n : n + 1] - original[n : n + 1])[0].numpy(), hulls[n])
            if step is not None:
                self._seams.append(step)

    def result(
        self,
        original: Floats,
        edited: Floats,
        frames: Ints,
        distances: Floats,
        faces_lost: int = 0,
    ) -> EditReport:
        """Sum up.

        Args:
            original, edited: (m,D) codes of the faces that were recognized in both clips.
            frames: (m,) which frames these are.
            distances: (m,) between the two faces of each.
            faces_lost: frames without a face in the result.
        """
        squares = np.array(self._squares, np.float64).reshape(-1, 3)
        squares = squares[np.isfinite(squares).all(1)]
        flicker, whole = None, None
        if len(squares):
            added, own, left = np.sqrt(squares.mean(0))
            flicker, whole = (float(part / max(own, _NOISE_FLOOR)) for part in (added, left))
        return EditReport(
            frames=self._frames,
            tl_id=tl_id(edited, original, frames),
            tg_id=tg_id(edited, original),
            seam=_mean(self._seams),
            flicker=flicker,
            flicker_result=whole,
            identity_original=float(distances.mean()) if len(distances) else None,
            outside_changed=_mean(self._outside),
            face_changed=_mean(self._inside),
            faces_lost=faces_lost,
        )

    def _steadiness(self, original: Tensor, result: Tensor, hull: Bools) -> None:
        now = (original, result)
        if self._before is not None and hull.any():
            real, edited = self._before
            back, forth = flow(original, real), flow(real, original)
            seen = visible(back, forth) & hull
            if seen.any():
                own = _unexplained(original, real, back, seen)
                added = _unexplained(result - original, edited - real, back, seen)
                left = _unexplained(result, edited, flow(result, edited), seen)
                self._squares.append((added, own, left))
        self._before = now


def _unexplained(now: Tensor, before: Tensor, back: Floats, seen: Bools) -> float:
    """Mean square, where it is seen, of a picture less the one before moved along a flow."""
    past = warp(before[None], back)[0]
    return float((now - past).square().mean(0).numpy()[seen].mean())


def _steps(change: Floats, hull: Bools) -> float | None:
    """Height of the edges in a change (h,w) along the outline of a face."""
    width = float(np.ptp(np.flatnonzero(hull.any(0)))) if hull.any() else 0.0
    reach = round(_BAND * width)
    if reach < 2:
        return None
    band = binary_dilation(hull, iterations=reach) & ~binary_erosion(hull, iterations=reach)
    sigma = max(_EDGE * width, 0.7)
    soft = _blur(change, sigma)
    steep = np.hypot(*np.gradient(soft))[band] * sigma * np.sqrt(2 * np.pi)
    count = max(1, int(_STEEPEST * len(steep)))
    return float(np.partition(steep, -count)[-count:].mean())


def _blur(picture: Floats, sigma: float) -> Floats:
    return np.asarray(gaussian_filter(picture, sigma), np.float32)


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
