"""Self-reenactment: the portrait driven by frames of its own clip that training never saw.

evaluation = SelfEvaluation()
for window in ...:
    evaluation.add(real, result, landmarks_real, landmarks_result, nearest)
report = evaluation.result(seconds_per_frame)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from likeness.metrics import image, motion, regions
from likeness.metrics.fidelity import Fidelity, FrameMeasures
from likeness.metrics.summary import bootstrap_interval, mean
from likeness.metrics.temporal import BackgroundSteadiness
from likeness.types import Floats

_BASELINES = ("baseline_nearest_psnr", "baseline_nearest_psnr_face")


@dataclass(frozen=True, slots=True)
class SelfReport(Fidelity):
    """A portrait against held-out frames; PSNR on the portrait's square crop."""

    background_steadiness: float | None
    """Deviation over time of the static background, result over real; 1 is as still."""
    jitter_px: float | None
    """Frame-to-frame noise of the result's landmarks."""
    jitter_real_px: float | None
    baseline_nearest_psnr: float | None
    """Of the training frame with the nearest landmarks, in place of the result."""
    baseline_nearest_psnr_face: float | None
    seconds_per_frame: float | None


class SelfEvaluation:
    """Collects a SelfReport from consecutive windows of frames."""

    def __init__(self) -> None:
        self._measures = FrameMeasures()
        self._background = BackgroundSteadiness()
        self._tracks: dict[str, list[Floats]] = {"real": [], "result": []}

    def add(
        self,
        real: Tensor,
        result: Tensor,
        landmarks_real: Floats,
        landmarks_result: Floats | None = None,
        nearest: Tensor | None = None,
        *,
        gazes: tuple[Floats, Floats] | None = None,
        identity: Floats | None = None,
    ) -> None:
        """Take the next n frames of the held-out part, in order.

        Args:
            real, result: (n,3,h,w) RGB in [0,1], the portrait's crop.
            landmarks_real: (n,478,3) pixels of the crop.
            landmarks_result: the same, tracked in the result; NaN for frames without a face, None
                when it was not tracked.
            nearest: (n,3,h,w) the training frames with the nearest landmarks (`nearest_frames`).
            gazes, identity: as in `FrameMeasures.add`.

        Raises:
            ContractError: lengths or shapes differ.
        """
        self._measures.add(real, result, landmarks_real, landmarks_result, gazes, identity)
        if landmarks_result is None:
            landmarks_result = np.full_like(landmarks_real, np.nan)
        size = (int(real.shape[-2]), int(real.shape[-1]))
        if nearest is not None:
            hull = regions.face_hull(landmarks_real, size)
            self._measures.put("baseline_nearest_psnr", image.psnr(nearest, real))
            self._measures.put("baseline_nearest_psnr_face", image.psnr(nearest, real, hull))
        for name, track in (("real", landmarks_real), ("result", landmarks_result)):
            # A tenth of the mesh is enough to tell its jitter.
            self._tracks[name].append(track[:, : motion.MESH_POINTS : 12, :2].copy())
        self._background.add(result, real, regions.head_zone(landmarks_real, size))

    def series(self) -> dict[str, Floats]:
        """Return per-frame numbers by name, as `FrameMeasures.series`."""
        return self._measures.series()

    def latest(self, name: str) -> Floats:
        """Return (n,...) numbers of the frames that were added last."""
        return self._measures.latest(name)

    def result(self, seconds_per_frame: float | None = None) -> SelfReport:
        """Sum up.

        Args:
            seconds_per_frame: what one frame took to make, measured by the caller.

        Raises:
            ContractError: no frames were added.
        """
        fields = self._measures.summary()
        of = self.series()
        steadiness = self._background.value()
        tracks = {name: np.concatenate(parts) for name, parts in self._tracks.items()}
        for name in _BASELINES:
            fields[name] = mean(of[name]) if name in of else None
            found = bootstrap_interval(of[name]) if name in of else None
            if found:
                fields["intervals"][name] = found
        return SelfReport(
            **fields,
            background_steadiness=steadiness.ratio if steadiness else None,
            jitter_px=motion.jitter(tracks["result"]),
            jitter_real_px=motion.jitter(tracks["real"]),
            seconds_per_frame=seconds_per_frame,
        )
