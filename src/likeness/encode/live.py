"""Where live frames may go: a file, a window, a virtual camera. All are marked, none is without.

In each of them every frame carries the watermark; a file is signed at its end like any other. A
window and a virtual camera hold no manifest, so that a line in the picture says that it is
synthetic.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import av
import numpy as np
import torch
from av.container import OutputContainer
from numpy.typing import NDArray

from likeness.encode.coders import EncodeConfig
from likeness.encode.place import is_numbered, is_pictures
from likeness.encode.writer import encode
from likeness.errors import BackendError, MediaError
from likeness.files import why_unreadable, why_unwritable
from likeness.provenance.manifest import Manifest
from likeness.provenance.watermark import Stamp, Watermark
from likeness.types import Clip, Timeline

NOTE = "SYNTHETIC"
"""What the picture says where no file says it."""
_LONGEST = 12 * 3600
"""Seconds that a live file may last."""
Image = NDArray[np.uint8]
"""(H,W,3) RGB."""


class LiveOutput(Protocol):
    """An open output of a live run."""

    def show(self, frame: torch.Tensor, seconds: float) -> None:
        """Mark a (3,H,W) frame and show it.

        Args:
            frame: RGB in [0,1].
            seconds: when, counted from the first frame.
        """
        ...

    @property
    def ended(self) -> bool:
        """Whether whoever looks has closed it."""
        ...


class LiveSink(Protocol):
    """A marked output of a live run before it is opened."""

    @property
    def title(self) -> str:
        """What the manifest calls it."""
        ...

    def open(
        self, manifest: Manifest, like: Clip, rate: Fraction
    ) -> AbstractContextManager[LiveOutput]:
        """Open it for frames in the size and color of `like`, about `rate` of them a second."""
        ...


@dataclass(frozen=True)
class LiveFile:
    """A video file: marked, and signed when the run ends."""

    output: Path
    config: EncodeConfig = field(default_factory=EncodeConfig)
    inputs: tuple[Path, ...] = ()
    """Everything that is read for it and must not be overwritten."""

    def __post_init__(self) -> None:
        if is_numbered(self.output) or is_pictures(self.output):
            raise MediaError(
                f"{self.output} holds pictures; expected a video (.mp4, .mov, .mkv, .webm) for a "
                "live run"
            )

    @property
    def title(self) -> str:
        """The file's name."""
        return self.output.name

    def open(
        self, manifest: Manifest, like: Clip, rate: Fraction
    ) -> AbstractContextManager[LiveOutput]:
        """Open the file under a hidden name; it appears when whole."""
        return _FileOutput(self, manifest, like, rate)


class _FileOutput:
    """Frames stand at the tick that is nearest to when they were shown."""

    def __init__(self, sink: LiveFile, manifest: Manifest, like: Clip, rate: Fraction) -> None:
        self.ended = False
        self._rate = rate.limit_denominator(1001)
        ticks = np.arange(int(_LONGEST * self._rate), dtype=np.int64)
        line = Timeline(ticks, 1 / self._rate, 1, None)
        self._encoder = encode(
            sink.output, like, manifest, line, sink.config, inputs=sink.inputs, open_end=True
        )
        self._last = -1
        _rehearse(manifest, sink.config.size or like.size)

    def __enter__(self) -> Self:
        self._encoder.__enter__()
        return self

    def show(self, frame: torch.Tensor, seconds: float) -> None:
        self._last = max(self._last + 1, round(seconds * float(self._rate)))
        self._encoder.append(frame[None], [self._last])

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._encoder.__exit__(kind, error, trace)


def _rehearse(manifest: Manifest, size: tuple[int, int]) -> None:
    """Mark a picture of nothing, so that the first frame waits for no loop to be compiled."""
    noise = torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(0))
    Watermark(Stamp.of(manifest).payload()).embed(noise)


class Screen(Protocol):
    """A window, as far as it is used here."""

    def show(self, image: Image) -> bool:
        """Show a picture; tell whether the window is still open."""
        ...

    def close(self) -> None:
        """Close the window."""
        ...


@dataclass(frozen=True)
class MarkedWindow:
    """A window on this screen."""

    title: str = "likeness live"
    screen: Callable[[str], Screen] | None = None
    """Opens the window; OpenCV's unless given."""

    def open(
        self, manifest: Manifest, like: Clip, rate: Fraction
    ) -> AbstractContextManager[LiveOutput]:
        """Open the window."""
        return _Shown(manifest, like, (self.screen or _CvScreen)(self.title))


@dataclass(frozen=True)
class MarkedDevice:
    """A virtual camera of this machine (v4l2loopback), for other programs."""

    number: int
    path: Path | None = None
    """Where to write instead of the device, and how; for machines without one."""

    @property
    def title(self) -> str:
        """The device's name."""
        return f"v4l2:{self.number}"

    def open(
        self, manifest: Manifest, like: Clip, rate: Fraction
    ) -> AbstractContextManager[LiveOutput]:
        """Open the device."""
        name = self.path or Path(f"/dev/video{self.number}")
        return _Shown(manifest, like, _Device(name, "v4l2" if self.path is None else "nut", rate))


class _Shown:
    """Marks frames, says so in them, and shows them."""

    def __init__(self, manifest: Manifest, like: Clip, screen: Screen) -> None:
        self._mark = Watermark(Stamp.of(manifest).payload()).embedder(like.size)
        self._screen = screen
        self.ended = False
        _rehearse(manifest, like.size)

    def __enter__(self) -> Self:
        return self

    def show(self, frame: torch.Tensor, seconds: float) -> None:
        said = torch.from_numpy(noted(frame.numpy()))
        marked = self._mark.embed(said[None])[0]
        image = (marked * 255 + 0.5).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        self.ended = not self._screen.show(image)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._screen.close()


def noted(frame: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a (3,H,W) picture in [0,1] that says in its lower left corner what it is."""
    import cv2

    height, width = frame.shape[1:]
    image = np.ascontiguousarray(frame.clip(0, 1).transpose(1, 2, 0))
    size = max(0.3, min(height, width) / 640)
    place = (max(2, width // 50), height - max(3, height // 40))
    for color, thick in (((0.0, 0.0, 0.0), 3), ((1.0, 1.0, 1.0), 1)):
        pen = max(1, round(thick * size * 1.3))
        cv2.putText(image, NOTE, place, cv2.FONT_HERSHEY_SIMPLEX, size, color, pen, cv2.LINE_AA)
    return np.ascontiguousarray(image.transpose(2, 0, 1))


class _CvScreen:
    """OpenCV's window."""

    def __init__(self, title: str) -> None:
        import cv2

        self._cv2: Any = cv2
        self._title = title
        try:
            cv2.namedWindow(title, cv2.WINDOW_AUTOSIZE)
        except cv2.error as error:
            raise BackendError(
                "no window can be opened here (no screen, or OpenCV without one); write to a file "
                "with --to FILE"
            ) from error

    def show(self, image: Image) -> bool:
        self._cv2.imshow(self._title, image[..., ::-1])
        key = self._cv2.waitKey(1)
        open_still = self._cv2.getWindowProperty(self._title, self._cv2.WND_PROP_VISIBLE) >= 1
        return bool(open_still) and key not in (27, ord("q"))

    def close(self) -> None:
        with suppress(self._cv2.error):
            self._cv2.destroyWindow(self._title)


class _Device:
    """Raw pictures, as virtual cameras take them."""

    def __init__(self, path: Path, kind: str, rate: Fraction) -> None:
        self._path, self._rate, self._count = path, rate, 0
        self._open = ExitStack()
        try:
            self._container: OutputContainer = av.open(str(path), "w", format=kind)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise MediaError(
                f"{path} cannot be opened for writing ({why_unreadable(error)}); expected a "
                "virtual camera: load the kernel's module with `modprobe v4l2loopback`"
            ) from error
        self._open.enter_context(self._container)
        self._stream: Any = None

    def show(self, image: Image) -> bool:
        height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
        if self._stream is None:
            self._stream = self._container.add_stream("rawvideo", rate=self._rate)
            self._stream.width, self._stream.height = width, height
            self._stream.pix_fmt = "yuv420p"
        even = np.ascontiguousarray(image[:height, :width])
        picture = av.VideoFrame.from_ndarray(even, format="rgb24").reformat(format="yuv420p")
        picture.pts, picture.time_base = self._count, 1 / self._rate
        self._count += 1
        try:
            self._container.mux(self._stream.encode(picture))
        except (av.error.FFmpegError, OSError) as error:
            raise MediaError(f"{self._path} takes no picture: {why_unwritable(error)}") from error
        return True

    def close(self) -> None:
        with suppress(av.error.FFmpegError, OSError):
            self._open.close()
