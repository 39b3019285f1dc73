"""What takes the frames: a container with video and sound, or a folder of pictures."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import torch
from av.container import OutputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from likeness.color import coded_tags
from likeness.encode.coders import (
    Coder,
    EncodeConfig,
    choose_coder,
    coder_options,
    pixel_format,
)
from likeness.encode.pixels import PixelWriter, linear_float, packed_rgb16, planar_rgb
from likeness.encode.tracks import Tracks, beside_of
from likeness.errors import MediaError
from likeness.files import why_unwritable
from likeness.media_names import ffmpeg_name
from likeness.provenance.credentials import Credentials
from likeness.provenance.digests import expect_content
from likeness.provenance.manifest import PENDING, Manifest
from likeness.types import Clip, Timeline

log = logging.getLogger(__name__)

_LARGEST_SCALE = 2**31 - 1
_KEY_SECONDS = 5
"""Most seconds between key frames: short enough to seek, long enough to cost nothing."""


@dataclass(frozen=True, eq=False)
class Job:
    """What a sink is asked to write."""

    like: Clip
    manifest: Manifest
    timeline: Timeline
    config: EncodeConfig
    size: tuple[int, int]
    credentials: Credentials | None = None
    open_end: bool = False
    """Whether the timeline only says where frames may stand: some or all of its end stay empty."""


class VideoSink:
    """A container that is filled frame by frame, sound in step."""

    def __init__(self, file: Path, job: Job) -> None:
        """Open `file`, a name in a hidden folder, for a job."""
        self._job = job
        self._timeline = job.timeline
        self._file = file
        codec, coder = choose_coder(job.config, file.suffix.lower())
        self._pts = job.timeline.pts - job.timeline.pts[0]
        self._durations = np.append(np.diff(self._pts), job.timeline.last_duration)
        self._open = ExitStack()
        try:
            self._container = self._open_output()
            self._video = self._add_video(codec, coder)
            sound = job.timeline.sound
            if sound is not None and sound.audio and sound.digest:
                # Sound is copied from a file that a record may have named long ago.
                expect_content(sound.path, sound.digest)
            beside = beside_of(job.like, job.timeline)
            self._tracks = Tracks(self._open, beside, self._container, file.suffix.lower())
            self._first = self._set_clock()
        except (av.error.FFmpegError, ValueError, OSError) as error:
            self.close()
            raise MediaError(f"{file.name} cannot be written: {why_unwritable(error)}") from error
        except BaseException:
            self.close()
            raise

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the input could not be copied as it was, in sentences."""
        return tuple(self._tracks.notes)

    @property
    def seconds(self) -> list[float]:
        """When each frame is shown in the file."""
        times = (self._pts + self._first) * float(self._timeline.time_base)
        return [float(time) for time in times]

    def _set_clock(self) -> int:
        """Let the output start at zero, with picture and sound as far apart as they were.

        Returns:
            Ticks of the timeline from zero to the first frame.
        """
        tick = self._timeline.time_base
        picture = int(self._timeline.pts[0]) * tick
        zero = self._tracks.earliest(picture, tick)
        self._tracks.begin(zero, self._timeline.sound_until)
        return int((picture - zero) / tick)

    def _open_output(self) -> OutputContainer:
        options: dict[str, str] = {}
        marks = self._job.manifest.marks()
        suffix = self._file.suffix.lower()
        if suffix in (".mp4", ".mov", ".m4v"):
            # QuickTime's own tags have no place for the whole manifest.
            mov = "+use_metadata_tags" if suffix == ".mov" else ""
            options["movflags"] = "+faststart" + mov
            scale = self._timeline.time_base.denominator
            if scale > _LARGEST_SCALE:
                raise MediaError(
                    f"time base {self._timeline.time_base} is too fine for {suffix}; "
                    "expected at least 1/2147483647 second"
                )
            options["video_track_timescale"] = str(scale)
            options["movie_timescale"] = str(self._movie_scale(scale))
            marks["comment"] += f" Picture stream sha256 {PENDING}"
        else:
            self._warn_of_milliseconds(suffix)
        container = av.open(ffmpeg_name(self._file), "w", container_options=options)
        self._open.enter_context(container)
        container.metadata.update(marks)
        return container

    def _movie_scale(self, scale: int) -> int:
        """Edit lists count in this scale: it must hold the starts of picture and sound exactly."""
        sound = self._timeline.sound
        rates = [track.sample_rate for track in sound.audio] if sound else []
        common = math.lcm(scale, *(rate for rate in rates if rate > 0))
        return common if common <= _LARGEST_SCALE else max(scale, 1000)

    def _warn_of_milliseconds(self, suffix: str) -> None:
        tick = self._timeline.time_base * 1000
        if np.any(self._pts * tick.numerator % tick.denominator):
            log.warning("%s counts milliseconds; time stamps are rounded to them", suffix)

    def _add_video(self, codec: str, coder: Coder) -> VideoStream:
        job, timeline = self._job, self._timeline
        bits = 10 if (job.config.bit_depth or job.like.bit_depth) > 8 else 8
        name = pixel_format(coder, bits, job.size)
        tags = coded_tags(job.like.color, job.size[0])
        seconds = float(self._durations.sum() * timeline.time_base)
        rate = Fraction(len(timeline) / seconds).limit_denominator(60000)
        options = coder_options(
            coder,
            job.config,
            steady=len(set(self._durations.tolist())) == 1,
            key_distance=max(1, min(300, round(_KEY_SECONDS * rate))),
        )
        stream = cast(
            VideoStream,
            self._container.add_stream(
                coder.name,
                rate=rate,
                options=options,
                width=job.size[1],
                height=job.size[0],
                time_base=timeline.time_base,
            ),
        )
        stream.pix_fmt = name
        context = stream.codec_context
        context.sample_aspect_ratio = job.like.pixel_aspect
        context.color_primaries, context.color_trc = tags.primaries, tags.transfer
        context.colorspace, context.color_range = tags.matrix, 2 if tags.full_range else 1
        if codec == "hevc" and "mp4" in self._container.format.name:
            # The tag that Apple's players insist on.
            context.codec_tag = "hvc1"
        self._pixels = PixelWriter(tags, name, coder.left_chroma)
        return stream

    def write(self, rgb: torch.Tensor, index: int) -> None:
        """Encode frame `index` of the timeline."""
        picture = self._pixels.picture(rgb)
        picture.pts = int(self._pts[index])
        picture.time_base = self._timeline.time_base
        self._mux(self._video.encode(picture))

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            if packet.pts is None or packet.dts is None:
                raise MediaError("the encoder returned a packet without a time stamp")
            packet.duration = int(self._durations[np.searchsorted(self._pts, packet.pts)])
            packet.pts += self._first
            packet.dts += self._first
            packet.time_base = self._timeline.time_base
            self._tracks.copy_until(packet.dts * self._timeline.time_base)
            self._container.mux(packet)

    def finish(self) -> None:
        """Write what the encoder still holds, the rest of the sound and the index."""
        self._mux(self._video.encode(None))
        self._tracks.copy_until(None)
        self._open.close()

    def files(self) -> list[Path]:
        """Return what was written."""
        return [self._file]

    def close(self) -> None:
        """Let go of an unfinished file."""
        try:
            self._open.close()
        except (av.error.FFmpegError, ValueError, OSError) as error:
            log.debug("closing an unfinished file failed: %s", error)


class PictureSink:
    """Numbered pictures, or a single one."""

    def __init__(self, folder: Path, job: Job, names: Callable[[int], str], suffix: str) -> None:
        """Prepare to write pictures into a hidden folder.

        Args:
            folder: where they are written.
            job: what they show.
            names: file name of each picture by its number.
            suffix: its ending, lower case.
        """
        self._folder = folder
        self._names = names
        self._written: list[Path] = []
        self.notes: tuple[str, ...] = ()
        if job.timeline.sound is not None and job.timeline.sound.audio:
            self.notes = (
                f"pictures hold no sound; that of {job.timeline.sound.path.name} is left out",
            )
            log.warning("%s", self.notes[0])
        self._deep = (job.config.bit_depth or job.like.bit_depth) > 8
        self._kind = {".png": "png", ".exr": "exr"}.get(suffix, "tiff")
        self._context: VideoCodecContext | None = None

    def _picture(self, rgb: torch.Tensor) -> VideoFrame:
        if self._kind == "exr":
            return linear_float(rgb)
        if self._deep:
            return packed_rgb16(rgb, "rgb48be" if self._kind == "png" else "rgb48le")
        return planar_rgb(rgb).reformat(format="rgb24", threads=1)

    def write(self, rgb: torch.Tensor, index: int) -> None:
        """Write picture `index`."""
        picture = self._picture(rgb)
        if self._context is None:
            self._context = cast(VideoCodecContext, av.CodecContext.create(self._kind, "w"))
            self._context.width, self._context.height = picture.width, picture.height
            self._context.pix_fmt = picture.format.name
            self._context.time_base = Fraction(1, 25)
            # Threads would hand out each picture late.
            self._context.thread_count = 1
        picture.pts = index
        data = b"".join(bytes(packet) for packet in self._context.encode(picture))
        if not data:
            raise MediaError(f"the {self._kind} encoder returned nothing for picture {index}")
        path = self._folder / self._names(index)
        path.write_bytes(data)
        self._written.append(path)

    def finish(self) -> None:
        """Every picture is whole when written."""

    def files(self) -> list[Path]:
        """Return what was written, in order."""
        return self._written

    def close(self) -> None:
        """Nothing is held open."""
