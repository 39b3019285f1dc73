"""Any two aligned videos, frame by frame: a result and its reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from likeness.metrics.fidelity import Fidelity, FrameMeasures
from likeness.metrics.sound import at_rate, av_offset_ms
from likeness.types import Floats, check

_WHO = {"result": "result", "reference": "real"}


@dataclass(frozen=True, slots=True)
class PairReport(Fidelity):
    """A result against its reference."""

    av_offset_ms: float | None
    """How late the sound comes after the lips (`sound.av_offset_ms`)."""
    left_out: Mapping[str, int]
    """Frames of the `output` and of the `reference` that have no partner in the other."""


class PairEvaluation:
    """Collects a PairReport from consecutive windows of frames."""

    def __init__(self) -> None:
        self._measures = FrameMeasures()

    def add(
        self,
        reference: Tensor,
        result: Tensor,
        landmarks_reference: Floats | None = None,
        landmarks_result: Floats | None = None,
        *,
        identity: Floats | None = None,
    ) -> None:
        """Take the next n frames, in order; arguments as in `FrameMeasures.add`."""
        self._measures.add(
            reference, result, landmarks_reference, landmarks_result, identity=identity
        )

    def series(self) -> dict[str, Floats]:
        """Return per-frame numbers by name, as `FrameMeasures.series`."""
        return self._measures.series()

    def latest(self, name: str) -> Floats:
        """Return (n,...) numbers of the frames that were added last."""
        return self._measures.latest(name)

    def result(
        self,
        times: Floats | None = None,
        sound_result: Floats | None = None,
        sound_reference: Floats | None = None,
        left_out: Mapping[str, int] | None = None,
    ) -> PairReport:
        """Sum up.

        Args:
            times: (T,) seconds at which frames are shown (`lips.middles`); needed to compare with
                sound.
            sound_result, sound_reference: `lips.heard` of either clip; None when it
                has no sound. With the result's alone its sound is compared with its own lips.
            left_out: frames without a partner, of `output` and `reference`; none by default.

        Raises:
            ContractError: no frames were added, or times and frames differ in number.
        """
        fields = self._measures.summary()
        of = self.series()
        offset = None
        if times is not None and sound_result is not None:
            check(len(times) == len(of["psnr"]), f"{len(times)} times for {len(of['psnr'])} frames")
            lips = {name: at_rate(times, of[f"mouth_{key}"]) for name, key in _WHO.items()}
            offset = av_offset_ms(
                lips["result"],
                sound_result,
                None if sound_reference is None else lips["reference"],
                sound_reference,
            )
        return PairReport(
            **fields,
            av_offset_ms=offset,
            left_out=dict(left_out or {"output": 0, "reference": 0}),
        )
