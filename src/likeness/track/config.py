"""Settings of the tracker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from likeness.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TrackConfig:
    """How faces are found, linked and smoothed."""

    backend: Literal["bundled", "task"] = "bundled"
    """`bundled` uses the models inside MediaPipe's wheel; `task` a downloaded `.task` file."""
    model: Path | None = None
    """Path of the `.task` file; only the `task` backend reads it."""
    max_faces: int = 4
    """Most people followed at once."""
    min_confidence: float = 0.5
    """Least confidence of detection and of tracking, in [0,1]."""
    small_faces: Literal["auto", "always", "never"] = "auto"
    """When to look for faces below about a tenth of the frame with the full-range detector: in
    frames where the direct search finds nobody, in all frames, or in none."""
    tile: int = 960
    """Side in pixels of the tiles that the full-range detector sees; larger frames are tiled."""
    even: bool = True
    """Whether frames are read a second time in the mirror, which takes out the side that the
    landmark network favors and some of its jitter; off, tracking takes a third less work."""
    mirror_every: int = 1
    """Frames after which one is read in the mirror too; 1 is every frame."""
    look_every: int = 12
    """Frames of a shot after which somebody new is looked for, while known faces are followed
    without; who has come is then read from the first frame on. 1 looks in every frame."""
    max_gap: int = 12
    """Longest run of missing frames that is filled in (0.5 s at 25 fps, a turned head)."""
    min_length: int = 8
    """Tracks with fewer observed frames are dropped as false alarms, unless the shot is shorter."""
    link_distance: float = 0.7
    """Farthest jump from frame to frame that still is the same person, in face widths."""
    cut_change: float = 0.12
    """Least mean change of luma from frame to frame that can be a cut, in [0,1]."""
    cut_histogram: float = 0.25
    """Least distance of luma histograms (half their L1 distance) that can be a cut, in [0,1]."""
    smooth: float = 1.0
    """Strength of temporal smoothing: how many times its own noise a landmark may be moved; 0 is
    off."""
    window: int = 16
    """Frames decoded at once."""

    def __post_init__(self) -> None:
        if self.backend not in ("bundled", "task"):
            raise ConfigError(f"backend is {self.backend!r}; expected 'bundled' or 'task'")
        if self.small_faces not in ("auto", "always", "never"):
            raise ConfigError(
                f"small_faces is {self.small_faces!r}; expected 'auto', 'always' or 'never'"
            )
        for name in ("max_faces", "window", "min_length", "tile", "look_every", "mirror_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected at least 1")
        for name in ("max_gap", "smooth", "link_distance", "cut_change", "cut_histogram"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected at least 0")
        if not 0 < self.min_confidence <= 1:
            raise ConfigError(f"min_confidence is {self.min_confidence}; expected (0, 1]")
