"""What a swap is shown of its target: crops that follow the face, and what the face does there.

Every swap method draws into the same crops, so that masks, color and blending are one code for all
of them. A crop is upright and lies on whole pixels of the frame: what it does not change is the
frame's own pixel, without interpolation. Its corner moves in steps of several pixels, so that the
pyramids of blending halve the same pixels from frame to frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch.nn import functional

from likeness import geometry
from likeness.condition.conditioner import select
from likeness.plan.performance import away
from likeness.types import Bools, Crop, FaceParams, FaceTrack, Floats, Ints, Shot, Window, check

_ROOM = (0.5, 0.36)
"""Height and width of the crop beyond the face's own, in units of its longer side: holds chin,
hairline and room to blend."""
_STEP = 8
"""Pixels by which the crop's corner moves."""
_MOST = 640
"""Side in crop pixels; larger faces are drawn at a fraction of the frame's density."""
_LEAST = 64


@dataclass(frozen=True, eq=False)
class TargetView:
    """What a swap method is shown of the target in N frames."""

    window: Window
    frames: torch.Tensor
    """(N,3,H,W) RGB in [0,1]: the decoded frames."""
    crop: Crop
    """N similarities."""
    pixels: torch.Tensor
    """(N,3,h,w) RGB in [0,1]: the crops."""
    landmarks: Floats
    """(N,478,3) x, y in crop pixels, z in the same scale."""
    params: FaceParams
    """N frames; what the target's face does."""
    rows: Ints
    """(N,) rows of the target's track."""
    observed: Bools
    """(N,) False where the face was filled in, not seen."""

    def __len__(self) -> int:
        return len(self.rows)

    def projected(self, points: Floats) -> Floats:
        """Move (N,P,>=2) positions in pixels of the frame to crop pixels; z is scaled along."""
        return into_crop(points, self.crop)


@dataclass(frozen=True, eq=False)
class SwapFace:
    """The source's face as a method draws it, before it is finished."""

    rgb: torch.Tensor
    """(N,3,h,w) in [0,1], in the view's crop."""
    alpha: torch.Tensor
    """(N,1,h,w) in [0,1]: where the method has something to show."""


class Swapper(Protocol):
    """What draws the source's face over the target's. It answers for a frame alike in any window
    and is asked by several threads at once."""

    def draw(self, view: TargetView) -> SwapFace:
        """Draw the source doing what the target does in N frames."""
        ...


@dataclass(frozen=True, eq=False)
class SwapTarget:
    """The person whose face is replaced, over a whole output of M frames."""

    shot: Shot
    crop: Crop
    """M similarities."""
    rows: Ints
    """(M,) row of the track that each frame shows, the nearest where it shows none."""
    observed: Bools
    """(M,) where the face was seen."""
    present: Bools
    """(M,) where the face is in the picture: seen, or missed for no longer than a blink of the
    tracker."""

    @staticmethod
    def of(shot: Shot, seconds: Floats) -> SwapTarget:
        """Follow a person through all frames of their clip.

        Args:
            shot: the target.
            seconds: (T,) when the frames are shown.
        """
        frames = np.arange(len(shot.clip)) - shot.track.start
        rows = frames.clip(0, len(shot.track) - 1)
        observed = (rows == frames) & shot.track.observed[rows]
        cut_after = (rows == frames) & shot.track.cuts[rows]
        crop = following_crop(shot.track)
        return SwapTarget(
            shot,
            Crop(crop.size, crop.crop_from_frame[rows]),
            rows,
            observed,
            ~away(observed, np.asarray(seconds, np.float64), cut_after),
        )

    def view(self, window: Window, frames: torch.Tensor) -> TargetView:
        """Show N frames of the output, decoded as (N,3,H,W)."""
        chosen = slice(window.start, window.stop)
        rows = self.rows[chosen]
        check(len(rows) == len(frames), f"{len(frames)} frames for a window of {len(rows)}")
        crop = Crop(self.crop.size, self.crop.crop_from_frame[chosen])
        return TargetView(
            window,
            frames,
            crop,
            cut_upright(frames, crop),
            into_crop(self.shot.track.landmarks[rows], crop),
            select(self.shot.params, rows),
            rows,
            self.observed[chosen],
        )


def following_crop(track: FaceTrack) -> Crop:
    """Return the crop that follows a face through the frames of its track.

    Returns:
        N upright similarities of one scale on whole frame pixels, in steps of `_STEP` crop pixels.
    """
    boxes = track.boxes
    seen = boxes[track.observed] if track.observed.any() else boxes
    # The largest height and width of the face, whichever way it is turned and tilted.
    largest = np.maximum(np.percentile((seen[:, 2:] - seen[:, :2])[:, ::-1], 98, axis=0), 1.0)
    face = float(largest.max())
    wanted = largest + face * np.array(_ROOM)
    # A power of two keeps every crop pixel a block of whole frame pixels.
    density = 2.0 ** -max(0, int(np.ceil(np.log2(wanted.max() / _MOST))))
    size = np.maximum(np.ceil(wanted * density / 16) * 16, _LEAST).astype(int)
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    # Boxes end at the brows' side of the hairline.
    center[:, 1] -= 0.04 * face
    corner = np.round((center * density - size[::-1] / 2) / _STEP) * _STEP
    crop_from_frame = np.zeros((len(boxes), 2, 3), np.float32)
    crop_from_frame[:, 0, 0] = crop_from_frame[:, 1, 1] = density
    crop_from_frame[:, :, 2] = -corner
    return Crop((int(size[0]), int(size[1])), crop_from_frame)


def cut_upright(frames: torch.Tensor, crop: Crop) -> torch.Tensor:
    """Cut crops of `following_crop` out of frames: pixels as they are, or means of whole blocks.

    Args:
        frames: (N,3,H,W) RGB in [0,1].
        crop: N similarities on whole pixels, their scale one over a whole number.

    Returns:
        (N,3,h,w); places outside the frame show the nearest pixel of its border.
    """
    check(len(frames) == len(crop), f"{len(frames)} frames for {len(crop)} crops")
    h, w = crop.size
    height, width = frames.shape[2:]
    pictures = frames.new_empty((len(frames), frames.shape[1], h, w))
    for picture, frame, matrix in zip(pictures, frames, crop.crop_from_frame, strict=True):
        block = round(1 / float(matrix[0, 0]))
        left, top = (round(-float(shift) * block) for shift in matrix[:, 2])
        if 0 <= left <= width - w * block and 0 <= top <= height - h * block:
            part = frame[:, top : top + h * block, left : left + w * block]
        else:
            columns = (torch.arange(w * block) + left).clamp_(0, width - 1)
            rows = (torch.arange(h * block) + top).clamp_(0, height - 1)
            part = frame.index_select(1, rows).index_select(2, columns)
        picture[:] = part if block == 1 else functional.avg_pool2d(part[None], block)[0]
    return pictures


def into_crop(points: Floats, crop: Crop) -> Floats:
    """Move (N,P,>=2) positions in the frame into crops; a third column is scaled along."""
    moved = np.array(points, np.float32)
    moved[..., :2] = geometry.apply(crop.crop_from_frame, points[..., :2])
    if points.shape[-1] > 2:
        scale = np.sqrt(np.linalg.det(crop.crop_from_frame[:, :, :2]))
        moved[..., 2] *= scale[:, None]
    return moved


def moved(pictures: torch.Tensor, crop: Crop, to: Crop) -> torch.Tensor:
    """Move pictures from one crop of the same frames into another.

    Args:
        pictures: (N,C,h,w) in `crop`.
        crop: where they lie.
        to: where they are wanted.

    Returns:
        (N,C,h',w'); 0 where the first crop does not reach. Bilinear, antialiased where it shrinks.
    """
    check(len(pictures) == len(crop) == len(to), "as many pictures as crops are expected")
    back = geometry.compose(crop.crop_from_frame, geometry.invert(to.crop_from_frame))
    answers = []
    for picture, theirs in zip(pictures.split(1), back, strict=True):
        scale = float(np.sqrt(np.linalg.det(theirs[:, :2].astype(np.float64))))
        matrix, source, size = theirs.astype(np.float64), picture, crop.size
        if scale > 1.5:
            size = (max(1, round(size[0] / scale)), max(1, round(size[1] / scale)))
            shrink = np.array([size[1] / crop.size[1], size[0] / crop.size[0]])
            matrix = matrix * shrink[:, None]
            source = functional.interpolate(source, size=size, mode="bilinear", antialias=True)
        half_to, half_from = np.array(to.size[::-1]) / 2, np.array(size[::-1]) / 2
        linear = matrix[:, :2] * half_to / half_from[:, None]
        center = (matrix[:, :2] @ half_to + matrix[:, 2]) / half_from - 1
        theta = torch.from_numpy(np.concatenate([linear, center[:, None]], 1)).to(source)
        grid = functional.affine_grid(theta[None], [1, 1, *to.size], align_corners=False)
        answers.append(functional.grid_sample(source, grid, mode="bilinear", align_corners=False))
    return torch.cat(answers) if answers else pictures.new_empty((0, pictures.shape[1], *to.size))
