"""The door through which all frames leave the program."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import torch

from likeness.encode.coders import EncodeConfig, choose_coder
from likeness.encode.marked import Sampled, check_size, frames_to_try, settle
from likeness.encode.numbered import Numbered
from likeness.encode.ours import Stamps, own_file
from likeness.encode.place import estimate_bytes, is_numbered, is_pictures, prove_place
from likeness.encode.signed import Signed, rehearse, sign_pictures, sign_video
from likeness.encode.sinks import Job, PictureSink, VideoSink
from likeness.encode.staging import Staging
from likeness.errors import ConfigError, ContractError, MediaError
from likeness.files import why_unwritable
from likeness.provenance.credentials import Credentials, load_credentials
from likeness.provenance.manifest import Manifest, sidecar_of
from likeness.provenance.watermark import Stamp, Watermark
from likeness.types import Clip, Timeline

_OPEN_FRAMES = 1500
"""Frames that an output without a known end is expected to have at least, for its space."""


class Encoder:
    """Takes frames in order and writes them; a context manager, made by `encode`."""

    def __init__(self, output: Path, job: Job, inputs: tuple[Path, ...]) -> None:
        self.output = output
        self._job = job
        self._inputs = inputs
        self._total = len(job.timeline)
        self._marked = self._written = 0
        self._place = output
        self._staging: Staging | None = None
        self._sink: VideoSink | PictureSink | None = None
        self._by: Credentials | None = None
        self._ours: Stamps = {}
        self._sampled: Sampled | None = None
        self._try = 0
        self._places: list[int] = []
        """Where on the timeline each marked frame stands, if not one after the other."""
        self._tried: list[torch.Tensor] = []
        """The first frames, held until settings that are not safe have been tried on them."""
        self._told: list[str] = []
        self.signed: Signed | None = None
        """Where the signed manifest is; None until everything is written."""
        self._mark = Watermark(Stamp.of(job.manifest).payload()).embedder(job.size)

    @property
    def notes(self) -> tuple[str, ...]:
        """What did not come into the output as it was or as was asked for, in sentences."""
        return (*(self._sink.notes if self._sink else ()), *self._told)

    def __enter__(self) -> Self:
        job = self._job
        sound = job.timeline.sound
        inputs = (job.like.path, *((sound.path,) if sound else ()), *self._inputs)
        foreseen = min(self._total, _OPEN_FRAMES) if job.open_end else self._total
        estimate = estimate_bytes(self.output, job.size, foreseen)
        self._place = place = prove_place(self.output, inputs, estimate)
        # Before hours of work: an output that cannot be signed is not written.
        self._by = job.credentials or load_credentials()
        rehearse(self._by)
        numbered = Numbered(place) if is_numbered(place) else None
        into = None
        if numbered is not None:
            self._ours = numbered.prove_ours()
            into = place.name if numbered.whole_folder else None
        try:
            self._staging = Staging(place, into)
            self._sink = self._open_sink(numbered)
        except OSError as error:
            raise MediaError(f"{self.output} cannot be written: {why_unwritable(error)}") from error
        finally:
            if self._sink is None and self._staging is not None:
                self._staging.discard()
        return self

    def _open_sink(self, numbered: Numbered | None) -> VideoSink | PictureSink:
        job, place, staging = self._job, self._place, self._opened_staging()
        if numbered is not None:
            return PictureSink(staging.main, job, numbered.name, numbered.suffix)
        suffix = place.suffix.lower()
        if is_pictures(place):
            if self._total != 1:
                raise MediaError(
                    f"{self.output} can hold one picture, {self._total} are to be written; name a "
                    f"pattern such as {self.output.stem}_%05d{self.output.suffix}"
                )
            return PictureSink(staging.main, job, lambda _: place.name, suffix)
        check_size(job.size)
        self._sampled = Sampled(job.size, None if job.open_end else self._total)
        self._try = frames_to_try(job.config, suffix, job.size, self._total)
        return VideoSink(staging.main / place.name, job)

    def _opened_staging(self) -> Staging:
        if self._staging is None:
            raise ContractError("append was called outside the `with encode(...)` block")
        return self._staging

    def append(self, frames: torch.Tensor, places: Sequence[int] = ()) -> None:
        """Mark the next frames in their luma and write them.

        Args:
            frames: (n,3,H,W) float RGB; values outside [0,1] are clipped.
            places: (n) where on an open-ended timeline they stand, increasing; each is shown until
                the next.

        Raises:
            ContractError: The shape is not the output's, or values are not finite.
            MediaError: There are more frames than the timeline has places, or writing failed.
        """
        self._opened_staging()
        expected = (3, *self._job.size)
        if frames.ndim != 4 or tuple(frames.shape[1:]) != expected:
            raise ContractError(f"frames are {tuple(frames.shape)}, expected (n, *{expected})")
        total = self._total
        self._place_frames(len(frames), places)
        if self._marked + len(frames) > total:
            raise MediaError(
                f"{self._marked + len(frames)} frames were appended to {self.output}, expected "
                f"{total}, the length of its timeline"
            )
        frames = frames.detach().to("cpu", torch.float32)
        # A sum is not finite if a value is not, and takes no picture of flags.
        if not math.isfinite(float(frames.sum())):
            raise ContractError(
                f"frames {self._marked} to {self._marked + len(frames) - 1} hold values that are "
                "not finite; expected RGB in [0,1]"
            )
        try:
            for frame in self._mark.embed(frames):
                self._take(frame)
        except (av.error.FFmpegError, ValueError, OSError) as error:
            raise self._failed(error) from error

    def _place_frames(self, count: int, places: Sequence[int]) -> None:
        if len(places) != (count if self._job.open_end else 0):
            raise ContractError(
                f"{count} frames came with {len(places)} places, expected one for each where the "
                "timeline has an open end, else none"
            )
        line = [*self._places[-1:], *places]
        if any(b <= a for a, b in pairwise(line)) or any(p >= self._total for p in places):
            raise MediaError(
                f"frames stand at {line} on a timeline of {self._total}; expected increasing "
                "places on it"
            )
        self._places += places

    def _take(self, frame: torch.Tensor) -> None:
        """Write a marked frame, or hold it until the settings are tried."""
        if self._sampled is not None:
            self._sampled.take(frame, self._marked)
        self._marked += 1
        if self._try == 0:
            self._write(frame)
            return
        self._tried.append(frame.clone())
        if len(self._tried) == self._try:
            self._release()

    def _release(self) -> None:
        """Settle on settings by the frames that are held, and write these."""
        frames, self._tried, self._try = torch.stack(self._tried), [], 0
        self._settle(frames)
        for held in frames:
            self._write(held)

    def _write(self, frame: torch.Tensor) -> None:
        if self._sink is None:
            raise ContractError("the output is closed")
        index = self._places[self._written] if self._job.open_end else self._written
        self._sink.write(frame, index)
        self._written += 1

    def _settle(self, frames: torch.Tensor) -> None:
        """Try the settings on the first frames, and open the output anew if they erase the mark."""
        job, staging, suffix = self._job, self._opened_staging(), self._place.suffix.lower()
        line = job.timeline
        ends = line.pts[: len(frames)]
        short = Timeline(ends, line.time_base, line.last_duration, None)
        trial = staging.scratch / f"trial{suffix}"
        # Of a file that isn't there, nothing can be copied into the trial.
        like = replace(job.like, path=trial.with_name("none"))

        def write(config: EncodeConfig) -> Path:
            sink = VideoSink(trial, replace(job, timeline=short, config=config, like=like))
            try:
                for index, frame in enumerate(frames):
                    sink.write(frame, index)
                sink.finish()
            finally:
                sink.close()
            return trial

        config, note = settle(frames, job.config, suffix, write)
        if note is None:
            return
        self._told.append(note)
        if self._sink is not None:
            self._sink.close()
        self._job = replace(job, config=config)
        self._sink = VideoSink(staging.main / self._place.name, self._job)

    def _failed(self, error: Exception) -> MediaError:
        return MediaError(
            f"{self.output} could not be written at frame {self._written}: {why_unwritable(error)}"
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        staging = self._staging
        if self._sink is None or staging is None:
            return
        try:
            if kind is None:
                if self._job.open_end and self._tried:
                    self._release()
                self._finish(self._sink, staging)
        finally:
            self._staging = None
            self._sink.close()
            # After a commit there is nothing left to remove.
            staging.discard()

    def _finish(self, sink: VideoSink | PictureSink, staging: Staging) -> None:
        if self._job.open_end:
            if self._marked == 0:
                raise MediaError(f"no frame came for {self.output}; nothing was written")
        elif self._marked != self._total:
            raise MediaError(
                f"{self._marked} frames were appended to {self.output}, expected {self._total}, "
                "the length of its timeline; nothing was written"
            )
        job, place = self._job, self._place
        try:
            sink.finish()
            by, files = self._by or load_credentials(), sink.files()
            self._check_mark(sink, files[0])
            if isinstance(sink, VideoSink):
                detached = sign_video(files[0], staging.beside, job.manifest, by, place)
            else:
                detached = sign_pictures(files, staging.beside, job.manifest, by, place)
            record = staging.beside / sidecar_of(place).name
            record.write_text(job.manifest.json() + "\n", encoding="utf-8")
            ours = self._ours if is_numbered(place) else own_file(place)
            staging.commit(ours, detached=detached is not None)
            self.signed = Signed("sidecar" if detached else "embedded", detached)
        except (av.error.FFmpegError, ValueError, OSError) as error:
            raise self._failed(error) from error

    def _check_mark(self, sink: VideoSink | PictureSink, file: Path) -> None:
        """Test the mark in a finished video; pictures are coded without loss."""
        if self._sampled is None or isinstance(sink, PictureSink):
            return
        config = self._job.config
        coder = choose_coder(config, self._place.suffix.lower())[1]
        quality = coder.quality if config.quality is None else config.quality
        seconds = sink.seconds
        if self._job.open_end:
            seconds = [seconds[place] for place in self._places]
            self._sampled.end(self._marked)
        if note := self._sampled.check(file, seconds, quality, coder.quality):
            self._told.append(note)


_DEFAULTS = EncodeConfig()


def encode(
    output: Path | str,
    like: Clip,
    manifest: Manifest,
    timeline: Timeline | None = None,
    config: EncodeConfig = _DEFAULTS,
    *,
    credentials: Credentials | None = None,
    inputs: Iterable[Path] = (),
    open_end: bool = False,
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
        inputs: What else was read for it (bundles, drivers, tables, consents); it is never
            overwritten.
        open_end: Whether frames may stand anywhere on the timeline, and end before it does.

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
    job = Job(like, manifest, chosen, config, (size[0], size[1]), credentials, open_end)
    return Encoder(Path(output), job, tuple(inputs))
