"""Facts of a clip: `open_clip` reads everything but the pixels."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from likeness.decode.container import (
    frames_of,
    open_container,
    orientation_of,
    table_of,
    video_stream,
)
from likeness.decode.pictures import is_pictures, open_pictures
from likeness.decode.pixels import depth_of, tags_of
from likeness.errors import MediaError
from likeness.provenance.digests import digest_of
from likeness.types import AudioTrack, Clip

log = logging.getLogger(__name__)


def open_clip(path: Path | str, frame_rate: Fraction | int = 25) -> Clip:
    """Read the facts of a video file, picture, folder of pictures or numbered pattern.

    Args:
        path: A video; a picture (PNG, JPEG, TIFF, EXR, ...: a clip of one frame); a folder of
            pictures, taken in order of name; or a pattern such as `frames_%05d.png`, where numbers
            that are missing leave the picture before them standing.
        frame_rate: Frames per second of pictures; videos bring their own.

    Returns:
        The clip: upright size, time stamp of every frame, color tags, depth and audio tracks.

    Raises:
        MediaError: The file is missing, no video, has no video stream, an unknown codec, or is cut
            off so that nothing of it can be decoded.
    """
    path = Path(path)
    if is_pictures(path):
        return open_pictures(path, Fraction(frame_rate))
    table = table_of(path)
    with open_container(path) as container:
        stream = video_stream(container, path)
        try:
            frame = next(frames_of(container, stream), None)
        except av.error.FFmpegError as error:
            raise MediaError(f"{path} cannot be decoded ({error}); convert it first") from error
        if frame is None:
            raise MediaError(f"{path} holds no frame that can be decoded: truncated or damaged")
        degrees, _ = orientation_of(frame)
        lying = degrees in (90, 270)
        return Clip(
            path=path,
            digest=digest_of(path),
            size=(frame.width, frame.height) if lying else (frame.height, frame.width),
            pts=table.pts.astype(np.int64),
            time_base=table.time_base,
            last_duration=table.last_duration,
            color=tags_of(frame),
            bit_depth=depth_of(frame),
            rotation=degrees,
            pixel_aspect=_pixel_aspect(stream.sample_aspect_ratio, lying),
            audio=_audio_of(container),
            codec=stream.codec_context.name,
        )


def _pixel_aspect(found: Fraction | None, lying: bool) -> Fraction:
    if not found or found <= 0:
        return Fraction(1)
    return 1 / found if lying else found


def _audio_of(container: InputContainer) -> tuple[AudioTrack, ...]:
    tracks = []
    for stream in container.streams.audio:
        if stream.codec_context is None:
            log.warning("audio stream %d has an unknown codec and is left out", stream.index)
            continue
        context = stream.codec_context
        tracks.append(AudioTrack(stream.index, context.name, context.sample_rate, context.channels))
    return tuple(tracks)


def read_marks(path: Path | str) -> dict[str, str]:
    """Return the metadata of a container, keys in lower case.

    Raises:
        MediaError: The file is missing or no medium.
    """
    with open_container(Path(path)) as container:
        return {key.lower(): value for key, value in container.metadata.items()}
