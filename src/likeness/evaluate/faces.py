"""Reading the faces of two videos alike, real and made."""

from __future__ import annotations

import logging

import numpy as np
import torch

from likeness import geometry
from likeness.condition.conditioner import select
from likeness.errors import BackendError
from likeness.fit.gaze import gaze_angles
from likeness.people import recognizer
from likeness.recognize import Recognizer, embed_faces
from likeness.store import load_face_model
from likeness.track.config import TrackConfig
from likeness.track.landmarks import read_largest
from likeness.track.readers import open_reader
from likeness.types import FaceParams, Floats, Window

log = logging.getLogger(__name__)


class FaceReaders:
    """Two trackers side by side, each following its own video; a context manager."""

    def __enter__(self) -> FaceReaders:
        # Both are read alike: the side that the network favors is no difference between them.
        config = TrackConfig(max_faces=1, even=False)
        self._readers = (open_reader(config), open_reader(config))
        return self

    def __exit__(self, *_: object) -> None:
        for reader in self._readers:
            reader.close()

    def __call__(self, real: torch.Tensor, result: torch.Tensor) -> tuple[Floats, Floats]:
        """Return (n,478,3) landmarks of the first face per frame, NaN where there is none."""
        return read_largest(self._readers[0], real), read_largest(self._readers[1], result)


class IdentityReader:
    """How far a made face is from the real one, by a recognizer, in a frame of every window."""

    def __init__(self) -> None:
        self._recognizer: Recognizer | None = None
        try:
            self._recognizer = recognizer()
        except BackendError as error:
            log.warning("%s; identity is not measured", error)

    def __call__(
        self, real: torch.Tensor, result: torch.Tensor, landmarks: tuple[Floats, Floats]
    ) -> Floats:
        """Return (n,) distances; NaN where not asked, or where a face is missing."""
        apart = np.full(len(real), np.nan, np.float32)
        there = np.isfinite(landmarks[0]).all((1, 2)) & np.isfinite(landmarks[1]).all((1, 2))
        if self._recognizer is None or not there.any():
            return apart
        chosen = np.flatnonzero(there)[:1]
        codes = [
            embed_faces(frames[chosen], points[chosen], self._recognizer)
            for frames, points in zip((real, result), landmarks, strict=True)
        ]
        apart[chosen] = self._recognizer.distance(*codes)
        return apart


class GazeReader:
    """Gaze by the fit's own eyeballs, from landmarks in a crop."""

    def __init__(self, params: FaceParams, crop_from_frame: Floats, size: tuple[int, int]) -> None:
        self._params, self._size = params, size
        self._model = load_face_model(params.model)
        self._frame_from_crop = geometry.invert(crop_from_frame)

    def __call__(
        self, landmarks: tuple[Floats, Floats], rows: Window
    ) -> tuple[Floats, Floats] | None:
        """Return (n,2,2) angles of both pairs of eyes in the fitted head; NaN without a face."""
        if self._model.eye_centers is None:
            return None
        params = select(self._params, np.arange(rows.start, rows.stop))
        real, result = (
            gaze_angles(mapped(seen, self._frame_from_crop), params, self._model, self._size)
            for seen in landmarks
        )
        return real, result


def mapped(landmarks: Floats, to_from: Floats) -> Floats:
    """Bring (n,P,3) landmarks into another picture by similarities (1 or n,2,3)."""
    xy = geometry.apply(to_from, landmarks[..., :2])
    depth = landmarks[..., 2:] * np.sqrt(np.linalg.det(to_from[:, :2, :2]))
    mapped: Floats = np.concatenate([xy, depth], -1).astype(np.float32)
    return mapped
