"""Read every frame a second time in the mirror: a landmark network is not even-handed.

Shown a picture and its mirror image, MediaPipe moves irises a little to the same side of both, by
0.4 percent of the face's width on rendered people (`benchmarks/mirror.py`), which reads as a gaze
that is off by two degrees. The mean of both answers has none of it, and less jitter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from likeness.track.blocks import by_shots
from likeness.track.detect import Image, iou
from likeness.track.landmarks import LANDMARKS, Face, Reader
from likeness.types import Floats, Ints

_SAME = 0.5
"""Least overlap of boxes that are one face in both pictures."""
_NEAR = 0.1
"""Least overlap of boxes that are readings of one place in the picture, agreed or not."""
_MIDDLE = (*range(3), *range(4, 7), *range(8, 20), 94, 151, 152, 164, 168, 175, 195, 197, 199, 200)
"""Landmarks on the middle line of the face."""
_SIDES = 248
"""The topology numbers middle and right side up to here, then the left in the right one's order."""
_RIGHT_IRIS = np.array([468, 469, 470, 471, 472])
_LEFT_IRIS = np.array([473, 476, 475, 474, 477])


def twins() -> Ints:
    """Return (478,): for each landmark, the one on the other side of the face."""
    right = np.concatenate([np.setdiff1d(np.arange(_SIDES), _MIDDLE), _RIGHT_IRIS])
    left = np.concatenate([np.arange(_SIDES, _RIGHT_IRIS[0]), _LEFT_IRIS])
    other = np.arange(LANDMARKS)
    other[right], other[left] = left, right
    return other


class EvenReader(Reader):
    """Two readers of one backend: one looks at the picture, one at its mirror image.

    The first says who is there; the second helps to say where. Both run side by side, the more so
    the more frames they are given at once. What the mirror moves a face by changes slowly: it can
    be asked in some frames only, and taken from the nearest of them in the frames between.
    """

    def __init__(self, start: Callable[[], Reader], every: int = 1) -> None:
        """Open both; the mirror is asked in every `every`th frame of a run, and in its last."""
        self._readers = (start(), start())
        self._every = every
        self._twins = twins()
        self._last: list[_Moved] | None = None
        """What the mirror said in the frame before the next run."""
        self._other = ThreadPoolExecutor(1, "mirror")

    def read(self, image: Image) -> list[Face]:
        """Return the faces in a (H,W,3) uint8 RGB image."""
        return self.read_run([image], [False])[0]

    def read_run(self, images: Sequence[Image], cuts: Sequence[bool]) -> list[list[Face]]:
        """Read frames that follow each other, as every reader does, on two cores."""
        return by_shots(images, cuts, self.reset, self._read_part)

    def _read_part(self, images: Sequence[Image]) -> list[list[Face]]:
        """Read frames of one shot."""
        import cv2

        plain, mirrored = self._readers
        count, width, no_cuts = len(images), images[0].shape[1], [False] * len(images)
        asked = sorted(range(count - 1, -1, -self._every))
        if self._last is None and asked[0] > 0:
            asked = [0, *asked]
        turned = [np.asarray(cv2.flip(images[place], 1), np.uint8) for place in asked]
        seen = self._other.submit(mirrored.read_run, turned, no_cuts[: len(asked)])
        found = plain.read_run(images, no_cuts)
        said = {-1: self._last or []}
        for place, faces in zip(asked, seen.result(), strict=True):
            others = [self._unmirrored(face, width) for face in faces]
            said[place] = [_Moved(face, _mean(face, others)) for face in found[place]]
        self._last = said[count - 1]
        answers = []
        for place, faces in enumerate(found):
            if place in said:
                answers.append([moved.after for moved in said[place]])
                continue
            before = max(other for other in said if other < place)
            after = min(other for other in said if other > place)
            share = (place - before) / (after - before)
            answers.append([_between(face, said[before], said[after], share) for face in faces])
        return answers

    def reset(self) -> None:
        """Forget where faces were."""
        self._last = None
        for reader in self._readers:
            reader.reset()

    def close(self) -> None:
        """Free the models."""
        self._other.shutdown()
        for reader in self._readers:
            reader.close()

    def _unmirrored(self, face: Face, width: int) -> Face:
        landmarks = face.landmarks[self._twins]
        landmarks[:, 0] = width - landmarks[:, 0]
        return replace(face, landmarks=landmarks)


@dataclass(frozen=True, eq=False, slots=True)
class _Moved:
    """A face before and after it was averaged with its mirrored reading."""

    before: Face
    after: Face


def _between(face: Face, earlier: list[_Moved], later: list[_Moved], share: float) -> Face:
    """Move a face as the mirror moved it in the frames around, `share` of the way between them."""
    steps = [
        (weight, _nearest(face, moved)) for weight, moved in ((1 - share, earlier), (share, later))
    ]
    known = [(weight, step) for weight, step in steps if step is not None]
    if not known:
        return face
    total = sum(weight for weight, _ in known)
    step = sum(weight / total * step for weight, step in known)
    return replace(face, landmarks=np.asarray(face.landmarks + step, np.float32))


def _nearest(face: Face, moved: list[_Moved]) -> Floats | None:
    """Return what the mirror moved the same face by, (478,3) pixels; None where it was not seen."""
    best = max(moved, key=lambda one: iou(face.box, one.before.box), default=None)
    if best is None or iou(face.box, best.before.box) < _SAME:
        return None
    return best.after.landmarks - best.before.landmarks


def _mean(face: Face, others: list[Face]) -> Face:
    """Average a face with the same one among others; alone, it stays as it is."""
    best = max(others, key=lambda other: iou(face.box, other.box), default=None)
    if best is None or iou(face.box, best.box) < _NEAR:
        return face
    apart = float(np.linalg.norm((face.landmarks - best.landmarks)[:, :2], axis=-1).mean())
    doubted = replace(face, doubt=apart / face.size)
    if iou(face.box, best.box) < _SAME:
        return doubted
    return replace(doubted, landmarks=(face.landmarks + best.landmarks) / 2)
