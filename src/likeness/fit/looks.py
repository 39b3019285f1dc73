"""A face in every frame as a small square of luma: what laying frames onto each other looks at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from likeness.decode import Decoder
from likeness.face3d.camera import project
from likeness.face3d.model import FaceModel
from likeness.types import Clip, FaceParams, FaceTrack, Floats, Ints, Window

Luma = NDArray[np.uint8]

SIDE = 192
"""Side of the square that a face is looked at in, pixels: lashes and lip lines are still seen."""
_MARGIN = 1.25
"""Side of that square in units of the face."""
_KEPT = 1500
"""Frames of a track whose squares are kept (55 MB); of a longer one they are cut again."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, eq=False, slots=True)
class Look:
    """N faces as squares of luma."""

    luma: Luma
    """(N,s,s)."""
    corner: Floats
    """(N,2) frame pixels of the square's upper left corner."""
    scale: Floats
    """(N,) pixels of the square per pixel of the frame."""

    def place(self, mesh: Floats) -> Floats:
        """Move a mesh (N,V,3) from frame pixels into the squares."""
        xy = (mesh[..., :2] - self.corner[:, None]) * self.scale[:, None, None]
        return np.concatenate([xy, mesh[..., 2:]], -1, dtype=np.float32)

    def part(self, index: Ints | slice) -> Look:
        """Return some of the squares."""
        return Look(self.luma[index], self.corner[index], self.scale[index])


class Looks:
    """Cuts the squares of a track, and keeps those of a short one, so that it is decoded once.

    Where a square lies is said by the params that it is opened with, whatever is found later: kept
    or cut again, squares are the same.
    """

    def __init__(self, model: FaceModel, size: tuple[int, int], params: FaceParams) -> None:
        """Frame the faces of N frames as `params` has them; `size` is (H, W) of the frames."""
        self._model, self._size, self._params = model, size, params
        room = len(params) if len(params) <= _KEPT else 0
        self._kept = Look(
            np.empty((room, SIDE, SIDE), np.uint8),
            np.empty((room, 2), np.float32),
            np.empty(room, np.float32),
        )
        self._known = np.zeros(room, bool)

    def keep(self, frames: Floats, some: slice) -> None:
        """Keep the squares of frames (n,3,H,W), if the track is short enough."""
        if len(self._known):
            look = self.cut(frames, np.arange(some.start, some.stop))
            self._kept.luma[some], self._kept.corner[some] = look.luma, look.corner
            self._kept.scale[some], self._known[some] = look.scale, True

    def known(self, index: Ints) -> Look | None:
        """Return the squares of frames (n,) if all of them were kept."""
        if len(self._known) and self._known[index].all():
            return self._kept.part(index)
        return None

    def read(self, clip: Clip, track: FaceTrack, index: Ints) -> Look:
        """Return the squares of frames (n,) of the track, decoding those that were not kept."""
        kept = self.known(index)
        if kept is not None:
            return kept
        looks = []
        # One frame at a time, in one place: at 8K it takes 400 MB.
        room = torch.empty((1, 3, *clip.size))
        with Decoder(clip) as decoder:
            for number in index:
                frame = int(number) + track.start
                pixels = decoder.read(Window(frame, frame + 1), room)
                looks.append(self.cut(pixels.numpy(), np.array([number])))
        return Look(
            np.concatenate([one.luma for one in looks]),
            np.concatenate([one.corner for one in looks]),
            np.concatenate([one.scale for one in looks]),
        )

    def cut(self, frames: Floats, index: Ints) -> Look:
        """Cut frames (n,3,H,W) RGB in [0,1], which are `index` of the track, to their squares."""
        import cv2

        mesh = self._mesh(index)
        low, high = mesh.min(1), mesh.max(1)
        sides = np.ceil(_MARGIN * (high - low).max(-1)).clip(8, 4 * max(self._size)).astype(int)
        corners = np.round((low + high) / 2 - sides[:, None] / 2).astype(int)
        # A face that left the frame still gets a square, of the frame's edge.
        corners = corners.clip(1 - sides[:, None], np.array(self._size[::-1]) - 1)
        height, width = self._size
        squares = np.empty((len(frames), SIDE, SIDE), np.uint8)
        for n, (frame, side, (x, y)) in enumerate(zip(frames, sides, corners, strict=True)):
            x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + side, width), min(y + side, height)
            # One sum, one product at a time: at 8K each of them takes 100 MB.
            inside = _LUMA[0] * frame[0, y0:y1, x0:x1]
            for c in (1, 2):
                inside += _LUMA[c] * frame[c, y0:y1, x0:x1]
            around = ((y0 - y, y + side - y1), (x0 - x, x + side - x1))
            luma = np.pad(inside, around, mode="edge") if np.any(around) else inside
            way = cv2.INTER_AREA if side > SIDE else cv2.INTER_LINEAR
            small = cv2.resize(luma, (SIDE, SIDE), interpolation=way)
            squares[n] = np.clip(small * 255 + 0.5, 0, 255)
        scale = (SIDE / sides).astype(np.float32)
        return Look(squares, corners.astype(np.float32), scale)

    def _mesh(self, index: Ints) -> Floats:
        """Return (n,V,2): the mesh in frame pixels."""
        p = self._params
        head = self._model.vertices(p.shape, p.expression[index])
        mesh = project(head, p.rotation[index], p.translation[index], p.focal, self._size)
        return np.asarray(mesh[..., :2], np.float32)
