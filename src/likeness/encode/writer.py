"""The door through which all frames leave the program."""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import torch

from likeness.encode.atomic import PICTURE_SUFFIXES, check_place, stage_sidecar
from likeness.encode.coders import EncodeConfig
from likeness.encode.signed import Signed, rehearse
from likeness.encode.sinks import Job, PictureSink, VideoSink
from likeness.errors import ConfigError, ContractError, MediaError
from likeness.provenance.credentials import Credentials, load_credentials
from likeness.provenance.manifest import Manifest
from likeness.provenance.watermark import Stamp, Watermark
from likeness.types import Clip, Timeline


class Encoder:
    """Takes frames in order and writes them; a context manager, made by `encode`."""

    def __init__(self, output: Path, job: Job) -> None:
        self.output = output
        self._job = job
        self._written = 0
        self._sink: VideoSink | PictureSink | None = None
        self._by: Credentials | None = None
        self.signed: Signed | None = None
        """Where the signed manifest is; None until everything is written."""
        self._mark = Watermark(Stamp.of(job.manifest).payload()).embedder(job.size)

    def __enter__(self) -> Self:
        sound = self._job.timeline.sound
        inputs = (self._job.like.path, *((sound.path,) if sound else ()))
        check_place(self.output, inputs)
        # Before hours of work: an output that cannot be signed is not written.
        self._by = self._job.credentials or load_credentials()
        rehearse(self._by)
        kind = PictureSink if _is_pictures(self.output) else VideoSink
        self._sink = kind(self.output, self._job)
        return self

    def append(self, frames: torch.Tensor) -> None:
        """Mark the next frames in their luma and write them.

        Args:
            frames: (n,3,H,W) float RGB; values outside [0,1] are clipped.

        Raises:
            ContractError: The shape is not the output's, or values are not finite.
            MediaError: There are more frames than the timeline has places, or writing failed.
        """
        sink = self._sink
        if sink is None:
            raise ContractError("append was called outside the `with encode(...)` block")
        expected = (3, *self._job.size)
        if frames.ndim != 4 or tuple(frames.shape[1:]) != expected:
            raise ContractError(f"frames are {tuple(frames.shape)}, expected (n, *{expected})")
        total = len(self._job.timeline)
        if self._written + len(frames) > total:
            raise MediaError(
                f"{self._written + len(frames)} frames were appended to {self.output}, expected "
                f"{total}, the length of its timeline"
            )
        frames = frames.detach().to("cpu", torch.float32)
        # A sum is not finite if a value is not, and takes no picture of flags.
        if not math.isfinite(float(frames.sum())):
            raise ContractError(
                f"frames {self._written} to {self._written + len(frames) - 1} hold values that are "
                "not finite; expected RGB in [0,1]"
            )
        try:
            for frame in self._mark.embed(frames):
                sink.write(frame, self._written)
                self._written += 1
        except (av.error.FFmpegError, ValueError, OSError) as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> MediaError:
        return MediaError(
            f"{self.output} could not be written at frame {self._written} ({error}); check the "
            "space on the disk and that the container holds this codec and sound"
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        sink, self._sink = self._sink, None
        if sink is None:
            return
        try:
            if kind is None:
                self._finish(sink)
        finally:
            # After a commit there is nothing left to remove.
            sink.discard()

    def _finish(self, sink: VideoSink | PictureSink) -> None:
        total = len(self._job.timeline)
        if self._written != total:
            raise MediaError(
                f"{self._written} frames were appended to {self.output}, expected {total}, the "
                "length of its timeline; nothing was written"
            )
        try:
            sink.finish()
            with ExitStack() as beside:
                detached = sink.sign(self._job.manifest, self._by or load_credentials())
                places = [stage_sidecar(self.output, self._job.manifest)]
                places += [detached] if detached else []
                for place in places:
                    beside.callback(place.discard)
                sink.commit()
                for place in places:
                    place.commit()
                self.signed = Signed(
                    "sidecar" if detached else "embedded", detached.output if detached else None
                )
        except (av.error.FFmpegError, ValueError, OSError) as error:
            raise self._failed(error) from error


def _is_pictures(output: Path) -> bool:
    return output.suffix.lower() in PICTURE_SUFFIXES or not output.suffix


_DEFAULTS = EncodeConfig()


def encode(
    output: Path | str,
    like: Clip,
    manifest: Manifest,
    timeline: Timeline | None = None,
    config: EncodeConfig = _DEFAULTS,
    *,
    credentials: Credentials | None = None,
) -> Encoder:
    """Open `output` for writing; use as `with encode(...) as video: video.append(frames)`.

    Args:
        output: A .mp4, .mov, .m4v, .mkv or .webm file; a picture; a pattern such as
            `out/%05d.png` (.tif, .exr); or a folder, which gets PNG files.
        like: The clip whose size, color tags, depth and pixel aspect the output takes over.
        manifest: What is written and how it came to be; there is no output without it.
        timeline: When each frame is shown and which sound is copied; `like`'s own by default.
        config: Codec, quality, depth and size.
        credentials: Who signs; this user's own by default.

    Raises:
        TypeError: `manifest` is missing or no manifest.
        ConfigError: A setting is out of its range, or the credentials are not usable.
        MediaError: On entering, appending or leaving: the output cannot be written, is an input,
            or got another number of frames than its timeline has.
    """
    if not isinstance(manifest, Manifest):
        raise TypeError(f"manifest is {type(manifest).__name__}, expected a Manifest")
    if config.bit_depth not in (None, 8, 10, 16):
        raise ConfigError(f"bit_depth is {config.bit_depth}, expected 8, 10 or 16 (pictures)")
    size = config.size or like.size
    if min(size) < 1:
        raise ConfigError(f"size is {size}, expected (height, width) in pixels")
    chosen = timeline if timeline is not None else Timeline.of(like, sound=like)
    if len(chosen) == 0:
        raise MediaError(f"the timeline of {output} has no frames; expected 1 or more")
    job = Job(like, manifest, chosen, config, (size[0], size[1]), credentials)
    return Encoder(Path(output), job)
