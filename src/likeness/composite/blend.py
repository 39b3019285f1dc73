"""Painting a layer onto the frames that it was made for."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from likeness import geometry
from likeness.types import Crop, Floats, Layer, check

_FEATHER = 0.06
"""Share of the crop's side over which a layer fades at an edge that lies inside the frame."""


def soft_rectangle(crop: Crop, frame_size: tuple[int, int]) -> torch.Tensor:
    """Return (N,1,h,w) alpha: one inside, fading at edges that do not coincide with the frame's.

    Args:
        crop: N similarities.
        frame_size: (H, W).
    """
    h, w = crop.size
    ramps = []
    for n, corner_edges in enumerate(_edges_inside(crop, frame_size)):
        left, top, right, bottom = corner_edges
        across = _ramp(w, left, right)
        along = _ramp(h, top, bottom)
        ramps.append(along[:, None] * across[None, :])
        if n == 0 and np.abs(crop.crop_from_frame - crop.crop_from_frame[0]).max() == 0:
            return ramps[0].expand(len(crop), 1, h, w)
    return torch.stack(ramps)[:, None]


def _edges_inside(crop: Crop, frame_size: tuple[int, int]) -> list[tuple[bool, bool, bool, bool]]:
    h, w = crop.size
    corners = np.array([[0, 0], [w, h]], np.float32)
    places = geometry.apply(geometry.invert(crop.crop_from_frame), corners)
    height, width = frame_size
    return [
        (a[0] > 0.5, a[1] > 0.5, b[0] < width - 0.5, b[1] < height - 0.5)
        for a, b in places.tolist()
    ]


def _ramp(length: int, at_start: bool, at_end: bool) -> torch.Tensor:
    position = (torch.arange(length) + 0.5) / length / _FEATHER
    one = torch.ones(length)
    rising = position.clamp(0, 1) if at_start else one
    falling = position.flip(0).clamp(0, 1) if at_end else one
    ramp = torch.minimum(rising, falling)
    return ramp * ramp * (3 - 2 * ramp)


def composite(frames: torch.Tensor, layer: Layer) -> torch.Tensor:
    """Paint a layer onto frames.

    Args:
        frames: (N,3,H,W) RGB in [0,1].
        layer: what to paint, in crop space.

    Returns:
        (N,3,H,W); where alpha is 0 and outside the crop, the frames' own values, bit for bit.
    """
    check(len(frames) == len(layer.crop), f"{len(frames)} frames, layer has {len(layer.crop)}")
    painted = frames.clone()
    for run in geometry.equal_runs(layer.crop):
        same = Crop(layer.crop.size, layer.crop.crop_from_frame[run])
        square = geometry.whole_square(same, (frames.shape[2], frames.shape[3]))
        if square is not None:
            _paint_square(painted[run], layer.rgb[run], layer.alpha[run], square)
            continue
        for n in range(run.start, run.stop):
            frame_from_crop = geometry.invert(layer.crop.crop_from_frame[n])
            x0, y0, x1, y1 = _bounds(frame_from_crop, layer.crop.size, frames.shape[2:])
            if x0 < x1 and y0 < y1:
                rgb, alpha = _over(layer, n, (x0, y0, x1, y1))
                _paint(painted[n, :, y0:y1, x0:x1], rgb, alpha)
    return painted


def _paint_square(
    frames: torch.Tensor, rgb: torch.Tensor, alpha: torch.Tensor, square: tuple[int, int, int]
) -> None:
    """Paint on one upright square: a resize says the same as a grid of places, at once."""
    x, y, side = square
    picture = torch.cat([rgb, alpha], 1)
    if picture.shape[2:] != (side, side):
        picture = functional.interpolate(picture, size=(side, side), mode="bilinear")
    _paint(frames[:, :, y : y + side, x : x + side], picture[:, :3], picture[:, 3:])


def _paint(region: torch.Tensor, rgb: torch.Tensor, alpha: torch.Tensor) -> None:
    """Blend into a part of the frames; where alpha is 0, nothing is written."""
    mixed = region + alpha * (rgb - region)
    region.copy_(torch.where(alpha > 0, mixed, region))


def _over(
    layer: Layer, n: int, bounds: tuple[int, int, int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """RGB and alpha of one layer at the frame's pixels within `bounds`."""
    x0, y0, x1, y1 = bounds
    crop_from_frame = layer.crop.crop_from_frame[n]
    if np.array_equal(crop_from_frame[:, :2], np.eye(2)) and not (crop_from_frame[:, 2] % 1).any():
        # The crop's pixels are the frame's own: nothing to interpolate.
        x, y = (int(shift) for shift in crop_from_frame[:, 2])
        part = slice(y0 + y, y1 + y), slice(x0 + x, x1 + x)
        return layer.rgb[n][:, *part], layer.alpha[n][:, *part]
    grid = _grid(crop_from_frame, layer.crop.size, bounds)
    picture = torch.cat([layer.rgb[n], layer.alpha[n]])[None]
    there = functional.grid_sample(
        picture, grid, mode="bilinear", padding_mode="border", align_corners=False
    )[0]
    inside = (grid[0].abs() <= 1).all(-1)
    return there[:3], there[3:] * inside


def _bounds(
    frame_from_crop: Floats, size: tuple[int, int], frame: torch.Size
) -> tuple[int, int, int, int]:
    h, w = size
    corners = np.array([[0, 0], [w, 0], [0, h], [w, h]], np.float32)
    places = geometry.apply(frame_from_crop, corners)
    low, high = np.floor(places.min(0) + 1e-3), np.ceil(places.max(0) - 1e-3)
    return (
        max(0, int(low[0])),
        max(0, int(low[1])),
        min(int(frame[1]), int(high[0])),
        min(int(frame[0]), int(high[1])),
    )


def _grid(
    crop_from_frame: Floats, size: tuple[int, int], bounds: tuple[int, int, int, int]
) -> torch.Tensor:
    x0, y0, x1, y1 = bounds
    xs, ys = np.meshgrid(np.arange(x0, x1) + 0.5, np.arange(y0, y1) + 0.5)
    centers = np.stack([xs, ys], -1).astype(np.float32).reshape(-1, 2)
    places = geometry.apply(crop_from_frame, centers)
    grid = places / np.array([size[1], size[0]], np.float32) * 2 - 1
    return torch.from_numpy(grid.reshape(1, y1 - y0, x1 - x0, 2).astype(np.float32))
