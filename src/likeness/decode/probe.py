"""Facts of a clip: `open_clip` reads everything but the pixels."""

from __future__ import annotations

import logging
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from likeness.channels import plain_channels
from likeness.decode.container import cause, frames_of, open_container, shown_of, video_stream
from likeness.decode.kinds import Kind
from likeness.decode.pictures import is_pictures, open_pictures
from likeness.decode.pixels import depth_of, tags_of
from likeness.decode.table import table_of
from likeness.errors import MediaError
from likeness.provenance.digests import digest_of
from likeness.types import AudioTrack, Clip

log = logging.getLogger(__name__)


def open_clip(path: Path | str, frame_rate: Fraction | int = 25, *, square: bool = True) -> Clip:
    """Read the facts of a video file, picture, folder of pictures or numbered pattern.

    Args:
        path: A video; a picture (PNG, JPEG, TIFF, EXR, ...: a clip of one frame); a folder of
            pictures, taken in order of name; or a pattern such as `frames_%05d.png`, where numbers
            that are missing leave the picture before them standing.
        frame_rate: Frames per second of pictures; videos bring their own.
        square: Whether frames are stretched until their pixels are square, so that what is measured
            in pixels has the proportions that were in front of the camera. Only who asks how the
            file was coded leaves it out.

    Returns:
        The clip: upright size, time stamp of every frame, color tags, depth and audio tracks.

    Raises:
        MediaError: The file is missing, no regular file, no video, has no video stream, an unknown
            codec, asks for more than `limits` allow, or is cut off so that nothing of it can be
            decoded.
    """
    path = Path(path)
    if is_pictures(path):
        return open_pictures(path, Fraction(frame_rate), square=square)
    table = table_of(path)
    with open_container(path) as container:
        stream = video_stream(container, path)
        try:
            frame = next(frames_of(container, stream), None)
        except av.error.FFmpegError as error:
            raise MediaError(
                f"{path} cannot be decoded ({cause(error)}); convert it first"
            ) from error
        if frame is None:
            raise MediaError(f"{path} holds no frame that can be decoded: truncated or damaged")
        shown = replace(shown_of(container, stream, frame, path), squared=square)
        if shown.is_stretched:
            log.info(
                "%s has pixels of %s; its frames are stretched to %dx%d square ones",
                path,
                shown.aspect,
                *shown.size[::-1],
            )
        return Clip(
            path=path,
            digest=digest_of(path),
            size=shown.size,
            pts=table.pts.astype(np.int64),
            time_base=table.time_base,
            last_duration=table.last_duration,
            color=tags_of(frame),
            bit_depth=depth_of(frame),
            rotation=shown.degrees,
            pixel_aspect=shown.pixel_aspect,
            audio=_audio_of(container),
            codec=stream.codec_context.name,
        )


def _audio_of(container: InputContainer) -> tuple[AudioTrack, ...]:
    tracks = []
    for stream in container.streams.audio:
        if stream.codec_context is None:
            log.warning("audio stream %d has an unknown codec and is left out", stream.index)
            continue
        context = stream.codec_context
        channels = plain_channels(context)
        tracks.append(AudioTrack(stream.index, context.name, context.sample_rate, channels))
    return tuple(tracks)


def read_marks(path: Path | str) -> dict[str, str]:
    """Return the metadata of a container, keys in lower case.

    Raises:
        MediaError: The file is missing or no medium.
    """
    kind: Kind = "picture" if is_pictures(Path(path)) else "video"
    with open_container(Path(path), kind) as container:
        return {key.lower(): value for key, value in container.metadata.items()}
