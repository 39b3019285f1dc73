"""Self-reenactment: the portrait driven by frames of its own clip that training never saw.

    evaluation = SelfEvaluation()
    for window in ...:
        evaluation.add(real, result, landmarks_real, landmarks_result, nearest)
    report = evaluation.result(seconds_per_frame)

Pixels are dropped after each call; a few numbers per frame are kept for series and intervals.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from likeness.metrics import image, motion, regions
from likeness.metrics.summary import bootstrap_interval, mean, ratio_of_roots
from likeness.metrics.temporal import BackgroundSteadiness, Steadiness, WarpedDifference
from likeness.track.measure import eye_openness, mouth_openness
from likeness.types import Floats, check


@dataclass(frozen=True, slots=True)
class SelfReport:
    """Means over all frames; None where a number cannot be told.

    PSNR in dB on the portrait's square crop; `_face`, `_eyes` and `_mouth` inside the regions drawn
    from the real landmarks. Judge by these: the static background rules the rest.
    """

    frames: int
    psnr: float | None
    ssim: float | None
    psnr_face: float | None
    psnr_eyes: float | None
    psnr_mouth: float | None
    sharpness_face: float | None
    """Root of the ratio of Laplacian energies, result over real, of all frames together."""
    landmark_error_px: float | None
    gaze_error_deg: float | None
    """From irises, over frames with both eyes open in the real clip."""
    blink_correlation: float | None
    mouth_correlation: float | None
    temporal_error: float | None
    background_steadiness: float | None
    """Deviation over time of the static background, result over real; 1 is as still."""
    jitter_px: float | None
    """Frame-to-frame noise of the result's landmarks."""
    jitter_real_px: float | None
    faces_lost: int
    """Frames in which the tracker found no face in the result."""
    baseline_nearest_psnr: float | None
    baseline_nearest_psnr_face: float | None
    seconds_per_frame: float | None
    intervals: Mapping[str, tuple[float, float]]
    """95 % confidence intervals of some of the means above."""

    def json(self) -> dict[str, Any]:
        """Return the report as JSON values, under the names of its fields."""
        return {**dataclasses.asdict(self), "intervals": {k: list(v) for k, v in self._sorted()}}

    def _sorted(self) -> list[tuple[str, tuple[float, float]]]:
        return sorted(self.intervals.items())


class SelfEvaluation:
    """Collects a SelfReport from consecutive windows of frames."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Floats]] = {}
        self._temporal = WarpedDifference()
        self._background = BackgroundSteadiness()
        self._tracks: dict[str, list[Floats]] = {"real": [], "result": []}

    def add(
        self,
        real: Tensor,
        result: Tensor,
        landmarks_real: Floats,
        landmarks_result: Floats | None = None,
        nearest: Tensor | None = None,
    ) -> None:
        """Take the next n frames of the held-out part, in order.

        Args:
            real, result: (n,3,h,w) RGB in [0,1], the portrait's crop.
            landmarks_real: (n,478,3) pixels of the crop.
            landmarks_result: the same, tracked in the result; NaN for frames without a face, None
                when it was not tracked.
            nearest: (n,3,h,w) the training frames with the nearest landmarks (`nearest_frames`).

        Raises:
            ContractError: lengths or shapes differ.
        """
        n = len(real)
        if landmarks_result is None:
            landmarks_result = np.full((n, 478, 3), np.nan, np.float32)
        for name, landmarks in (("real", landmarks_real), ("result", landmarks_result)):
            check(
                landmarks.shape == (n, 478, 3),
                f"landmarks of the {name} frames have shape {landmarks.shape}, "
                f"expected {(n, 478, 3)}",
            )
        self._add_pictures(real, result, landmarks_real, nearest)
        self._add_motion(landmarks_real, landmarks_result)
        self._temporal.add(result, real)
        self._background.add(result, real, regions.head_zone(landmarks_real, _size(real)))

    def series(self) -> dict[str, Floats]:
        """Return per-frame numbers by name, (T,) or (T,2) each, for curves.

        `temporal_error` belongs to pairs of frames and is NaN for the first.
        """
        columns = {name: np.concatenate(parts) for name, parts in self._columns.items()}
        if columns:
            columns["temporal_error"] = np.concatenate([[np.nan], self._temporal.series()]).astype(
                np.float32
            )
        return columns

    def result(self, seconds_per_frame: float | None = None) -> SelfReport:
        """Sum up.

        Args:
            seconds_per_frame: what one frame took to make, measured by the caller.

        Raises:
            ContractError: no frames were added.
        """
        check(bool(self._columns), "nothing was added to the evaluation, expected frames")
        of = self.series()
        steadiness: Steadiness | None = self._background.value()
        averaged = ("psnr", "ssim", "psnr_face", "psnr_eyes", "psnr_mouth", "landmark_error_px")
        baselines = ("baseline_nearest_psnr", "baseline_nearest_psnr_face")
        intervals = {n: bootstrap_interval(of[n]) for n in (*averaged, *baselines) if n in of}
        tracks = {name: np.concatenate(parts) for name, parts in self._tracks.items()}
        means = {name: mean(of[name]) if name in of else None for name in (*averaged, *baselines)}
        return SelfReport(
            frames=len(of["psnr"]),
            sharpness_face=ratio_of_roots(of["energy_result"], of["energy_real"]),
            gaze_error_deg=mean(np.where(motion.closed_eyes(of["eyes_real"]), np.nan, of["gaze"])),
            blink_correlation=motion.blink_correlation(of["eyes_result"], of["eyes_real"]),
            mouth_correlation=motion.mouth_correlation(of["mouth_result"], of["mouth_real"]),
            temporal_error=self._temporal.value(),
            background_steadiness=steadiness.ratio if steadiness else None,
            jitter_px=motion.jitter(tracks["result"]),
            jitter_real_px=motion.jitter(tracks["real"]),
            faces_lost=int(np.isnan(of["landmark_error_px"]).sum()),
            seconds_per_frame=seconds_per_frame,
            intervals={name: found for name, found in intervals.items() if found},
            **means,
        )

    def _add_pictures(
        self, real: Tensor, result: Tensor, landmarks: Floats, nearest: Tensor | None
    ) -> None:
        size = _size(real)
        hull = regions.face_hull(landmarks, size)
        self._put("psnr", image.psnr(result, real))
        self._put("ssim", image.ssim(result, real))
        self._put("psnr_face", image.psnr(result, real, hull))
        self._put("psnr_eyes", image.psnr(result, real, regions.eye_mask(landmarks, size)))
        self._put("psnr_mouth", image.psnr(result, real, regions.mouth_mask(landmarks, size)))
        self._put("energy_result", image.laplacian_energy(result, hull))
        self._put("energy_real", image.laplacian_energy(real, hull))
        if nearest is not None:
            self._put("baseline_nearest_psnr", image.psnr(nearest, real))
            self._put("baseline_nearest_psnr_face", image.psnr(nearest, real, hull))

    def _add_motion(self, real: Floats, result: Floats) -> None:
        self._put("landmark_error_px", motion.landmark_error(result, real))
        gaze = [motion.gaze_from_landmarks(track) for track in (result, real)]
        self._put("gaze", motion.gaze_error_deg(gaze[0], gaze[1]))
        for name, track in (("real", real), ("result", result)):
            self._put(f"eyes_{name}", eye_openness(track))
            self._put(f"mouth_{name}", mouth_openness(track))
            # A tenth of the mesh is enough to tell its jitter.
            self._tracks[name].append(track[:, : motion.MESH_POINTS : 12, :2].copy())

    def _put(self, name: str, values: Floats) -> None:
        self._columns.setdefault(name, []).append(values)


def _size(pictures: Tensor) -> tuple[int, int]:
    return int(pictures.shape[-2]), int(pictures.shape[-1])
