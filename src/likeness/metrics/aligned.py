"""Two videos side by side: the frames that are on screen at the same time, at one size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional

from likeness.decode import WINDOW_BYTES, stream, window_length
from likeness.errors import MediaError
from likeness.types import Clip, Floats, Ints, Window

_SAME_SHAPE = 0.02
"""Relative difference of two aspect ratios that rounding to whole pixels makes."""


def seconds(clip: Clip) -> Floats:
    """Return (T,) seconds at which each frame appears, 0 for the first."""
    shown: Floats = (clip.pts - clip.pts[0]).astype(np.float64) * float(clip.time_base)
    return shown


def match_frames(one: Clip, other: Clip) -> tuple[Ints, Ints]:
    """Pair the frames of two clips that start together by their time stamps.

    Over the time that both last, each frame of the clip with fewer frames there is paired with
    the frame of the other that is nearest in time. Clips of equal timing are paired one to one.

    Returns:
        (n,) frames of the first and (n,) frames of the second, increasing; n is 1 or more.
    """
    until = min(one.seconds, other.seconds)
    times = [seconds(clip) for clip in (one, other)]
    # A frame that starts where the shorter clip ends has no partner, up to rounding of the stamps.
    common = [shown[shown < until - 1e-6] for shown in times]
    leads = 0 if len(common[0]) <= len(common[1]) else 1
    led = times[1 - leads]
    after = np.searchsorted(led, common[leads]).clip(1, max(1, len(led) - 1)).clip(max=len(led) - 1)
    before = (after - 1).clip(0)
    nearer = common[leads] - led[before] <= led[after] - common[leads]
    partner = np.where(nearer, before, after).astype(np.int64)
    pair = (np.arange(len(partner), dtype=np.int64), partner)
    return pair if leads == 0 else (pair[1], pair[0])


def common_size(one: Clip, other: Clip) -> tuple[int, int]:
    """Return the smaller of two frame sizes (h, w), at which the clips can be compared.

    Raises:
        MediaError: they show pictures of different shape.
    """
    shapes = [clip.size[1] * float(clip.pixel_aspect) / clip.size[0] for clip in (one, other)]
    if abs(shapes[0] / shapes[1] - 1) > _SAME_SHAPE:
        raise MediaError(
            f"{one.path.name} shows {one.size[1]}x{one.size[0]}, {other.path.name} "
            f"{other.size[1]}x{other.size[0]}; expected pictures of one shape: crop one of them to "
            "what the other shows"
        )
    return min(one.size, other.size, key=lambda size: size[0] * size[1])


def stream_pairs(
    clips: tuple[Clip, Clip], frames: tuple[Ints, Ints], length: int = 8
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield matched frames of two clips, a few at a time, the larger ones shrunk.

    Args:
        clips: two clips of one shape.
        frames: from `match_frames`.
        length: most frames per step; fewer where frames are large.

    Yields:
        (n,3,h,w) RGB in [0,1] of each clip, at `common_size`.

    Raises:
        MediaError: a file cannot be decoded, or the shapes differ.
    """
    size = common_size(*clips)
    # As many pairs as fit where one clip alone would fill half of what a stream may keep.
    length = min(length, *(window_length(clip, WINDOW_BYTES // 2) for clip in clips))
    chosen = [_chosen(clip, wanted, size) for clip, wanted in zip(clips, frames, strict=True)]
    held: list[tuple[torch.Tensor, torch.Tensor]] = []
    for first, second in zip(*chosen, strict=True):
        held.append((first, second))
        if len(held) == length:
            yield _stacked(held)
            held = []
    if held:
        yield _stacked(held)


def _stacked(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.stack([first for first, _ in pairs]), torch.stack([second for _, second in pairs])


def _chosen(clip: Clip, frames: Ints, size: tuple[int, int]) -> Iterator[torch.Tensor]:
    """Yield (3,h,w) frames by increasing index; one that is named twice comes twice."""
    span = Window(int(frames[0]), int(frames[-1]) + 1)
    for window, pictures in stream(clip, 8, span):
        for index in frames[(frames >= window.start) & (frames < window.stop)]:
            yield _fitted(pictures[int(index) - window.start], size)


def _fitted(picture: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if tuple(picture.shape[-2:]) == size:
        return picture
    smaller = functional.interpolate(
        picture[None], size=size, mode="bicubic", align_corners=False, antialias=True
    )
    return smaller[0].clamp(0, 1)
