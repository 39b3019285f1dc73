"""Link faces of single frames into people, cut at shot changes, and fill short gaps."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from likeness.track.config import TrackConfig
from likeness.track.detect import Image, iou
from likeness.track.landmarks import Face
from likeness.types import FaceTrack, Floats

_THUMB = 32
_BINS = 32
_RECENT = 8
KNOWN_FRAMES = _RECENT + 1
"""Frames before one that decide whether it begins a new shot."""


class CutDetector:
    """Decide from tiny pictures whether a frame begins a new shot.

    A cut changes the picture a lot (mean absolute difference of 32x32 luma), changes its histogram
    and stands out from the motion just before it; a fast pan fails the last test, a flash in a
    still scene the first or second only when it is weak.
    """

    def __init__(self, config: TrackConfig) -> None:
        self._config = config
        self._thumb: Floats | None = None
        self._histogram: Floats | None = None
        self._recent: deque[float] = deque(maxlen=_RECENT)

    def is_cut(self, image: Image) -> bool:
        """Return whether the (H,W,3) uint8 image begins a new shot; feed frames in order."""
        thumb = _thumbnail(image)
        histogram = np.histogram(thumb, _BINS, (0, 1))[0].astype(np.float32) / thumb.size
        last, last_histogram = self._thumb, self._histogram
        self._thumb, self._histogram = thumb, histogram
        if last is None or last_histogram is None:
            return False
        change = float(np.abs(thumb - last).mean())
        distance = 0.5 * float(np.abs(histogram - last_histogram).sum())
        usual = float(np.median(self._recent)) if self._recent else 0.0
        self._recent.append(change)
        stands_out = change > 4 * usual
        return (
            stands_out
            and change > self._config.cut_change
            and (distance > self._config.cut_histogram or change > 2 * self._config.cut_change)
        )


class Linker:
    """Grow tracks frame by frame.

    Faces are matched to the people seen before by the mean distance of their landmarks in face
    widths, less their boxes' overlap, as one assignment (Hungarian method) per frame.
    """

    def __init__(self, config: TrackConfig) -> None:
        self._config = config
        self._open: list[_Person] = []
        self._done: list[_Person] = []
        self._shot_start = 0

    def add(self, index: int, faces: list[Face]) -> None:
        """Append the faces of frame `index`."""
        for person in [p for p in self._open if index - p.last > self._config.max_gap + 1]:
            self._open.remove(person)
            self._done.append(person)
        taken: set[int] = set()
        if faces and self._open:
            cost = np.array([[_distance(p.face, f) for f in faces] for p in self._open])
            # A person who was away may have moved further.
            gap = np.array([min(index - p.last, 4) for p in self._open])
            for row, column in zip(*linear_sum_assignment(cost), strict=True):
                if cost[row, column] <= self._config.link_distance * (1 + 0.5 * (gap[row] - 1)):
                    self._open[row].add(index, faces[column])
                    taken.add(int(column))
        self._open += [
            _Person(index, face, self._shot_start) for i, face in enumerate(faces) if i not in taken
        ]

    def cut(self, index: int) -> None:
        """End all tracks: frame `index` begins a new shot."""
        for person in self._open:
            person.cut_off = True
        self._end(index)

    def _end(self, index: int) -> None:
        for person in self._open:
            person.shot_length = index - person.shot_start
        self._done += self._open
        self._open = []
        self._shot_start = index

    def finish(self, length: int, cut: bool = False) -> tuple[FaceTrack, ...]:
        """Return the tracks of `length` frames, people of most pixels first.

        Args:
            length: of the clip, or the frame at which it `cut`s after the part that was looked at.
            cut: whether another shot follows.
        """
        if cut:
            self.cut(length)
        self._end(length)
        kept = [
            p for p in self._done if len(p.frames) >= min(self._config.min_length, p.shot_length)
        ]
        tracks = [person.track() for person in kept]
        return tuple(sorted(tracks, key=lambda t: (-size_of(t), t.start)))


class _Person:
    """A track that still grows."""

    def __init__(self, index: int, face: Face, shot_start: int) -> None:
        self.frames = [index]
        self.faces = [face.landmarks]
        self.scores = [face.score]
        self.face = face
        self.shot_start = shot_start
        self.shot_length = 1_000_000_000
        self.cut_off = False

    @property
    def last(self) -> int:
        return self.frames[-1]

    def add(self, index: int, face: Face) -> None:
        self.frames.append(index)
        self.faces.append(face.landmarks)
        self.scores.append(face.score)
        self.face = face

    def track(self) -> FaceTrack:
        """Fill gaps by straight lines between the frames around them."""
        start, count = self.frames[0], self.frames[-1] - self.frames[0] + 1
        seen = np.array(self.frames) - start
        observed = np.zeros(count, bool)
        observed[seen] = True
        landmarks = fill(np.stack(self.faces), seen, count)
        scores = np.zeros(count, np.float32)
        scores[seen] = self.scores
        cut_after = np.zeros(count, bool)
        cut_after[-1] = self.cut_off
        boxes = boxes_of(landmarks)
        return FaceTrack(start, boxes, landmarks, scores, observed, cut_after=cut_after)


def fill(values: Floats, seen: NDArray[np.intp], count: int) -> Floats:
    """Spread values (K,...) at the sorted positions `seen` (K,) over `count` frames, linearly.

    Frames before the first and after the last position take its value.
    """
    filled = np.empty((count, *values.shape[1:]), np.float32)
    filled[seen] = values
    # Few frames are missing: only they are computed, so that a long track isn't held many times.
    missing = np.setdiff1d(np.arange(count), seen)
    right = np.searchsorted(seen, missing)
    left, right = np.maximum(right - 1, 0), np.minimum(right, len(seen) - 1)
    span = np.maximum(seen[right] - seen[left], 1)
    weight = ((missing - seen[left]) / span).clip(0, 1).astype(np.float32)
    weight = weight.reshape(-1, *[1] * (values.ndim - 1))
    filled[missing] = values[left] * (1 - weight) + values[right] * weight
    return filled


def boxes_of(landmarks: Floats) -> Floats:
    """Return (N,4) x0 y0 x1 y1 around (N,P,>=2) landmarks."""
    xy = landmarks[..., :2]
    return np.concatenate([xy.min(1), xy.max(1)], -1, dtype=np.float32)


def _distance(a: Face, b: Face) -> float:
    """Mean landmark distance in face widths, less half the overlap of the boxes."""
    width = max(float(a.box[2] - a.box[0]), float(b.box[2] - b.box[0]), 1.0)
    apart = float(np.linalg.norm(a.landmarks[:, :2] - b.landmarks[:, :2], axis=-1).mean()) / width
    return apart - 0.5 * iou(a.box, b.box)


def size_of(track: FaceTrack) -> float:
    """Return the mean side of a face, pixels."""
    extent = track.boxes[:, 2:] - track.boxes[:, :2]
    return float(np.sqrt(np.maximum(extent.prod(-1), 0)).mean())


def _thumbnail(image: Image) -> Floats:
    """Luma of the frame, averaged over a grid of 32x32 cells sampled 4x4 each, in [0,1]."""
    height, width = image.shape[:2]
    n = _THUMB * 4
    rows = (np.arange(n) + 0.5) * height / n
    columns = (np.arange(n) + 0.5) * width / n
    sample = image[rows.astype(int)][:, columns.astype(int)].astype(np.float32)
    luma = sample.reshape(-1, 3) @ np.array([0.2126, 0.7152, 0.0722], np.float32) / 255
    thumb: Floats = luma.reshape(_THUMB, 4, _THUMB, 4).mean((1, 3))
    return thumb
