"""Faces that stand on their head are read on their feet, and nonsense is not taken for a face.

Shown a face upside down, a landmark network still answers with a whole face: eyes on the chin, a
mouth on the forehead. It gives itself away in the mirror: what it reads in a picture and in its
mirror image agrees within 2 percent of the face's size where there is a face, and differs by more
where it made one up, most often by far (`benchmarks/upside_down.py`). So the first face of every
shot is held against its mirrored reading; unless they agree closely, the picture is turned by half,
and the way counts in which they agree better. Where no way will do, quarter turns are tried.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from likeness.track.detect import Image, iou
from likeness.track.landmarks import Face, Reader
from likeness.track.mirror import EvenReader
from likeness.types import Floats

log = logging.getLogger(__name__)

AGREED = 0.04
"""Largest mean distance between a reading and the mirrored one, in units of the face's size."""
SURE = 0.01
"""The same for a face that needs no second look: what is made up never agrees so well."""
_TURNS = (2, 1, 3)
"""Quarter turns clockwise that are tried, the most frequent first."""
_AGAIN = 25
"""Frames without a face after which turns are tried again."""


class UprightReader(Reader):
    """A reader that settles, once a shot, how the picture must be turned to be read.

    `refused` counts frames in which something was read as a face that its mirror image denies.
    """

    def __init__(self, reader: Reader, start: Callable[[], Reader]) -> None:
        """Wrap a reader; `start` opens another one of its backend, for pictures read alone."""
        self.refused = 0
        self._reader = reader
        self._start = start
        self._probe: EvenReader | None = None
        self._turn = 0
        self._settled = False
        self._waiting = 0

    @property
    def turned(self) -> bool:
        """Whether the picture is read otherwise than as it stands."""
        return self._turn != 0

    def read(self, image: Image) -> list[Face]:
        """Return the faces in a (H,W,3) uint8 RGB image."""
        return self.read_run([image], [False])[0]

    def read_run(self, images: Sequence[Image], cuts: Sequence[bool]) -> list[list[Face]]:
        """Read frames that follow each other, as every reader does."""
        found: list[list[Face]] = []
        while len(found) < len(images):
            at = len(found)
            if cuts[at]:
                self.reset()
            if not self._settled:
                found.append(self._settle(images[at]))
                continue
            rest = range(at + 1, len(images))
            stop = next((i for i in rest if cuts[i]), len(images))
            found += self._read_turned(images[at:stop], self._turn)
        return found

    def reset(self) -> None:
        """Forget where faces were; how the picture stands is asked again."""
        self._reader.reset()
        self._settled, self._waiting = False, 0

    def close(self) -> None:
        """Free the models."""
        self._reader.close()
        if self._probe is not None:
            self._probe.close()

    def _settle(self, image: Image) -> list[Face]:
        """Read a frame of a shot in which no face was read for certain so far."""
        faces = self._read_turned([image], self._turn)[0]
        if any(face.doubt is None for face in faces):
            faces = [_doubted(face, self._alone(image, self._turn)) for face in faces]
        sound = [face for face in faces if face.doubt is not None and face.doubt <= AGREED]
        if sound:
            if _least(sound) > SURE:
                opposite = self._alone(image, (self._turn + 2) % 4)
                if opposite and _least(opposite) < _least(sound):
                    return self._take(image, (self._turn + 2) % 4)
            self._settled = True
            return sound
        self._waiting -= 1
        if self._waiting <= 0:
            self._waiting = _AGAIN
            for turn in ((self._turn + quarter) % 4 for quarter in _TURNS):
                if self._alone(image, turn):
                    return self._take(image, turn)
        unknown = [face for face in faces if face.doubt is None]
        self.refused += len(faces) > len(unknown)
        return unknown

    def _take(self, image: Image, turn: int) -> list[Face]:
        log.info("faces are read with the picture turned by %d degrees", 90 * turn)
        self._turn, self._settled = turn, True
        self._reader.reset()
        return self._read_turned([image], turn)[0]

    def _alone(self, image: Image, turn: int) -> list[Face]:
        """Read a picture by itself; only faces whose two readings agree count."""
        if self._probe is None:
            self._probe = EvenReader(self._start)
        self._probe.reset()
        height, width = image.shape[:2]
        faces = self._probe.read(_turned(image, turn))
        agreed = [face for face in faces if face.doubt is not None and face.doubt <= AGREED]
        return [_back(face, turn, (height, width)) for face in agreed]

    def _read_turned(self, images: Sequence[Image], turn: int) -> list[list[Face]]:
        height, width = images[0].shape[:2]
        seen = [_turned(image, turn) for image in images]
        answers = self._reader.read_run(seen, [False] * len(seen))
        return [[_back(face, turn, (height, width)) for face in faces] for faces in answers]


def _least(faces: list[Face]) -> float:
    """Return the doubt of the surest face."""
    return min((face.doubt for face in faces if face.doubt is not None), default=np.inf)


def _doubted(face: Face, others: list[Face]) -> Face:
    """Give a face that was read without its mirror image the doubt of the same one among others."""
    best = max(others, key=lambda other: iou(face.box, other.box), default=None)
    if face.doubt is not None or best is None or best.doubt is None:
        return face
    apart = float(np.linalg.norm((face.landmarks - best.landmarks)[:, :2], axis=-1).mean())
    return replace(face, doubt=max(best.doubt, apart / face.size))


def _turned(image: Image, turn: int) -> Image:
    """Turn a picture clockwise by quarters."""
    return image if turn == 0 else np.ascontiguousarray(np.rot90(image, -turn))


def _back(face: Face, turn: int, size: tuple[int, int]) -> Face:
    """Return a face of a turned picture in the picture of (H,W) before it was turned."""
    if turn == 0:
        return face
    return replace(face, landmarks=turned_back(face.landmarks, turn, size))


def turned_back(landmarks: Floats, turn: int, size: tuple[int, int]) -> Floats:
    """Bring (P,3) positions in a picture that was turned clockwise by quarters back.

    >>> points = np.array([[1.0, 2.0, 5.0]], np.float32)
    >>> turned_back(points, 1, (30, 40)).tolist(), turned_back(points, 2, (30, 40)).tolist()
    ([[2.0, 29.0, 5.0]], [[39.0, 28.0, 5.0]])
    """
    height, width = size
    x, y, z = landmarks.T
    if turn == 1:
        x, y = y, height - x
    elif turn == 2:
        x, y = width - x, height - y
    else:
        x, y = width - y, x
    return np.asarray(np.stack([x, y, z], -1), np.float32)
