"""What lies around the face, learned from a few frames: a texture of the unrolled head.

The mesh's rings carry the surroundings of the face with the head: hair, ears, neck. What a few
frames of the clip show there, on average, tells where hair and person can be in any frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from likeness.decode import Decoder
from likeness.methods.edit.surface_face import EditedFace
from likeness.methods.edit.surface_view import FrameView, drawn, fetched
from likeness.track.matte import at_edges, person_likelihoods
from likeness.types import Floats, Window

_SAMPLES = 8
"""Frames that are looked at."""
_HALF = np.array([230.0, 200.0], np.float32)
"""Millimetres from the middle of the unrolled head to the sides of its texture; one texel each."""
_SIZE = (int(2 * _HALF[1]), int(2 * _HALF[0]))


@dataclass(frozen=True, eq=False)
class Glimpses:
    """A few frames of the clip, and where they show a person."""

    views: tuple[FrameView, ...]
    mattes: tuple[Floats, ...]
    """(h,w) each, coverage by people."""

    @staticmethod
    def of(face: EditedFace) -> Glimpses:
        """Decode some frames in which the face was seen.

        Raises:
            MediaError: the clip cannot be read.
            BackendError: there is no segmentation.
        """
        seen = np.flatnonzero(face.shot.track.observed)
        rows = seen[np.unique(np.linspace(0, len(seen) - 1, _SAMPLES).astype(int))]
        views = []
        with Decoder(face.shot.clip) as decoder:
            for row in rows.tolist():
                index = face.shot.track.start + row
                frame = decoder.read(Window(index, index + 1))[0]
                views.append(FrameView(face.pose(row), drawn(face.cut(row, frame), face.size)))
        pictures = [(view.pixels * 255 + 0.5).astype(np.uint8) for view in views]
        mattes = [
            at_edges(picture, likelihood)
            for picture, likelihood in zip(pictures, person_likelihoods(pictures), strict=True)
        ]
        return Glimpses(tuple(views), tuple(mattes))

    def averaged(self, values: Sequence[Floats], reach: float) -> Floats:
        """Lay what is known of the frames' pixels, (h,w) each, onto the unrolled head.

        Args:
            values: one for each frame.
            reach: deviation in millimetres over which it is smoothed.
        """
        count, total = np.zeros(_SIZE), np.zeros(_SIZE)
        for view, value in zip(self.views, values, strict=True):
            x, y = (np.floor(part).astype(int) for part in _texels(view))
            there = (x >= 0) & (y >= 0) & (x < _SIZE[1]) & (y < _SIZE[0])
            np.add.at(total, (y[there], x[there]), value[there])
            np.add.at(count, (y[there], x[there]), 1)
        weight = np.maximum(gaussian_filter(count, reach), 1e-3)
        return np.asarray(gaussian_filter(total, reach) / weight, np.float32)


def around_head(texture: Floats, view: FrameView) -> Floats:
    """Draw a texture of the unrolled head into a frame, (h,w); 0 off it."""
    x, y = (np.asarray(part - np.float32(0.5), np.float32) for part in _texels(view))
    return fetched(texture, x, y)


def person_on_head(glimpses: Glimpses) -> Floats:
    """(h,w) on the unrolled head: how surely the person is there, whatever the pose."""
    share = glimpses.averaged(glimpses.mattes, 2.0)
    return np.asarray(np.clip((share - 0.5) / 0.4, 0, 1), np.float32)


def _texels(view: FrameView) -> tuple[Floats, Floats]:
    at = view.posed.places + _HALF
    return np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1])
