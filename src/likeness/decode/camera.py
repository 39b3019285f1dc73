"""Frames as they are taken: a camera, a stream, or a file that plays as if it were one.

Whoever asks gets the newest frame that is there. Those that came while nobody asked are passed
over and counted: late frames are of no use to anybody who looks.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np
import torch
from av.container import InputContainer

from likeness.decode.container import cause
from likeness.decode.frames import Decoder
from likeness.decode.probe import open_clip
from likeness.errors import MediaError
from likeness.types import Clip, Window

log = logging.getLogger(__name__)

_SYSTEMS = {
    "linux": ("video4linux2", "/dev/video{}"),
    "darwin": ("avfoundation", "{}"),
    "win32": ("dshow", "video={}"),
}
"""FFmpeg's input device and the name of a camera, by the system."""
_PIPED = ("matroska", "mpegts", "yuv4mpegpipe", "mov", "flv", "nut")
"""What may come through a pipe."""
_PATIENCE = 10.0
"""Seconds without a frame after which a camera counts as gone."""
NOWHERE = Path("camera")
"""Stands for the file of a clip that has none."""


class Clock(Protocol):
    """Tells the time; tests bring their own."""

    def now(self) -> float:
        """Seconds since some moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...


class WallClock:
    """The time that passes."""

    def now(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)


@dataclass(frozen=True, eq=False)
class Taken:
    """A frame of a camera."""

    frame: torch.Tensor
    """(1,3,H,W) RGB in [0,1]."""
    at: float
    """When it was there to be had, by the clock."""
    missed: int
    """Frames that were passed over since the one before."""


class Camera(Protocol):
    """Gives the newest frame."""

    @property
    def clip(self) -> Clip:
        """What it shows, as facts; its path names no file that could be read again."""
        ...

    @property
    def source(self) -> Clip | None:
        """The file that plays, or None."""
        ...

    def take(self) -> Taken | None:
        """Wait for a frame that was not taken yet; None when there will be none any more.

        Raises:
            MediaError: the camera gives none.
        """
        ...

    def refresh(self) -> None:
        """Go on from now: what came while nobody could ask is no late frame."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def open_camera(name: str, clock: Clock) -> Camera:
    """Open a camera.

    Args:
        name: a number (a camera of this machine), a file, or - for a video on standard input.
        clock: by which a file plays.

    Raises:
        MediaError: there is no such camera, or no such file.
    """
    if name == "-":
        return StreamCamera(_piped, "standard input", clock)
    if name.isdecimal():
        return StreamCamera(lambda: _device(int(name)), f"camera {name}", clock)
    return FileCamera(Path(name), clock)


class FileCamera:
    """A file that plays by the clock, from the first time that it is asked."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """Open a file.

        Raises:
            MediaError: it cannot be read.
        """
        self.source: Clip | None = open_clip(path)
        self.clip = replace(self.source, path=NOWHERE, digest="", audio=())
        self._clock = clock
        self._times = (self.clip.pts - self.clip.pts[0]) * float(self.clip.time_base)
        self._decoder = Decoder(self.source)
        self._next = 0
        self._began: float | None = None

    def take(self) -> Taken | None:
        """Return the frame that is on the screen now, or wait for the next one."""
        if self._next >= len(self._times):
            return None
        if self._began is None:
            self._began = self._clock.now()
        due = self._began + float(self._times[self._next])
        if (early := due - self._clock.now()) > 0:
            self._clock.sleep(early)
        shown = int(np.searchsorted(self._times, self._clock.now() - self._began + 1e-6, "right"))
        index = max(self._next, shown - 1)
        missed, self._next = index - self._next, index + 1
        frame = self._decoder.read(Window(index, index + 1))
        return Taken(frame, self._began + float(self._times[index]), missed)

    def refresh(self) -> None:
        """Let the file wait until now."""
        if self._began is not None and self._next < len(self._times):
            self._began = self._clock.now() - float(self._times[self._next])

    def close(self) -> None:
        """Close the file."""
        self._decoder.close()


class StreamCamera:
    """A device or a pipe: a thread reads it, so that what is late never queues up."""

    def __init__(self, opening: Callable[[], InputContainer], name: str, clock: Clock) -> None:
        """Open it and wait for its first frame.

        Raises:
            MediaError: it cannot be opened, or gives no frame.
        """
        self.source: Clip | None = None
        self._name, self._clock = name, clock
        try:
            self._container = opening()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise MediaError(
                f"{name} cannot be opened ({cause(error)}); expected a camera that no other "
                "program uses, or give --camera FILE"
            ) from error
        self._change = threading.Condition()
        self._newest: tuple[torch.Tensor, float] | None = None
        self._missed = 0
        self._ended = False
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)
        self._thread.start()
        first = self.take()
        if first is None:
            raise MediaError(f"{name} gives no frame; expected a picture within {_PATIENCE:g} s")
        rate = self._container.streams.video[0].average_rate or Fraction(25)
        size = (first.frame.shape[2], first.frame.shape[3])
        self.clip = Clip(NOWHERE, "", size, np.zeros(1, np.int64), Fraction(1) / rate, 1)

    def take(self) -> Taken | None:
        """Return the newest frame, or wait for it."""
        with self._change:
            there = self._change.wait_for(
                lambda: self._newest is not None or self._ended, _PATIENCE
            )
            if not there:
                raise MediaError(
                    f"{self._name} gave no frame for {_PATIENCE:g} seconds; is it still connected?"
                )
            if self._newest is None:
                return None
            (frame, at), self._newest = self._newest, None
            missed, self._missed = self._missed, 0
        return Taken(frame, at, missed)

    def refresh(self) -> None:
        """Forget the frame that nobody took."""
        with self._change:
            self._newest, self._missed = None, 0

    def close(self) -> None:
        """Let go of the camera."""
        self._ended = True
        self._thread.join(_PATIENCE)
        with suppress(av.error.FFmpegError):
            self._container.close()

    def _read(self) -> None:
        try:
            for picture in self._container.decode(video=0):
                if self._ended:
                    return
                at = self._clock.now()
                pixels = torch.from_numpy(picture.to_ndarray(format="rgb24"))
                frame = pixels.permute(2, 0, 1)[None].float().div(255).contiguous()
                with self._change:
                    self._missed += self._newest is not None
                    self._newest = frame, at
                    self._change.notify()
        except (av.error.FFmpegError, ValueError) as error:
            log.warning("%s ended: %s", self._name, cause(error))
        finally:
            with self._change:
                self._ended = True
                self._change.notify()


def _device(number: int) -> InputContainer:
    kind, name = _SYSTEMS.get(sys.platform, _SYSTEMS["linux"])
    return av.open(name.format(number), "r", format=kind, options={"framerate": "25"})


def _piped() -> InputContainer:
    container = av.open(sys.stdin.buffer, "r")
    if not set(container.format.name.split(",")) & set(_PIPED):
        container.close()
        raise ValueError(f"{container.format.name}; expected one of: {', '.join(_PIPED)}")
    return container
