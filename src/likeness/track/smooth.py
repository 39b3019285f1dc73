"""Take the jitter out of tracks without delaying them."""

from __future__ import annotations

from dataclasses import replace

from likeness.smoothing import smooth_seen
from likeness.track.link import boxes_of
from likeness.types import FaceTrack

_JITTER = 1.5e-3


def smooth_track(track: FaceTrack, strength: float = 1.0) -> FaceTrack:
    """Return the track with landmarks and boxes smoothed over time.

    Args:
        track: N frames.
        strength: factor on the noise level that misfits are compared with; 0 returns the track.
    """
    if strength <= 0 or len(track) < 5:
        return track
    # Points jitter by about 1.5 thousandths of the face's size; what is more than that is motion.
    boxes = track.boxes[track.observed] if track.observed.any() else track.boxes
    extent = float((boxes[:, 2:] - boxes[:, :2]).mean())
    landmarks = smooth_seen(track.landmarks, track.observed, strength, _JITTER * extent)
    return replace(track, landmarks=landmarks, boxes=boxes_of(landmarks))
