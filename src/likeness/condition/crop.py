"""Aligned crops: which square of the frame a generator sees, and how it is cut out.

A portrait uses one square for the whole clip (Deep Video Portraits, section 3): a crop that follows
the face would make the background swim.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from likeness import geometry
from likeness.types import Crop, FaceTrack, Floats, check

_HALVED = 0.25
"""Crops of a smaller scale than this are cut from a frame that is halved first."""

_MARGIN = 16
"""Frame pixels around a crop that filters may reach; even."""


def portrait_crop(
    track: FaceTrack, frame_size: tuple[int, int], size: int = 256, scale: float = 1.7
) -> Crop:
    """Choose the fixed square around everything that the face does in a track.

    Args:
        track: where the face is.
        frame_size: (H, W) of the clip.
        size: side of the crop in crop pixels.
        scale: side of the square in units of the union of all boxes; 1.7 holds hair and collar.

    Returns:
        A Crop of N equal similarities. The square lies on whole frame pixels and inside the frame,
        so that cutting is a slice and a resize and outside pixels never have to be invented.
    """
    height, width = frame_size
    boxes = track.boxes[track.observed] if track.observed.any() else track.boxes
    x0, y0 = boxes[:, 0].min(), boxes[:, 1].min()
    x1, y1 = boxes[:, 2].max(), boxes[:, 3].max()
    side = int(min(height, width, np.ceil(scale * max(x1 - x0, y1 - y0))))
    center_x = (x0 + x1) / 2
    # Boxes end at the eyebrows' side of the hair line: hair needs more room than the chin.
    center_y = (y0 + y1) / 2 - 0.05 * side
    x = int(np.clip(round(float(center_x - side / 2)), 0, width - side))
    y = int(np.clip(round(float(center_y - side / 2)), 0, height - side))
    crop_from_frame = geometry.crop_from_square(x, y, side, size)
    return Crop((size, size), np.repeat(crop_from_frame[None], len(track), 0))


def cut(frames: torch.Tensor, crop: Crop) -> torch.Tensor:
    """Cut crops out of frames, without aliasing where the crop is the smaller.

    Each crop depends on its own frame and similarity alone, to the bit: it is the same in a window
    of any length. Places outside the frame show the nearest pixel of its border.

    Args:
        frames: (N,3,H,W) RGB in [0,1].
        crop: N similarities.

    Returns:
        (N,3,h,w) RGB in [0,1].
    """
    check(len(frames) == len(crop), f"{len(frames)} frames for {len(crop)} crops")
    parts = [frames.new_empty((0, frames.shape[1], *crop.size))]
    for run in geometry.equal_runs(crop):
        same = Crop(crop.size, crop.crop_from_frame[run])
        square = geometry.whole_square(same, (frames.shape[2], frames.shape[3]))
        if square is not None:
            parts.append(_cut_square(frames[run], square, crop.size))
        else:
            parts += [_cut_anywhere(frame[None], same) for frame in frames[run]]
    return torch.cat(parts)


def _cut_square(
    frames: torch.Tensor, square: tuple[int, int, int], size: tuple[int, int]
) -> torch.Tensor:
    """Cut one upright square on whole pixels: a slice and a resize."""
    x, y, side = square
    window = frames[:, :, y : y + side, x : x + side]
    return window.clone() if (side, side) == size else _resized(window, size).clamp_(0, 1)


def _cut_anywhere(frame: torch.Tensor, crop: Crop) -> torch.Tensor:
    """Cut from one (1,3,H,W) frame along the crop's first similarity.

    The square is first sampled as densely as the frame's own pixels lie, then shrunk as an upright
    one is: a square that moves through whole pixels and fractions of them stays equally sharp.
    """
    crop_from_frame = crop.crop_from_frame[0].astype(np.float64)
    while _scale(crop_from_frame) < _HALVED:
        frame, crop_from_frame = _halved(frame, crop_from_frame, crop.size)
    scale = _scale(crop_from_frame)
    h, w = crop.size
    dense = (max(h, round(h / scale)), max(w, round(w / scale)))
    theta = torch.from_numpy(_sampling(crop_from_frame, crop.size, frame.shape[2:])).to(frame)
    grid = functional.affine_grid(theta[None], [1, 1, *dense], align_corners=False)
    # What is shrunk by two or more hides how its pixels were interpolated.
    mode = "bilinear" if scale <= 0.5 else "bicubic"
    sampled = functional.grid_sample(
        frame, grid, mode=mode, padding_mode="border", align_corners=False
    )
    return (sampled if dense == crop.size else _resized(sampled, crop.size)).clamp_(0, 1)


def _halved(
    frame: torch.Tensor, crop_from_frame: Floats, size: tuple[int, int]
) -> tuple[torch.Tensor, Floats]:
    """Halve the part of a frame around a crop, which bounds memory and time of large squares."""
    h, w = size
    corners = np.array([[0, 0], [w, 0], [0, h], [w, h]], np.float32)
    places = geometry.apply(geometry.invert(crop_from_frame), corners)
    extent = np.array([frame.shape[3], frame.shape[2]])
    # Pairs of pixels begin at even positions of the frame wherever the crop lies. Where it reaches
    # outside, the border is repeated first, so that no pair mixes it with what lies within.
    low = np.clip(np.floor(places.min(0)) - _MARGIN, -_MARGIN, extent - 1).astype(int) // 2 * 2
    high = np.ceil(places.max(0)) + _MARGIN
    high = np.clip(high, np.maximum(low + 1, 1), extent + _MARGIN).astype(int)
    high += (high - low) % 2
    first, last = np.maximum(low, 0), np.minimum(high, extent)
    part = frame[:, :, first[1] : last[1], first[0] : last[0]]
    before, after = (first - low).tolist(), (high - last).tolist()
    if any(before + after):
        borders = [before[0], after[0], before[1], after[1]]
        part = functional.pad(part, borders, mode="replicate")
    linear, offset = crop_from_frame[:, :2], crop_from_frame[:, 2] + crop_from_frame[:, :2] @ low
    # Means of four: what they blur or alias lies outside what a quarter of the size can show.
    rows = part[:, :, 0::2] + part[:, :, 1::2]
    half = (rows[..., 0::2] + rows[..., 1::2]) * 0.25
    return half, np.concatenate([2 * linear, offset[:, None]], 1)


def _sampling(crop_from_frame: Floats, size: tuple[int, int], frame_size: torch.Size) -> Floats:
    """(2,3) frame_from_crop where both measure positions from -1 to 1."""
    half_crop, half_frame = np.array(size[::-1]) / 2, np.array(frame_size[::-1]) / 2
    frame_from_crop = geometry.invert(crop_from_frame)
    linear = frame_from_crop[:, :2] * half_crop / half_frame[:, None]
    center = (frame_from_crop[:, :2] @ half_crop + frame_from_crop[:, 2]) / half_frame - 1
    return np.concatenate([linear, center[:, None]], 1)


def _scale(crop_from_frame: Floats) -> float:
    return float(np.sqrt(np.linalg.det(crop_from_frame[:, :2])))


def _resized(frames: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return functional.interpolate(
        frames, size=size, mode="bicubic", align_corners=False, antialias=True
    )
