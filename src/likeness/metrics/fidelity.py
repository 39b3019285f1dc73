"""What every evaluation measures of a result and the real frames: pixels, faces, steadiness.

Pixels are dropped after each call; a few numbers per frame are kept for series and intervals.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from likeness.metrics import image, motion, regions
from likeness.metrics.summary import bootstrap_interval, mean, ratio_of_roots
from likeness.metrics.temporal import WarpedDifference, difference_of_roots
from likeness.track.measure import eye_openness, mouth_openness
from likeness.types import Floats, check

_AVERAGED = (
    *("psnr", "ssim", "psnr_face", "psnr_eyes", "psnr_mouth"),
    *("landmark_error_px", "identity"),
)
_REGIONS = ("face", "eyes", "mouth")


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How near a result is to the real frames; None where a number cannot be told.

    `_face`, `_eyes` and `_mouth` count inside regions drawn from the real landmarks. Judge by
    these: a static background rules the rest.
    """

    frames: int
    psnr: float | None
    """Peak signal-to-noise ratio in dB, mean over frames."""
    ssim: float | None
    psnr_face: float | None
    psnr_eyes: float | None
    psnr_mouth: float | None
    sharpness_face: float | None
    """Root of the ratio of Laplacian energies, result over real, of all frames together."""
    sharpness_eyes: float | None
    sharpness_mouth: float | None
    detail_face: float | None
    """Cosine of the Laplacians of result and real, all frames together: how much of the detail is
    the real one. Sharpness counts any detail, a printed grid too."""
    detail_eyes: float | None
    detail_mouth: float | None
    landmark_error_px: float | None
    gaze_error_deg: float | None
    """Over frames with both eyes open in the real clip."""
    blink_correlation: float | None
    mouth_correlation: float | None
    temporal_error: float | None
    """Change that the real clip's motion doesn't explain, less the real clip's own."""
    identity: float | None
    """Mean distance of the result's face to the real one by a recognizer, over a sample of frames;
    None without a recognizer."""
    faces_lost: int
    """Frames in which the tracker found a face in the real picture and none in the result."""
    intervals: Mapping[str, tuple[float, float]]
    """95 % confidence intervals of the numbers above, by a block bootstrap over frames."""

    def json(self) -> dict[str, Any]:
        """Return the report as JSON values, under the names of its fields."""
        told = {name: list(self.intervals[name]) for name in sorted(self.intervals)}
        return {**dataclasses.asdict(self), "intervals": told}


class FrameMeasures:
    """Collects numbers per frame from consecutive windows, and sums them up."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Floats]] = {}
        self._temporal = WarpedDifference()

    def add(
        self,
        real: Tensor,
        result: Tensor,
        landmarks_real: Floats | None = None,
        landmarks_result: Floats | None = None,
        gazes: tuple[Floats, Floats] | None = None,
        identity: Floats | None = None,
    ) -> None:
        """Take the next n frames, in order.

        Args:
            real, result: (n,3,h,w) RGB in [0,1].
            landmarks_real, landmarks_result: (n,478,3) pixels, NaN for frames without a face; None
                when nothing was tracked.
            identity: (n,) distances between the two faces by a recognizer, NaN where not asked.
            gazes: (n,2,2) radians of the real eyes and of the result's, NaN where unknown; from
                the irises' place between the corners of the eyes when None.

        Raises:
            ContractError: lengths or shapes differ.
        """
        wanted = (len(real), 478, 3)
        missing = np.full(wanted, np.nan, np.float32)
        truth = missing if landmarks_real is None else landmarks_real
        found = missing if landmarks_result is None else landmarks_result
        for name, landmarks in (("real", truth), ("result", found)):
            check(
                landmarks.shape == wanted,
                f"landmarks of the {name} frames have shape {landmarks.shape}, expected {wanted}",
            )
        self._add_pictures(real, result, truth)
        self._add_motion(truth, found, gazes)
        self.put("identity", np.full(len(real), np.nan) if identity is None else identity)
        self._temporal.add(result, real)

    def put(self, name: str, values: Floats) -> None:
        """Keep (n,...) further numbers of the frames that were added last."""
        self._columns.setdefault(name, []).append(values)

    def latest(self, name: str) -> Floats:
        """Return (n,...) numbers of the frames that were added last."""
        return self._columns[name][-1]

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

    def summary(self) -> dict[str, Any]:
        """Return the fields of `Fidelity` by name.

        Raises:
            ContractError: no frames were added.
        """
        check(bool(self._columns), "nothing was added to the evaluation, expected frames")
        of = self.series()
        told: dict[str, tuple[Floats, Callable[[Floats], float | None] | None]] = {
            name: (of[name], None) for name in _AVERAGED
        }
        shut = motion.closed_eyes(of["eyes_real"])
        told["gaze_error_deg"] = (np.where(shut, np.nan, of["gaze"]), None)
        for region in _REGIONS:
            told[f"sharpness_{region}"] = (of[f"energies_{region}"], _sharpness)
            told[f"detail_{region}"] = (of[f"energies_{region}"], _detail)
        lids = np.stack([of[f"eyes_{who}"].mean(-1) for who in ("result", "real")], -1)
        lips = np.stack([of[f"mouth_{who}"] for who in ("result", "real")], -1)
        told["blink_correlation"] = (lids, _blinks)
        told["mouth_correlation"] = (lips, _lips)
        told["temporal_error"] = (self._temporal.squares(), difference_of_roots)
        seen = np.isfinite(of["mouth_real"])
        intervals = {name: bootstrap_interval(v, how) for name, (v, how) in told.items()}
        return {
            "frames": len(of["psnr"]),
            **{name: (how or mean)(values) for name, (values, how) in told.items()},
            "faces_lost": int((np.isnan(of["mouth_result"]) & seen).sum()),
            "intervals": {name: found for name, found in intervals.items() if found},
        }

    def _add_pictures(self, real: Tensor, result: Tensor, landmarks: Floats) -> None:
        size = (int(real.shape[-2]), int(real.shape[-1]))
        masks = {
            "face": regions.face_hull(landmarks, size),
            "eyes": regions.eye_mask(landmarks, size),
            "mouth": regions.mouth_mask(landmarks, size),
        }
        self.put("psnr", image.psnr(result, real))
        self.put("ssim", image.ssim(result, real))
        for region, mask in masks.items():
            self.put(f"psnr_{region}", image.psnr(result, real, mask))
            self.put(f"energies_{region}", image.detail_energies(result, real, mask))

    def _add_motion(
        self, real: Floats, result: Floats, gazes: tuple[Floats, Floats] | None
    ) -> None:
        self.put("landmark_error_px", motion.landmark_error(result, real))
        looks = gazes or (motion.gaze_from_landmarks(real), motion.gaze_from_landmarks(result))
        self.put("gaze", motion.gaze_error_deg(looks[1], looks[0]))
        for name, track in (("real", real), ("result", result)):
            self.put(f"eyes_{name}", eye_openness(track))
            self.put(f"mouth_{name}", mouth_openness(track))


def _sharpness(energies: Floats) -> float | None:
    return ratio_of_roots(energies[:, 0], energies[:, 1])


def _detail(energies: Floats) -> float | None:
    result, real, common = np.nansum(energies, 0, dtype=np.float64)
    return float(common / np.sqrt(result * real)) if result * real > 0 else None


def _blinks(openness: Floats) -> float | None:
    return motion.correlation(openness[:, 0], openness[:, 1], motion.STILL_OPENNESS)


def _lips(openness: Floats) -> float | None:
    return motion.correlation(openness[:, 0], openness[:, 1], motion.STILL_MOUTH)
