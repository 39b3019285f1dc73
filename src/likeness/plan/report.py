"""What a command that writes video has to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from likeness import config as settings
from likeness.plan.plan import Plan


@dataclass(frozen=True)
class RunReport:
    """What a command that writes video has to say."""

    output: str
    frames: int
    fallback_frames: tuple[int, ...]
    """Frames of the output whose face had to be guessed, because nobody was seen in the driver."""
    seconds: float
    peak_rss_mb: float
    manifest: str = "embedded"
    """Where the signed manifest is: embedded, or the name of the file that holds it."""
    clamped: dict[str, float] = field(default_factory=dict)
    """Share of frames in which a value was held back to what the target has shown."""
    clamped_share: tuple[float, ...] = ()
    """Per frame, the share of the driver's values that were held back."""
    overrun: int = 0
    """Frames after the end of the shorter performance, which was extrapolated."""
    warnings: tuple[str, ...] = ()
    """What went beyond the target's clip, in words."""

    @staticmethod
    def of(plan: Plan, output: str, manifest: str, seconds: float, peak_rss_mb: float) -> RunReport:
        """Report what became of a plan."""
        moved = plan.transfer
        return RunReport(
            output=output,
            frames=len(plan),
            fallback_frames=tuple(int(i) for i in np.flatnonzero(plan.guessed)),
            seconds=seconds,
            peak_rss_mb=peak_rss_mb,
            manifest=manifest,
            clamped=moved.clamped if moved else {},
            clamped_share=tuple(round(float(share), 4) for share in moved.clamped_share)
            if moved
            else (),
            overrun=plan.overrun,
            warnings=plan.warnings,
        )

    def json(self) -> dict[str, Any]:
        """Return JSON values."""
        return settings.to_json(self)  # type: ignore[no-any-return]
