"""Where each person's face is: detect, read landmarks, link into tracks, smooth.

Only `track` opens MediaPipe, and only when it is called.
"""

from __future__ import annotations

import torch

from likeness.decode import stream
from likeness.errors import TrackError
from likeness.smoothing import smooth_signal
from likeness.track.config import TrackConfig
from likeness.track.detect import Image
from likeness.track.landmarks import open_reader
from likeness.track.link import CutDetector, Linker
from likeness.track.measure import eye_openness, face_height, iris_offsets, mouth_openness
from likeness.track.smooth import smooth_track
from likeness.types import Clip, FaceTrack, Progress, silent

__all__ = [
    "TrackConfig",
    "eye_openness",
    "face_height",
    "iris_offsets",
    "mouth_openness",
    "smooth_signal",
    "smooth_track",
    "track",
]

_DEFAULT = TrackConfig()


def track(
    clip: Clip, config: TrackConfig = _DEFAULT, progress: Progress = silent
) -> tuple[FaceTrack, ...]:
    """Follow every person's face through a clip.

    Frames are streamed once, window by window; only landmarks accumulate (6 kB a frame and person).
    A shot change ends all tracks, so each track lies in one shot.

    Args:
        clip: what to look at.
        config: settings.
        progress: called as ("track", done, total).

    Returns:
        One track per person and shot, largest face first.

    Raises:
        TrackError: no face was found in the whole clip.
        BackendError: the landmark backend is not usable here.
    """
    cuts, linker = CutDetector(config), Linker(config)
    reader = open_reader(config)
    try:
        for window, frames in stream(clip, config.window):
            for index, image in zip(window, _bytes(frames), strict=True):
                if cuts.is_cut(image):
                    reader.reset()
                    linker.cut(index)
                linker.add(index, reader.read(image))
            progress("track", window.stop, len(clip))
    finally:
        reader.close()
    tracks = linker.finish(len(clip))
    if not tracks:
        raise TrackError(
            f"no face was found in the {len(clip)} frames of {clip.path.name}; expected one that is"
            " seen from the front for a moment. Lower min_confidence, set small_faces to 'always'"
            " for a distant face, or crop the clip to the person"
        )
    return tuple(smooth_track(found, config.smooth) for found in tracks)


def _bytes(frames: torch.Tensor) -> Image:
    """(n,3,H,W) in [0,1] to (n,H,W,3) uint8, as the landmark models take them."""
    image: Image = (
        frames.mul(255).add_(0.5).clamp_(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()
    )
    return image
