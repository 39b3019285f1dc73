"""What the driver's own pixels give: the inside of the mouth, and wrinkles as a ratio of pictures.

Bringing Portraits to Life, sections on hidden regions and on fine detail: the mouth's interior
comes from the driving frame; wrinkles are transferred as the ratio of the driving frame to the
driver at rest (the expression ratio image of Liu, Shan and Zhang, SIGGRAPH 2001).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from likeness.composite.color import LUMA
from likeness.decode import Decoder
from likeness.face3d.model import FaceModel
from likeness.face3d.raster import Ids, interpolate, rasterize
from likeness.types import Clip, Floats, Ints, Shot, Window

SIDE = 192
"""Pixels of the front view's side: a wrinkle is 2 to 8 wide."""
_FINE, _COARSE = 1.3, 6.0
"""Band of the ratio, as deviations of two Gaussians in pixels of the front view."""
_NOISE, _OUTLIER = 0.015, 0.30
"""Log ratios below are the camera's noise; those above are misplaced edges, no wrinkles."""
_KEEP_OFF = {"eyes": 5.0, "lips": 6.0, "right_brow": 5.0, "left_brow": 5.0, "nose": 0.0}
"""Regions with sharp edges that a misplaced landmark would double, and how far to keep off."""
_NEUTRALS = 7
_EPSILON = 0.04


class DriverFrames:
    """Single frames of the driver's clip, while a photo is made ready."""

    def __init__(self, clip: Clip) -> None:
        self._decoder = Decoder(clip)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._decoder.close()

    def read(self, index: int) -> Floats:
        """Return frame `index` as (H,W,3) RGB in [0,1]."""
        return pixels_last(self._decoder.read(Window(index, index + 1))[0])


def pixels_last(frame: torch.Tensor) -> Floats:
    """Return a frame (3,H,W) as (H,W,3)."""
    return np.ascontiguousarray(frame.permute(1, 2, 0).numpy())


@dataclass(frozen=True, eq=False)
class FrontView:
    """The mean face seen from the front: where wrinkles of all drivers and frames are compared."""

    places: Floats
    """(V,2) of the vertices, pixels."""
    ids: Ids
    weights: Floats
    triangles: Ints
    trust: Floats
    """(a,a) in [0,1]: where wrinkles can be read."""

    @staticmethod
    def of(model: FaceModel) -> FrontView:
        """Look at a face model from the front."""
        import cv2

        flat = model.mean[:, :2]
        low, high = flat.min(0), flat.max(0)
        scale = (SIDE - 4) / float((high - low).max())
        places = ((flat - (low + high) / 2) * scale + SIDE / 2).astype(np.float32)
        deep = np.concatenate([places, np.ones((len(places), 1), np.float32)], 1)
        ids, weights = rasterize(deep, model.triangles, (SIDE, SIDE))
        trust = (ids >= 0).astype(np.float32)
        # The outline slides along the cheek when a head turns: keep off it, too.
        trust = np.asarray(cv2.erode(trust, np.ones((15, 15))), np.float32)
        for name, margin in _KEEP_OFF.items():
            mask = np.zeros((SIDE, SIDE), np.uint8)
            hull = cv2.convexHull(places[model.regions[name]].astype(np.int32))
            cv2.fillConvexPoly(mask, hull, (1,))
            side = 2 * int(margin) + 1
            trust *= 1 - np.asarray(cv2.dilate(mask, np.ones((side, side))), np.float32)
        trust = np.asarray(cv2.GaussianBlur(trust, (0, 0), 3.0), np.float32)
        return FrontView(places, ids, weights, model.triangles, trust)

    def luma(self, frame: Floats, points: Floats) -> Floats:
        """Bring the luma of a frame (H,W,3), whose vertices stand at (V,2), to the front, (a,a)."""
        import cv2

        low = np.floor(points.min(0) - 2).astype(int).clip(0)
        high = np.ceil(points.max(0) + 2).astype(int).clip(1)
        part = np.ascontiguousarray(frame[low[1] : high[1], low[0] : high[0]] @ LUMA)
        if min(part.shape) < 2:
            return np.full((SIDE, SIDE), 0.5, np.float32)
        ways = interpolate(self.ids, self.weights, points - low - 0.5, self.triangles)
        x, y = np.ascontiguousarray(ways[..., 0]), np.ascontiguousarray(ways[..., 1])
        flat = cv2.remap(part, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(flat, np.float32)


@dataclass(frozen=True, eq=False)
class Wrinkles:
    """Reads how a driver's skin differs from the driver at rest."""

    view: FrontView
    neutral: Floats
    """(a,a) luma at rest."""

    @staticmethod
    def of(shot: Shot, frames: DriverFrames, model: FaceModel, rest: int) -> Wrinkles:
        """Average the frames in which the driver does least."""
        view = FrontView.of(model)
        change = np.square(shot.params.expression - shot.params.expression[rest]).sum(1)
        turn = np.square(shot.params.rotation - shot.params.rotation[rest]).sum(1)
        change = np.where(shot.track.observed, change + 20 * turn, np.inf)
        change[rest] = 0
        nearest = np.sort(np.argsort(change, kind="stable")[:_NEUTRALS])
        flat = [
            view.luma(frames.read(shot.track.start + int(n)), driver_points(shot, int(n), model))
            for n in nearest
        ]
        return Wrinkles(view, np.median(np.stack(flat), 0).astype(np.float32))

    def read(self, frame: Floats, points: Floats) -> Floats:
        """Return (a,a) log ratio of a frame (H,W,3) to rest: the band of wrinkles only."""
        import cv2

        now = self.view.luma(frame, points)
        ratio = np.log((now + _EPSILON) / (self.neutral + _EPSILON))
        fine = cv2.GaussianBlur(ratio, (0, 0), _FINE) - cv2.GaussianBlur(ratio, (0, 0), _COARSE)
        sized = np.sign(fine) * np.maximum(np.abs(fine) - _NOISE, 0)
        # A wrinkle is a soft line; what changes this much is an edge in the wrong place.
        misplaced = cv2.GaussianBlur((np.abs(ratio) > 2 * _OUTLIER).astype(np.float32), (0, 0), 2)
        kept = _OUTLIER * np.tanh(sized / _OUTLIER) * (1 - np.clip(2 * misplaced, 0, 1))
        return np.asarray(kept * self.view.trust, np.float32)


def driver_points(shot: Shot, index: int, model: FaceModel) -> Floats:
    """(V,2) tracked places of the face model's vertices in frame `index` of the track."""
    found = np.zeros((len(model.mean), 2), np.float32)
    known = np.flatnonzero(model.landmark_vertices[:468] >= 0)
    found[model.landmark_vertices[known]] = shot.track.landmarks[index, known, :2]
    return found
