"""What takes the frames: a container with video and sound, or a folder of pictures."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import torch
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from likeness.color import coded_tags
from likeness.encode.atomic import AtomicFile, AtomicPictures
from likeness.encode.coders import (
    Coder,
    EncodeConfig,
    choose_coder,
    coder_options,
    pixel_format,
)
from likeness.encode.pixels import PixelWriter, linear_float, packed_rgb16, planar_rgb
from likeness.encode.signed import sign_pictures, sign_video
from likeness.errors import MediaError
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


class VideoSink:
    """A container that is filled frame by frame, sound in step."""

    def __init__(self, output: Path, job: Job) -> None:
        self._job = job
        self._timeline = job.timeline
        codec, coder = choose_coder(job.config, output.suffix.lower())
        self._target = AtomicFile(output)
        self._pts = job.timeline.pts - job.timeline.pts[0]
        self._durations = np.append(np.diff(self._pts), job.timeline.last_duration)
        self._first = max(0, int(job.timeline.pts[0]))
        # Players skip what lies before zero: picture and sound move together to where it is seen.
        late = (self._first - int(job.timeline.pts[0])) * job.timeline.time_base
        if late:
            log.warning("%s starts before zero; it is moved by %s seconds", output, late)
        self._open = ExitStack()
        try:
            self._container = self._open_output(output)
            self._video = self._add_video(codec, coder)
            self._sound = _Sound(self._open, job.timeline, self._container, late)
        except (av.error.FFmpegError, ValueError, OSError) as error:
            self.discard()
            raise MediaError(f"{output} cannot be written ({error})") from error
        except MediaError:
            self.discard()
            raise

    def _open_output(self, output: Path) -> OutputContainer:
        options: dict[str, str] = {}
        marks = self._job.manifest.marks()
        if output.suffix.lower() in (".mp4", ".mov", ".m4v"):
            # QuickTime's own tags have no place for the whole manifest.
            mov = "+use_metadata_tags" if output.suffix.lower() == ".mov" else ""
            options["movflags"] = "+faststart" + mov
            scale = self._timeline.time_base.denominator
            if scale > _LARGEST_SCALE:
                raise MediaError(
                    f"time base {self._timeline.time_base} is too fine for {output.suffix}; "
                    "expected at least 1/2147483647 second"
                )
            options["video_track_timescale"] = str(scale)
            options["movie_timescale"] = str(self._movie_scale(scale))
            marks["comment"] += f" Picture stream sha256 {PENDING}"
        else:
            self._warn_of_milliseconds(output)
        container = av.open(str(self._target.partial), "w", container_options=options)
        self._open.enter_context(container)
        container.metadata.update(marks)
        return container

    def _movie_scale(self, scale: int) -> int:
        """Edit lists count in this scale: it must hold the starts of picture and sound exactly."""
        sound = self._timeline.sound
        rates = [track.sample_rate for track in sound.audio] if sound else []
        common = math.lcm(scale, *(rate for rate in rates if rate > 0))
        return common if common <= _LARGEST_SCALE else max(scale, 1000)

    def _warn_of_milliseconds(self, output: Path) -> None:
        tick = self._timeline.time_base * 1000
        if np.any(self._timeline.pts * tick.numerator % tick.denominator):
            log.warning("%s counts milliseconds; time stamps are rounded to them", output.suffix)

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
            self._sound.copy_until(packet.dts * self._timeline.time_base)
            self._container.mux(packet)

    def finish(self) -> None:
        """Write what the encoder still holds, the rest of the sound and the index."""
        self._mux(self._video.encode(None))
        self._sound.copy_until(None)
        self._open.close()

    def sign(self, manifest: Manifest, by: Credentials) -> AtomicFile | None:
        """Sign the finished file; return a manifest that must stand beside it, if any."""
        return sign_video(self._target.partial, self._target.output, manifest, by)

    def commit(self) -> None:
        """Put the whole file in place."""
        self._target.commit()

    def discard(self) -> None:
        """Remove what was written."""
        try:
            self._open.close()
        except (av.error.FFmpegError, ValueError, OSError) as error:
            log.debug("closing an unfinished file failed: %s", error)
        self._target.discard()


class _Sound:
    """Copies the packets of a clip's audio tracks, bit for bit, with their time stamps."""

    def __init__(
        self, opened: ExitStack, timeline: Timeline, output: OutputContainer, late: Fraction
    ) -> None:
        sound = timeline.sound
        self._output = output
        self._late = late
        self._until = timeline.sound_until
        self._streams: dict[int, AudioStream] = {}
        self._packets: Iterator[Packet[AudioStream]] = iter(())
        self._waiting: Packet[AudioStream] | None = None
        if sound is None or not sound.audio:
            return
        if sound.digest:
            # Sound is copied from a file that a record may have named long ago.
            expect_content(sound.path, sound.digest)
        container = opened.enter_context(av.open(str(sound.path), "r", metadata_errors="replace"))
        chosen = [container.streams[track.index] for track in sound.audio]
        for stream in chosen:
            if not isinstance(stream, AudioStream):
                raise MediaError(f"stream {stream.index} of {sound.path} is no sound any more")
            try:
                copy = output.add_stream_from_template(stream)
            except ValueError as error:
                raise MediaError(
                    f"the output cannot hold {stream.codec_context.name} sound ({error}); choose "
                    ".mkv, which holds any, or leave the sound out"
                ) from error
            copy.metadata.update(stream.metadata)
            copy.disposition = stream.disposition
            self._streams[stream.index] = copy
        self._packets = cast(Iterator["Packet[AudioStream]"], container.demux(chosen))

    def _take(self) -> Packet[AudioStream] | None:
        packet = next(self._packets, None)
        if packet is not None and self._late:
            ticks = round(self._late / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks
        return packet

    def _beyond(self, packet: Packet[AudioStream]) -> bool:
        """Tell whether a packet starts where the sound has been cut off."""
        if self._until is None or packet.pts is None:
            return False
        return packet.pts * packet.time_base >= self._until

    def copy_until(self, seconds: Fraction | None) -> None:
        """Write the packets up to a time, or all that are left."""
        while True:
            packet = self._waiting or self._take()
            self._waiting = None
            if packet is None:
                return
            if packet.size == 0 or self._beyond(packet):
                continue
            start = packet.dts if packet.dts is not None else packet.pts
            if seconds is not None and start is not None and start * packet.time_base > seconds:
                self._waiting = packet
                return
            packet.stream = self._streams[packet.stream_index]
            self._output.mux(packet)


class PictureSink:
    """Numbered pictures, or a single one."""

    def __init__(self, output: Path, job: Job) -> None:
        single = output.suffix != "" and "%" not in output.name
        if single and len(job.timeline) != 1:
            raise MediaError(
                f"{output} can hold one picture, {len(job.timeline)} are to be written; name a "
                f"pattern such as {output.stem}_%05d{output.suffix}"
            )
        self._output = output
        inputs = (job.like.path, *((job.timeline.sound.path,) if job.timeline.sound else ()))
        self._target = AtomicFile(output) if single else AtomicPictures(output, inputs)
        suffix = output.suffix.lower() if single else cast(AtomicPictures, self._target).suffix
        if job.timeline.sound is not None and job.timeline.sound.audio:
            log.warning("pictures hold no sound; the audio of %s is left out", output)
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
        target = self._target
        path = target.path(index) if isinstance(target, AtomicPictures) else target.partial
        path.write_bytes(data)

    def finish(self) -> None:
        """Every picture is whole when written."""

    def sign(self, manifest: Manifest, by: Credentials) -> AtomicFile | None:
        """Sign the pictures; return a manifest that must stand beside them, if any."""
        hidden = self._target.partial
        files = sorted(hidden.iterdir()) if hidden.is_dir() else [hidden]
        return sign_pictures(files, self._output, manifest, by)

    def commit(self) -> None:
        """Put the pictures in place."""
        self._target.commit()

    def discard(self) -> None:
        """Remove what was written."""
        self._target.discard()
