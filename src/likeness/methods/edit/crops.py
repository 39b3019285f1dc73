"""Smoothed alignment: where the generator sees the face in each frame.

Paper: Tzaban et al., Stitch it in Time (SIGGRAPH Asia 2022), section 4.1. Landmarks tremble, and a
generator answers a trembling crop with a trembling face; so FFHQ's squares are smoothed over time
before anything is cut, their centers with a Gaussian of one frame, their axes with one of three.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from likeness.condition.ffhq import Squares, squares_of
from likeness.errors import ConfigError
from likeness.types import Bools, Floats, check


@dataclass(frozen=True)
class AlignConfig:
    """How squares are laid around the face."""

    center_sigma: float = 1.0
    """Deviation of the filter over centers in frames; 0 does not smooth."""
    axis_sigma: float = 3.0
    """The same over axes: size and turn."""
    scale: float = 1.0
    """Size in units of FFHQ's own square."""

    def __post_init__(self) -> None:
        if min(self.center_sigma, self.axis_sigma) < 0 or not 0.25 <= self.scale <= 4:
            raise ConfigError(
                f"center_sigma {self.center_sigma}, axis_sigma {self.axis_sigma}, scale "
                f"{self.scale}; expected deviations of 0 or more and a scale of 0.25 to 4"
            )


def smoothed_squares(landmarks: Floats, present: Bools, config: AlignConfig) -> Squares:
    """Lay a square around the face of each frame, smooth over time.

    Args:
        landmarks: (M,478,>=2) pixels of the frame.
        present: (M,) False where the face is away: nothing is smoothed across such frames.
        config: settings.

    Returns:
        M squares; those of absent frames are where the tracker left the face.
    """
    check(len(landmarks) == len(present), f"{len(landmarks)} faces, {len(present)} facts")
    found = squares_of(landmarks, config.scale)
    center, axis = found.center.copy(), found.axis.copy()
    for run in _runs(present):
        center[run] = _smooth(found.center[run], config.center_sigma)
        axis[run] = _smooth(found.axis[run], config.axis_sigma)
    return Squares(center, axis)


def _smooth(values: Floats, sigma: float) -> Floats:
    if sigma <= 0:
        return values
    # Ends are extended by reflection, as scipy and the paper's code do.
    smooth = gaussian_filter1d(values.astype(np.float64), sigma, axis=0, mode="reflect")
    return np.asarray(smooth, np.float32)


def _runs(present: Bools) -> list[slice]:
    """Split into runs of frames that show the face."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], present, [False]]).astype(np.int8)))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
