"""Settings of the fit."""

from __future__ import annotations

from dataclasses import dataclass

from likeness.errors import ConfigError
from likeness.types import FaceParams


@dataclass(frozen=True, eq=False)
class FitConfig:
    """How strongly each term of the energy speaks, and how long the solver works.

    Deviations (`*_spread`) are what a term takes for usual: a residual of one deviation costs one.
    """

    known: FaceParams | None = None
    """Identity, albedo and focal length that are known already and stay as they are."""
    focal: float | None = None
    """Focal length in pixels of the frame, where it is known; otherwise it is estimated."""
    landmark_spread: float = 0.015
    """Landmark deviation in face widths."""
    depth_weight: float = 0.0
    """Weight of MediaPipe's pseudo-depth against x and y. Its depth leans by several degrees and
    blurs nodding with an open jaw, so that 0 recovers both better (docs/track_and_fit.md)."""
    shape_spread: float = 1.0
    """Deviation of identity coefficients."""
    expression_spread: float = 0.5
    """Deviation of the named expression weights."""
    detail_spread: float = 0.25
    """Deviation of detail modes, which mend what the named ones can't say."""
    time_spread: float = 0.04
    """Deviation of an expression weight from the curve through its neighbors in time."""
    time_weight: float = 1.0
    """Weight of smoothness in time; 0 fits each frame alone."""
    focal_spread: float = 0.25
    """Deviation of the logarithm of the focal length from the usual portrait lens."""
    shared_frames: int = 40
    """Frames, spread over poses and expressions, that the shared identity is estimated from."""
    shared_rounds: int = 8
    """Gauss-Newton steps on identity, focal length and the chosen frames together."""
    frame_rounds: int = 6
    """Gauss-Newton steps on each frame with the shared part fixed."""
    batch: int = 32
    """Frames whose normal equations are held at once; the result doesn't depend on it."""
    photometric_weight: float = 1.0
    """Weight of the pixels against the landmarks in the pose; 0 leaves them out of the pose."""
    align_rounds: int = 1
    """Steps of laying frames onto each other by optical flow; 0 trusts the landmarks alone."""
    min_observed: int = 1
    """Fewest observed frames that are worth a fit; a photo has one."""
    window: int = 16
    """Frames decoded at once."""

    def __post_init__(self) -> None:
        for name in (
            "landmark_spread",
            "shape_spread",
            "expression_spread",
            "detail_spread",
            "time_spread",
            "focal_spread",
        ):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected more than 0")
        for name in ("depth_weight", "time_weight", "photometric_weight"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected at least 0")
        for name in (
            "shared_frames",
            "shared_rounds",
            "frame_rounds",
            "batch",
            "window",
            "min_observed",
        ):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.align_rounds < 0:
            raise ConfigError(f"align_rounds is {self.align_rounds}; expected at least 0")
        if self.focal is not None and not self.focal > 0:
            raise ConfigError(f"focal is {self.focal}; expected more than 0 pixels")
