"""Pixels of a clip, window by window, in constant memory."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self

import av
import numpy as np
import torch
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from likeness.decode.container import cause, frames_of, open_container, shown_of, video_stream
from likeness.decode.heap import trim_heap
from likeness.decode.limits import WINDOW_BYTES, window_length
from likeness.decode.pictures import Picture, is_pictures, list_pictures, read_picture
from likeness.decode.pixels import PixelReader
from likeness.decode.prefetch import prefetch
from likeness.decode.shown import Shown, is_square
from likeness.decode.stored import open_stored
from likeness.decode.table import table_of
from likeness.errors import ContractError, MediaError
from likeness.types import Clip, Window

log = logging.getLogger(__name__)

_CACHE_BYTES = 64 << 20
"""Decoded pictures kept for windows that overlap: 64 MiB is 170 frames of 512x512 in 8 bit."""

_TRIM = 64
"""Frames after which a stream gives memory back."""


class _Source(Protocol):
    def picture(self, index: int) -> Picture: ...

    def close(self) -> None: ...


class _Pictures:
    def __init__(self, clip: Clip) -> None:
        self._files, _ = list_pictures(clip.path)
        if len(self._files) != len(clip):
            raise _changed(clip, len(self._files))

    def picture(self, index: int) -> Picture:
        return read_picture(self._files[index])

    def close(self) -> None:
        """Nothing stays open."""


def _changed(clip: Clip, found: int) -> MediaError:
    return MediaError(
        f"{clip.path} holds {found} frames with other time stamps than when it was opened "
        f"({len(clip)} frames); open it again"
    )


class _Video:
    """Frames of a container by index: forward by decoding, elsewhere by seeking to a key frame."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._table = table_of(clip.path)
        if not np.array_equal(self._table.pts, clip.pts):
            raise _changed(clip, len(self._table.pts))
        keys = np.searchsorted(self._table.raw_pts, self._table.key_pts)
        self._key_indices = keys.astype(np.int64)
        self._shown: Shown | None = None
        self._open = ExitStack()
        self._container: InputContainer
        self._stream: VideoStream
        self._frames: Iterator[tuple[int, VideoFrame]]
        self._held: VideoFrame | None
        """The frame shown last: it fills in for damaged ones."""
        self._ahead: tuple[int, VideoFrame] | None
        self._restart()

    def close(self) -> None:
        self._open.close()
        # The generator holds this object and is held by it: unless that is undone, pictures and the
        # decoder's own frames (at 8K half a gigabyte) stay until garbage is collected some day.
        self._frames = iter(())
        self._held, self._ahead = None, None

    def _restart(self) -> None:
        self._open.close()
        self._open = ExitStack()
        self._container = self._open.enter_context(open_container(self._clip.path))
        self._stream = video_stream(self._container, self._clip.path)
        self._frames = self._numbered(-1)
        self._next = 0
        """The index that comes out of the decoder next."""
        self._held = None
        self._ahead = None

    def _numbered(self, before: int) -> Iterator[tuple[int, VideoFrame]]:
        """Decode on and find each frame's index from its time stamp."""
        raw = self._table.raw_pts
        index = before
        for frame in frames_of(self._container, self._stream):
            if self._table.counted:
                index += 1
            else:
                if frame.pts is None:
                    continue
                found = int(np.searchsorted(raw, frame.pts))
                # Frames that share a time stamp follow one another.
                found = max(found, index + 1)
                if found >= len(raw) or raw[found] != frame.pts:
                    continue
                index = found
            if index < len(raw):
                yield index, frame

    def picture(self, index: int) -> Picture:
        frame = self._frame(index)
        if self._shown is None:
            self._shown = shown_of(self._container, self._stream, frame, self._clip.path)
        return Picture(frame, self._shown)

    def _frame(self, index: int) -> VideoFrame:
        if index < self._next or self._key_before(index) > self._next:
            self._seek(index)
        while self._next <= index:
            ahead = self._ahead or next(self._frames, None)
            self._ahead = None
            if ahead is not None and ahead[0] <= index:
                self._next, self._held = ahead[0] + 1, ahead[1]
                continue
            # Nothing was decoded for this index: keep what is on the screen.
            self._ahead = ahead
            if self._held is None:
                if ahead is None:
                    raise MediaError(
                        f"{self._clip.path} cannot be decoded from frame {index} on: it is damaged"
                    )
                self._held = ahead[1]
            log.warning("frame %d of %s is damaged and was filled in", index, self._clip.path)
            self._next = index + 1
        if self._held is None:
            raise MediaError(f"{self._clip.path} cannot be decoded at frame {index}")
        return self._held

    def _key_before(self, index: int) -> int:
        place = int(np.searchsorted(self._key_indices, index, side="right")) - 1
        return int(self._key_indices[place]) if place >= 0 else 0

    def _seek(self, index: int) -> None:
        place = int(np.searchsorted(self._key_indices, index, side="right")) - 1
        # Containers index by decoding time: a seek may land one key frame off, so look and retry.
        for candidate in range(place, max(place - 3, 0), -1):
            target = int(min(self._table.key_dts[candidate], self._table.key_pts[candidate]))
            self._container.seek(target, stream=self._stream, backward=True)
            self._frames = self._numbered(-1)
            first = next(self._frames, None)
            if first is not None and first[0] <= index:
                self._ahead, self._held, self._next = first, None, first[0]
                return
        self._restart()


class Decoder:
    """Reads windows of a clip's frames; a context manager.

    Reading forward decodes every frame once. A step back within the last frames is served from
    memory, any other from the nearest key frame. The same index always gives the same pixels.
    """

    def __init__(self, clip: Clip) -> None:
        """Open the clip's file.

        Raises:
            MediaError: It cannot be opened, or is not what it was when `open_clip` read it or the
                clip was recorded.
        """
        self.clip = open_stored(clip)
        pictures = is_pictures(clip.path)
        self._source: _Source = _Pictures(clip) if pictures else _Video(clip)
        self._reader = PixelReader(clip.color, str(clip.path))
        self._squared = is_square(clip.pixel_aspect)
        height, width = clip.size
        cost = height * width * (3 if clip.bit_depth > 8 else 2)
        self._cached = max(1, min(64, _CACHE_BYTES // cost))
        self._cache: OrderedDict[int, Picture] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._cache.clear()
        self._source.close()

    def read(self, window: Window, out: torch.Tensor | None = None) -> torch.Tensor:
        """Return (n,3,H,W) float32 RGB in [0,1] of the frames in `window`.

        Args:
            window: which frames.
            out: (m,3,H,W) with m at least n, whose first n pictures are overwritten and returned.

        Raises:
            ContractError: The window reaches beyond the clip.
            MediaError: The file cannot be decoded there.
        """
        if window.stop > len(self.clip):
            raise ContractError(
                f"window [{window.start}, {window.stop}) was asked of a clip of "
                f"{len(self.clip)} frames"
            )
        if out is None:
            out = torch.empty((len(window), 3, *self.clip.size))
        frames = out[: len(window)]
        for row, index in enumerate(window):
            frame, shown = self._picture(index)
            shown = replace(shown, squared=self._squared)
            if (frame.height, frame.width) != shown.coded or shown.size != self.clip.size:
                raise self._other_size(index, frame)
            try:
                self._reader.read(frame, frames[row], shown)
            except (av.error.FFmpegError, ValueError) as error:
                raise MediaError(
                    f"{self.clip.path} holds pictures of the format {frame.format.name}, which "
                    f"cannot be read as RGB ({cause(error)}); convert it first"
                ) from error
        return frames

    def _other_size(self, index: int, frame: VideoFrame) -> MediaError:
        """Say where a clip's size changes, in frames and in seconds from its beginning."""
        clip = self.clip
        seconds = float((int(clip.pts[index]) - int(clip.pts[0])) * clip.time_base)
        return MediaError(
            f"{clip.path} changes its size: at frame {index} ({seconds:.3f} seconds from the "
            f"first) the picture is {frame.width}x{frame.height}, which gives no frame of "
            f"{clip.size[1]}x{clip.size[0]} as the first ones do; split the clip where its size "
            "changes, or open it again if it was analyzed by an earlier version"
        )

    def _picture(self, index: int) -> Picture:
        if index in self._cache:
            return self._cache[index]
        picture = self._source.picture(index)
        self._cache[index] = picture
        while len(self._cache) > self._cached:
            self._cache.popitem(last=False)
        return picture


def stream(
    clip: Clip, length: int = 16, window: Window | None = None, *, reuse: bool = False
) -> Iterator[tuple[Window, torch.Tensor]]:
    """Yield a clip's frames in order, a few at a time.

    Args:
        clip: From `open_clip`.
        length: Most frames per window. Windows are shorter where frames are so large that their
            float pixels would take more than `limits.WINDOW_BYTES`; the last may be shorter too.
        window: The part of the clip to read; all of it by default.
        reuse: Whether the caller is done with a window's pixels once it asks for the next: two
            buffers take turns then, for fresh memory of this size costs as much as decoding, and
            the next window is decoded meanwhile. One buffer where two would be too large.

    Yields:
        The window and its (n,3,H,W) float32 RGB frames in [0,1].

    Raises:
        ContractError: `length` is not positive, or `window` reaches beyond the clip.
        MediaError: The file cannot be decoded.
    """
    if length < 1:
        raise ContractError(f"windows of {length} frames were asked for, expected 1 or more")
    part = window if window is not None else Window(0, len(clip))
    # Half each for the window in use and the next one; a single frame may be more than that.
    fitting = window_length(clip, WINDOW_BYTES // 2)
    length = min(length, fitting)
    ahead = window_length(clip) > 1
    starts = range(part.start, part.stop, length)
    pieces = [Window(start, min(start + length, part.stop)) for start in starts]
    if reuse:
        read = prefetch(_read(clip, pieces, 2)) if ahead else _read(clip, pieces, 1)
    else:
        read = _read(clip, pieces, 0)
    for piece, pixels in read:
        yield piece, pixels
        if piece.start // _TRIM != piece.stop // _TRIM:
            trim_heap()
    trim_heap()


def _read(
    clip: Clip, pieces: Sequence[Window], buffers: int
) -> Generator[tuple[Window, torch.Tensor], None, None]:
    """Read windows into so many buffers that take turns, or into new memory each."""
    longest = max((len(piece) for piece in pieces), default=0)
    kept = [torch.empty((longest, 3, *clip.size)) for _ in range(min(buffers, len(pieces)))]
    with Decoder(clip) as decoder:
        for n, piece in enumerate(pieces):
            yield piece, decoder.read(piece, kept[n % buffers] if kept else None)
