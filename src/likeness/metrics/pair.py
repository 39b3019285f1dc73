"""Any two aligned videos, frame by frame: a result and its reference."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from likeness.metrics import image, motion
from likeness.metrics.sound import at_rate, av_offset_ms
from likeness.metrics.summary import mean
from likeness.metrics.temporal import WarpedDifference
from likeness.track.measure import mouth_openness
from likeness.types import Floats, check


@dataclass(frozen=True, slots=True)
class PairReport:
    """Means over all frames; None where a number cannot be told."""

    frames: int
    psnr: float | None
    ssim: float | None
    landmark_error_px: float | None
    temporal_error: float | None
    av_offset_ms: float | None
    """How late the sound comes after the lips (`sound.av_offset_ms`)."""

    def json(self) -> dict[str, Any]:
        """Return the report as JSON values, under the names of its fields."""
        return dataclasses.asdict(self)


class PairEvaluation:
    """Collects a PairReport from consecutive windows of frames."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Floats]] = {}
        self._temporal = WarpedDifference()

    def add(
        self,
        reference: Tensor,
        result: Tensor,
        landmarks_reference: Floats | None = None,
        landmarks_result: Floats | None = None,
    ) -> None:
        """Take the next n frames, in order.

        Args:
            reference, result: (n,3,H,W) RGB in [0,1].
            landmarks_reference, landmarks_result: (n,478,3) pixels, NaN for frames without a face;
                None when there is no face at all.

        Raises:
            ContractError: shapes differ.
        """
        n = len(reference)
        missing = np.full((n, 478, 3), np.nan, np.float32)
        real = missing if landmarks_reference is None else landmarks_reference
        found = missing if landmarks_result is None else landmarks_result
        columns = {
            "psnr": image.psnr(result, reference),
            "ssim": image.ssim(result, reference),
            "landmark_error_px": motion.landmark_error(found, real),
            "mouth_reference": mouth_openness(real),
            "mouth_result": mouth_openness(found),
        }
        self._temporal.add(result, reference)
        for name, values in columns.items():
            self._columns.setdefault(name, []).append(values)

    def series(self) -> dict[str, Floats]:
        """Return per-frame numbers by name, (T,) each."""
        return {name: np.concatenate(parts) for name, parts in self._columns.items()}

    def result(
        self,
        times: Floats | None = None,
        sound_result: Floats | None = None,
        sound_reference: Floats | None = None,
    ) -> PairReport:
        """Sum up.

        Args:
            times: (T,) seconds at which frames are shown; needed to compare with sound.
            sound_result, sound_reference: `sound.envelope` of either clip from time 0; None when it
                has no sound. With the result's alone its sound is compared with its own lips.

        Raises:
            ContractError: no frames were added, or times and frames differ in number.
        """
        check(bool(self._columns), "nothing was added to the evaluation, expected frames")
        of = self.series()
        offset = None
        if times is not None and sound_result is not None:
            check(len(times) == len(of["psnr"]), f"{len(times)} times for {len(of['psnr'])} frames")
            lips = {name: at_rate(times, of[f"mouth_{name}"]) for name in ("result", "reference")}
            offset = av_offset_ms(
                lips["result"],
                sound_result,
                None if sound_reference is None else lips["reference"],
                sound_reference,
            )
        return PairReport(
            frames=len(of["psnr"]),
            psnr=mean(of["psnr"]),
            ssim=mean(of["ssim"]),
            landmark_error_px=mean(of["landmark_error_px"]),
            temporal_error=self._temporal.value(),
            av_offset_ms=offset,
        )
