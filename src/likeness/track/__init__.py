"""Where each person's face is: detect, read landmarks, link into tracks, smooth.

Only `track` opens MediaPipe, and only when it is called.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import torch

from likeness.decode import stream
from likeness.decode.prefetch import prefetch
from likeness.errors import TrackError
from likeness.smoothing import smooth_signal
from likeness.track.blocks import Block, Blocks
from likeness.track.config import TrackConfig
from likeness.track.detect import Image
from likeness.track.landmarks import Reader
from likeness.track.link import CutDetector, Linker
from likeness.track.measure import eye_openness, face_height, iris_offsets, mouth_openness
from likeness.track.readers import open_reader
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
    linker = Linker(config)
    reader = open_reader(config)
    try:
        for block in prefetch(_look(clip, config)):
            read_block(block, reader, linker)
            progress("track", block[0].stop, len(clip))
    finally:
        reader.close()
    tracks = linker.finish(len(clip))
    if not tracks and reader.refused:
        raise TrackError(
            f"no face was found in the {len(clip)} frames of {clip.path.name}: in {reader.refused} "
            "of them something was read as a face, but otherwise in its mirror image, and no "
            "better with the picture turned by 90, 180 or 270 degrees. Expected a face that is "
            "seen from the front for a moment; crop the clip to the person"
        )
    if not tracks:
        raise TrackError(
            f"no face was found in the {len(clip)} frames of {clip.path.name}; expected one that is"
            " seen from the front for a moment. Lower min_confidence, set small_faces to 'always'"
            " for a distant face, or crop the clip to the person"
        )
    return tuple(smooth_track(found, config.smooth) for found in tracks)


def _look(clip: Clip, config: TrackConfig) -> Generator[Block, None, None]:
    """Yield pictures by blocks of shots."""
    detector, blocks = CutDetector(config), Blocks(config.look_every)
    for window, frames in stream(clip, config.window, reuse=True):
        images = bytes_of(frames)
        yield from blocks.add(window.start, images, [detector.is_cut(image) for image in images])
    yield from blocks.rest()


def read_block(block: Block, reader: Reader, linker: Linker) -> None:
    """Read the frames of a block and link who is in them."""
    window, images, begins = block
    if begins:
        linker.cut(window.start)
    cuts = [begins] + [False] * (len(images) - 1)
    for index, faces in zip(window, reader.read_run(images, cuts), strict=True):
        linker.add(index, faces)


def bytes_of(frames: torch.Tensor) -> list[Image]:
    """(n,3,H,W) in [0,1] to n pictures (H,W,3) uint8, as the landmark models take them."""
    import cv2

    images = [np.empty((*frames.shape[2:], 3), np.uint8) for _ in frames]
    for image, planes in zip(images, frames.numpy(), strict=True):
        cv2.merge([cv2.convertScaleAbs(plane, alpha=255) for plane in planes], image)
    return images
