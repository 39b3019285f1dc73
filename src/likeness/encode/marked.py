"""Whether the watermark outlives the encoding: tried on the first frames, tested in the file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import torch

from likeness.encode.coders import EncodeConfig, choose_coder
from likeness.errors import MediaError
from likeness.media_names import ffmpeg_name
from likeness.provenance.watermark import LEVEL, Detector, WatermarkReading

log = logging.getLogger(__name__)

LEAST_SIDE = 32
"""Pixels of the shorter side below which no frame carries a mark that can be found."""
MARKED_SIDE = 64
"""Pixels of the shorter side from which on the mark is found in single frames with some texture (p
below 1e-12; at 56 pixels 1e-3 to 1e-10, below 48 hardly ever)."""
_TRIED_FRAMES = 8
_TRIED_BYTES = 256 << 20
"""Most that the frames of the trial may hold."""
_SMALL = 128
"""Pixels of the shorter side below which a few frames may not suffice."""
_BEST = 1.0
"""Quality at which next to nothing is lost by any of the codecs."""
_MARGIN = 1e-15
"""p-value that is asked of the first frames, so that the whole stays below the test's own level."""
_STEP = 4
"""Between the qualities that are tried."""
_RUNS, _RUN_FRAMES = 8, 3
"""The file is tested in this many places, in this many frames at each."""
_DOUBLINGS = 16
"""The same where the end is not known: after 1 second, 2, 4, ... up to nine hours."""
_ALL = 240
"""Frames up to which a clip is read through rather than searched."""


def check_size(size: tuple[int, int]) -> None:
    """Refuse frames that are too small to carry the mark.

    Args:
        size: (H, W).

    Raises:
        MediaError: they are.
    """
    if min(size) < LEAST_SIDE:
        raise MediaError(
            f"frames of {size[1]}x{size[0]} pixels cannot carry the watermark; expected a shorter "
            f"side of {LEAST_SIDE} pixels or more: enlarge the output, or write PNG files"
        )


class Sampled:
    """Frames of an output, before they are coded, that are looked for in the file afterward."""

    def __init__(self, size: tuple[int, int], total: int | None) -> None:
        """Choose the frames.

        Args:
            size: (H, W).
            total: frames of the output; None where that is known at its end (`end`).
        """
        self._size = size
        if total is None:
            # Whenever it ends, some of them lie near its beginning and some near its end.
            runs = np.array([0, *(25 * 2**n for n in range(_DOUBLINGS))])
            total = int(runs[-1]) + _RUN_FRAMES
        else:
            runs = np.linspace(0, max(0, total - _RUN_FRAMES), _RUNS).round().astype(int)
        chosen = {int(start) + i for start in runs for i in range(_RUN_FRAMES)}
        self.indices = sorted(index for index in chosen if index < total)
        self._total = total
        self._wanted = set(self.indices)
        self._before = Detector(size)

    def take(self, frame: torch.Tensor, index: int) -> None:
        """Look at a (3,H,W) marked frame, if it is one of those chosen."""
        if index in self._wanted:
            self._before.add(frame[None])

    def end(self, total: int) -> None:
        """Tell how many frames there were."""
        self._total = total
        self.indices = [index for index in self.indices if index < total]

    def check(
        self, file: Path, seconds: Sequence[float], quality: float, default: float
    ) -> str | None:
        """Test the mark in what was written.

        Args:
            file: the finished video.
            seconds: when each frame is shown.
            quality: what it was coded with.
            default: what it would be coded with if nothing was asked for.

        Returns:
            A sentence where the frames cannot carry a mark that is found, whatever their coding.

        Raises:
            MediaError: the mark was in the frames and is not in the file.
        """
        after = Detector(self._size)
        frames = _all(file) if self._total <= _ALL else None
        if frames is not None:
            for index, frame in enumerate(frames):
                if index in self._wanted:
                    after.add(frame[None])
        else:
            for frame in _near(file, [seconds[index] for index in self.indices]):
                after.add(frame[None])
        found = after.read()
        if found.present:
            return None
        faint = min(self._size) < MARKED_SIDE and quality <= default
        if faint or not self._before.read().present:
            note = (
                f"frames of {self._size[1]}x{self._size[0]} pixels that show this little cannot "
                "carry a watermark that is found again; the manifest alone says what this video "
                f"is. The shorter side should have {MARKED_SIDE} pixels or more"
            )
            log.warning("%s", note)
            return note
        raise MediaError(
            f"the watermark cannot be found in what was coded at quality {quality:g} (p = "
            f"{found.p_value:.2g}, expected below 1e-6), so nothing is written; choose a better "
            "quality (a smaller number), another preset, or larger frames"
        )


def frames_to_try(config: EncodeConfig, suffix: str, size: tuple[int, int], total: int) -> int:
    """Return on how many first frames the settings are to be tried; none where they are safe.

    They are safe if the quality is about the default or better, and the output is neither so small
    nor so short that the mark is faint in it.
    """
    coder = choose_coder(config, suffix)[1]
    fine = config.preset is None and (config.quality or 0) <= coder.quality + 2
    if fine and min(size) >= _SMALL and total > _TRIED_FRAMES:
        return 0
    affordable = max(1, _TRIED_BYTES // (12 * size[0] * size[1]))
    return min(total, _TRIED_FRAMES, affordable)


def settle(
    frames: torch.Tensor,
    config: EncodeConfig,
    suffix: str,
    write: Callable[[EncodeConfig], Path],
) -> tuple[EncodeConfig, str | None]:
    """Return settings under which the mark outlives, as near to those asked for as need be.

    Args:
        frames: (n,3,H,W) marked frames to try it on.
        config: settings that were asked for.
        suffix: ending of the container.
        write: codes these frames with other settings and returns the file.

    Returns:
        The settings, and a sentence about what was changed or None.
    """
    coder = choose_coder(config, suffix)[1]
    size = frames.shape[2], frames.shape[3]
    asked = coder.quality if config.quality is None else config.quality
    quality = asked
    while True:
        found = _read(_all(write(replace(config, quality=quality))), size)
        # Worse than the default, a margin is asked for: other frames may hide the mark less well.
        if found.p_value < (_MARGIN if quality > coder.quality else LEVEL):
            break
        if quality == asked and not _read(frames, size).present:
            # These frames show too little to tell: the default is what the mark was made for, and
            # the whole is tested at its end.
            quality = min(asked, coder.quality)
            break
        if quality <= _BEST:
            # No quality keeps it, so none is to blame.
            quality = min(asked, coder.quality)
            break
        quality = max(_BEST, quality - _STEP)
    if quality == asked:
        return config, None
    note = f"quality {asked:g} would erase the watermark from these frames; {quality:g} was used"
    log.warning("%s", note)
    return replace(config, quality=quality), note


def _read(frames: Iterator[torch.Tensor] | torch.Tensor, size: tuple[int, int]) -> WatermarkReading:
    detector = Detector(size)
    for frame in frames:
        detector.add(frame[None])
    return detector.read()


def _gray(frame: av.VideoFrame) -> torch.Tensor:
    """(3,H,W) of luma alone, which is all that the mark is laid on."""
    luma = torch.from_numpy(frame.to_ndarray(format="gray")).to(torch.float32) / 255
    return luma.expand(3, -1, -1)


def _all(file: Path) -> Iterator[torch.Tensor]:
    with av.open(ffmpeg_name(file)) as container:
        for frame in container.decode(video=0):
            yield _gray(frame)


def _near(file: Path, seconds: Sequence[float]) -> Iterator[torch.Tensor]:
    """Yield the frames shown at increasing moments, seeking where they lie far apart."""
    with av.open(ffmpeg_name(file)) as container:
        stream = container.streams.video[0]
        base, wanted = stream.time_base, list(seconds)
        if base is None:
            return
        while wanted:
            container.seek(int(wanted[0] / base), stream=stream)
            for frame in container.decode(stream):
                if frame.time is not None and frame.time >= wanted[0] - 2e-3:
                    yield _gray(frame)
                    wanted.pop(0)
                    if not wanted or wanted[0] - frame.time > 1:
                        break
            else:
                return
