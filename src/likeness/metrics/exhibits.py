"""What was measured, to be looked at: real above result, at spread frames and at the worst ones.

A number says how far two pictures are apart, not how it looks. The sheet shows a few frames that
are spread evenly and the few that are worst inside the face, each with eyes and mouth enlarged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from likeness.condition.crop import cut
from likeness.metrics.pictures import sheet_picture
from likeness.metrics.regions import FACE_OVAL, OUTER_LIPS
from likeness.track.measure import EYE_CORNERS
from likeness.types import Crop, Floats, check

_EYES, _MOUTH = (1.5, 0.63), (1.2, 0.84)
"""Width and height of the enlarged parts, in distances between the outer eye corners."""
_HEAD = 1.9
"""Side of the square around a face in a wide frame, in heights of the face."""


@dataclass(frozen=True, eq=False)
class _Exhibit:
    label: str
    score: float
    parts: tuple[Tensor, ...]
    """Real and result whole, then real and result eyes, then real and result mouth."""


class Exhibits:
    """Keeps few frames out of many: evenly spread ones, and the worst that lie apart."""

    def __init__(
        self,
        total: int,
        spread: int = 5,
        worst: int = 5,
        side: int = 256,
        *,
        unit: str = "dB",
        names: tuple[str, str] = ("real", "result"),
        above: tuple[str, Tensor] | None = None,
    ) -> None:
        """Prepare for `total` frames.

        Args:
            total: frames that will be added.
            spread: frames kept at equal distances.
            worst: frames kept by their score, each the worst of its neighborhood.
            side: side of the kept pictures in pixels.
            unit: of the scores.
            names: of the two kinds of frames.
            above: name and (k,3,side,side) pictures of a first row, to compare with; repeated as
                often as needed.
        """
        check(total > 0 and spread > 0, f"{spread} exhibits of {total} frames, expected some")
        self._spread = set(np.linspace(0, total - 1, min(spread, total)).round().astype(int))
        # Neighbors look alike: two of the worst are at least this many frames apart.
        self._apart = max(1, min(25, total // (2 * worst))) if worst else 1
        self._most, self._side, self._count = worst, side, 0
        self._unit, self._names, self._above = unit, names, above
        self._even: dict[int, _Exhibit] = {}
        self._worst: dict[int, _Exhibit] = {}

    def add(
        self, names: list[str], real: Tensor, result: Tensor, landmarks: Floats, scores: Floats
    ) -> None:
        """Look at the next n frames.

        Args:
            names: what each frame is called on the sheet.
            real, result: (n,3,h,w) RGB in [0,1].
            landmarks: (n,478,>=2) pixels of the real faces; NaN without a face.
            scores: (n,) the lower, the worse. NaN is not looked at for the worst.
        """
        for i, name in enumerate(names):
            at, score = self._count, float(scores[i])
            self._count += 1
            worst = np.isfinite(score) and self._makes_room(at, score)
            if not worst and at not in self._spread:
                continue
            told = f"{name}  {abs(score):.3g} {self._unit}" if np.isfinite(score) else name
            exhibit = _Exhibit(told, score, self._parts(real[i], result[i], landmarks[i]))
            if at in self._spread:
                self._even[at] = exhibit
            if worst:
                self._worst[at] = exhibit

    def sheet(self) -> Tensor:
        """Return (3,H,W): spread frames, then the worst ones by increasing score.

        Raises:
            ContractError: no frames were added.
        """
        check(bool(self._even), "no frames were added to the exhibits, expected some")
        worst = sorted(self._worst.values(), key=lambda exhibit: exhibit.score)
        shown = [*self._even.values(), *worst]
        rows = [f"{name}{part}" for part in ("", " eyes", " mouth") for name in self._names]
        pictures = {
            name: torch.stack([exhibit.parts[row] for exhibit in shown])
            for row, name in enumerate(rows)
        }
        if self._above is not None:
            name, first = self._above
            pictures = {name: first[torch.arange(len(shown)) % len(first)], **pictures}
        marks = ["" if index < len(self._even) else "worst: " for index in range(len(shown))]
        labels = [f"{mark}{e.label}" for mark, e in zip(marks, shown, strict=True)]
        return sheet_picture(pictures, labels)

    def _makes_room(self, at: int, score: float) -> bool:
        """Tell whether a frame is among the worst, and drop the one whose place it takes."""
        near = [place for place in self._worst if at - place < self._apart]
        if near:
            rival = max(near)
        elif len(self._worst) < self._most:
            return True
        else:
            rival = max(self._worst, key=lambda place: self._worst[place].score, default=-1)
        if rival < 0 or self._worst[rival].score <= score:
            return False
        del self._worst[rival]
        return True

    def _parts(self, real: Tensor, result: Tensor, landmarks: Floats) -> tuple[Tensor, ...]:
        return tuple(
            _cut_out(picture, place, shape, self._side)
            for place, shape in _places(landmarks, (real.shape[-2], real.shape[-1]))
            for picture in (real, result)
        )


def _places(landmarks: Floats, size: tuple[int, int]) -> list[tuple[Floats, float]]:
    """Return (center x, center y, width) in pixels and height over width of the three parts."""
    height, width = size
    least = min(size)
    points = np.asarray(landmarks, np.float64)[:, :2]
    middle = np.array([width / 2, height / 2])
    if not np.isfinite(points).all():
        points, unit = np.broadcast_to(middle, points.shape), least / 3
    else:
        unit = float(np.linalg.norm(np.subtract(*points[EYE_CORNERS[:, 0]])))
    oval, side = points[FACE_OVAL], float(least)
    if height != width and np.ptp(oval[:, 1]) > 0:
        middle, side = oval.mean(0), min(side, float(_HEAD * np.ptp(oval[:, 1])))
    eyes, mouth = points[EYE_CORNERS.ravel()].mean(0), points[OUTER_LIPS].mean(0)
    return [
        (np.append(middle, side), 1.0),
        (np.append(eyes, _EYES[0] * unit), _EYES[1] / _EYES[0]),
        (np.append(mouth, _MOUTH[0] * unit), _MOUTH[1] / _MOUTH[0]),
    ]


def _cut_out(picture: Tensor, place: Floats, shape: float, side: int) -> Tensor:
    """Cut a (3,h,w) part out of a picture, `side` pixels wide."""
    x, y, width = place
    scale = side / width
    tall = round(side * shape)
    matrix = [[scale, 0, side / 2 - scale * x], [0, scale, tall / 2 - scale * y]]
    return cut(picture[None], Crop((tall, side), np.array([matrix], np.float32)))[0]
