"""Take the jitter out of a performance without blunting blinks and plosives."""

from __future__ import annotations

import numpy as np

from likeness.controls import (
    ANGLES,
    GAZE,
    POSITION,
    Values,
    control_names,
    controls_of,
    with_controls,
)
from likeness.fit.parts import part_of
from likeness.fit.seen_range import seen_rows
from likeness.smoothing import smooth_seen
from likeness.types import Bools, FaceParams

_JITTER = {
    **dict.fromkeys(ANGLES, 0.3),
    **dict.fromkeys(POSITION, 2.0),
    **dict.fromkeys(GAZE, 1.0),
}
"""Degrees and millimetres; what deviates by more from frame to frame is motion, not jitter."""
_WEIGHT_JITTER = 0.03
_MOUTH = 0.5
"""The mouth is smoothed half as much: a closure of the lips lasts for one or two frames."""
_FEWEST = 5


def jitter_of(params: FaceParams) -> Values:
    """Return (K,) how much each control trembles at most, in its units; what is more is motion."""
    limits = [_JITTER.get(name, _WEIGHT_JITTER) for name in control_names(params)]
    return np.array(limits, np.float64)


def denoise(params: FaceParams, strength: float, observed: Bools | None = None) -> FaceParams:
    """Return the performance with its jitter smoothed away, and nothing delayed.

    Args:
        params: N frames.
        strength: factor on the jitter that a smoother course may differ by; 0 changes nothing.
        observed: (N,) frames in which a face was seen; what was filled in tells nothing of jitter.
    """
    if strength <= 0 or len(params) < _FEWEST:
        return params
    names, values = control_names(params), controls_of(params)
    # A head upside down is turned by 180 degrees and by -180 in turns, which is no motion.
    angles = slice(len(ANGLES))
    values[:, angles] = np.unwrap(values[:, angles], period=360, axis=0)
    strengths = strength * np.array([_MOUTH if part_of(name) == "mouth" else 1 for name in names])
    smooth = smooth_seen(values.astype(np.float32), observed, strengths, jitter_of(params)).astype(
        np.float64
    )
    # Local quadratics may swing below zero beside a blink; a weight that was within its limits
    # stays within what was measured around it.
    rows = seen_rows(len(params), observed)
    low, high = values[rows].min(0), values[rows].max(0)
    smooth[rows] = np.clip(smooth[rows], low, high)
    return with_controls(params, smooth)
