"""The frames that a training draws from: crops on disk, mapped into memory.

Training needs frames in any order, again and again. Decoding them each time would be slow and
holding them would cost memory that grows with the clip; one flat file of bytes, read through the
page cache, costs neither.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from likeness.condition.crop import cut
from likeness.decode import stream
from likeness.errors import MediaError
from likeness.types import Clip, Crop, Ints, Progress, Window, check, silent

_WINDOW = 16


@dataclass(frozen=True, eq=False)
class FrameBank:
    """Crops of chosen frames of a clip."""

    pixels: NDArray[np.uint8]
    """(M,3,h,w) memory map."""
    times: Ints
    """(M,) their indices in the clip, increasing."""
    side: int | None = None
    """Side that crops are shrunk to when they are read; None leaves them as they are."""

    def __len__(self) -> int:
        return len(self.times)

    def shrunk(self, side: int) -> FrameBank:
        """Return the same bank, read at a smaller size: training begins there."""
        check(side <= self.pixels.shape[-1], f"crops of {self.pixels.shape[-1]} cannot grow")
        return replace(self, side=side)

    def crops(self, rows: Ints) -> torch.Tensor:
        """Return (N,3,h,w) RGB in [0,1] of the given rows."""
        found = torch.from_numpy(self.pixels[rows]).float().div_(255)
        if self.side in (None, found.shape[-1]):
            return found
        return functional.interpolate(
            found,
            size=(self.side, self.side),
            mode="bicubic",
            align_corners=False,
            antialias=True,
        ).clamp_(0, 1)

    def raw(self, rows: Ints) -> torch.Tensor:
        """Return (N,3,h,w) uint8 of the given rows."""
        if self.side in (None, self.pixels.shape[-1]):
            return torch.from_numpy(np.array(self.pixels[rows]))
        # One by one: as floats, a gallery of large crops would fill the memory.
        parts = [self.crops(row[None]) for row in np.asarray(rows)]
        return torch.cat([(part * 255 + 0.5).to(torch.uint8) for part in parts])


def fill_bank(
    clip: Clip, crop: Crop, times: Ints, path: Path, progress: Progress = silent
) -> FrameBank:
    """Write the crops of chosen frames to a flat file and map it.

    Args:
        clip: where the frames come from.
        crop: one similarity, for all frames.
        times: (M,) increasing indices of the frames to keep.
        path: file to write; an equal file of an interrupted run is used as it is.
        progress: called as ("frames", done, total).

    Raises:
        MediaError: the clip cannot be read, or the disk has no room for the crops.
    """
    check(bool(np.all(np.diff(times) > 0)), "times must increase")
    shape = (len(times), 3, *crop.size)
    if path.is_file() and path.stat().st_size == int(np.prod(shape)):
        return FrameBank(np.memmap(path, np.uint8, "r", shape=shape), times)
    path.parent.mkdir(parents=True, exist_ok=True)
    _check_room(path.parent, int(np.prod(shape)))
    partial = path.with_suffix(".partial")
    pixels: NDArray[np.uint8] = np.memmap(partial, np.uint8, "w+", shape=shape)
    row = 0
    span = Window(int(times[0]), int(times[-1]) + 1)
    for window, frames in stream(clip, _WINDOW, span):
        wanted = times[(times >= window.start) & (times < window.stop)]
        if len(wanted):
            chosen = frames[torch.from_numpy(wanted - window.start)]
            crops = cut(
                chosen, Crop(crop.size, np.repeat(crop.crop_from_frame[:1], len(wanted), 0))
            )
            pixels[row : row + len(wanted)] = (crops * 255 + 0.5).to(torch.uint8).numpy()
            row += len(wanted)
        progress("frames", row, len(times))
    check(row == len(times), f"the clip gave {row} of {len(times)} frames")
    pixels.flush()  # type: ignore[attr-defined]
    partial.rename(path)
    return FrameBank(np.memmap(path, np.uint8, "r", shape=shape), times)


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    # A twentieth besides, for bundle and resume state.
    if free < needed * 1.05:
        raise MediaError(
            f"{folder} has room for {free / 2**30:.1f} GiB, expected {needed / 2**30:.1f} GiB for "
            "the crops of the training; make room, or use fewer frames (max_frames in [train]) or "
            "a smaller --size"
        )
