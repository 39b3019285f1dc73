"""Aligned crops: which square of the frame a generator sees, and how it is cut out.

A portrait uses one square for the whole clip (Deep Video Portraits, section 3): a crop that follows
the face would make the background swim.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from likeness import geometry
from likeness.types import Crop, FaceTrack, check


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
    """Cut crops out of frames, without aliasing when the crop is the smaller.

    Args:
        frames: (N,3,H,W) RGB in [0,1].
        crop: N similarities.

    Returns:
        (N,3,h,w) RGB in [0,1].
    """
    check(len(frames) == len(crop), f"{len(frames)} frames for {len(crop)} crops")
    square = geometry.whole_square(crop, (frames.shape[2], frames.shape[3]))
    if square is not None:
        x, y, side = square
        window = frames[:, :, y : y + side, x : x + side]
        if (side, side) == crop.size:
            return window.clone()
        resized = functional.interpolate(
            window, size=crop.size, mode="bicubic", align_corners=False, antialias=True
        )
        return resized.clamp_(0, 1)
    return _cut_anywhere(frames, crop)


def _cut_anywhere(frames: torch.Tensor, crop: Crop) -> torch.Tensor:
    h, w = crop.size
    frame_h, frame_w = frames.shape[2:]
    scale = float(np.sqrt(np.linalg.det(crop.crop_from_frame[:, :, :2])).mean())
    shrunk = frames
    if scale < 1:
        smaller = (max(1, round(frame_h * scale)), max(1, round(frame_w * scale)))
        shrunk = functional.interpolate(
            frames, size=smaller, mode="bilinear", align_corners=False, antialias=True
        )
    frame_from_crop = geometry.invert(crop.crop_from_frame)
    xs, ys = np.meshgrid(np.arange(w) + 0.5, np.arange(h) + 0.5)
    centers = np.stack([xs, ys], -1).reshape(1, -1, 2).astype(np.float32)
    positions = geometry.apply(frame_from_crop, centers)
    grid = positions / np.array([frame_w, frame_h], np.float32) * 2 - 1
    grid_tensor = torch.from_numpy(grid.reshape(len(crop), h, w, 2).astype(np.float32))
    return functional.grid_sample(
        shrunk, grid_tensor, mode="bilinear", padding_mode="border", align_corners=False
    )
