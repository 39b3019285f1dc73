"""Pairs of real and self-blended faces in windows, worn and coded, for the detector to learn from.

Imported by `forensics.py`. Windows are cut at the pictures' own density, after coding and anywhere,
so that the grids of coders lie anywhere in them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from forensics_blend import blend
from forensics_faces import Faces
from forensics_wear import Wear, coded_anyhow

from likeness.metrics.regions import FACE_OVAL
from likeness.nets.forensic import OVAL_STRIDE

WINDOW = 176
"""Side of a window in pixels."""
CHANCES = {"photo": 3.0, "gray": 1.0, "clip": 0.5, "actor": 0.5}
"""How often a face of each kind is drawn."""
SHARD = 64
_ROOM = 8
_GROUP = 8
_LARGE = 200.0
"""Width in pixels of faces that are mostly seen from farther off."""
_LEAST = 150


@dataclass(frozen=True, eq=False)
class Pairs:
    """N pairs."""

    pictures: np.ndarray
    """(N,2,WINDOW,WINDOW,3) uint8 RGB: untouched and changed."""
    changed: np.ndarray
    """(N,WINDOW/4,WINDOW/4) uint8, 255 where the second one was changed."""
    oval: np.ndarray
    """(N,WINDOW/4,WINDOW/4) uint8, 255 inside of the face."""


def load_pairs(faces: Faces, folder: Path, count: int) -> Pairs:
    """Make pairs of some people's faces in shards, or read what an earlier call made.

    Args:
        faces: whom the detector may learn from.
        folder: of the shards.
        count: of pairs, rounded up to whole shards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    usable = [row for row in range(len(faces)) if min(faces.pictures[row].shape[:2]) >= _LEAST]
    chances = np.array([CHANCES[str(faces.kinds[row])] for row in usable])
    parts = []
    for number in range(-(-count // SHARD)):
        kept = folder / f"{number:04d}.npz"
        if not kept.is_file():
            rng = np.random.default_rng(number)
            rows = rng.choice(usable, SHARD, p=chances / chances.sum())
            columns = _shard(faces, rows, rng)
            unfinished = kept.with_suffix(".part.npz")
            np.savez(unfinished, x=columns[0], m=columns[1], o=columns[2])
            os.replace(unfinished, kept)
        with np.load(kept) as file:
            parts.append((file["x"], file["m"], file["o"]))
    return Pairs(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _shard(faces: Faces, rows: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    pictures, changed, ovals = [], [], []
    for start in range(0, len(rows), _GROUP):
        some = [
            _pair(faces.pictures[row], faces.landmarks[row], rng)
            for row in rows[start : start + _GROUP]
        ]
        sent = coded_anyhow([one[0] for one in some] + [one[1] for one in some], rng)
        top, left = rng.integers(0, _ROOM + 1, 2)
        cut = _cutter(int(top), int(left))
        for k, one in enumerate(some):
            both = np.stack([cut(sent[k]), cut(sent[len(some) + k])])
            pictures.append((np.clip(both, 0, 1) * 255 + 0.5).astype(np.uint8))
            changed.append(_small(cut(one[2])))
            ovals.append(_small(cut(one[3])))
    return [np.stack(column) for column in (pictures, changed, ovals)]


def _pair(
    kept: np.ndarray, points: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return both pictures, what was changed and the face, in a window with room around it."""
    picture = kept.astype(np.float32) / 255
    if np.ptp(points[FACE_OVAL, 0]) > _LARGE and rng.random() < 0.7:
        scale = rng.uniform(0.45, 0.9)
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        points = points * scale
    whole, made, mask, _ = blend(picture, points, rng)
    oval = np.zeros(mask.shape, np.float32)
    hull = cv2.convexHull(points[FACE_OVAL].astype(np.float32))
    cv2.fillConvexPoly(oval, hull.astype(np.int32), 1.0)
    side, wear = WINDOW + _ROOM, Wear(rng)
    if wear.scale < 1:
        wear.scale = min(1.0, max(wear.scale, (side + 6) / min(mask.shape)))
    both = wear(whole), wear(made)
    size = both[0].shape[1::-1]
    layers = [*both, *(cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in (mask, oval))]
    down, right = (max(0, side - length) for length in size[::-1])
    if down or right:
        layers = [cv2.copyMakeBorder(one, 0, down, 0, right, cv2.BORDER_REFLECT_101)
                  for one in layers]  # fmt: skip
    for _ in range(6):
        top, left = (int(rng.integers(0, length - side + 1)) for length in layers[2].shape)
        parts = [one[top : top + side, left : left + side] for one in layers]
        if parts[2].mean() > 0.03:
            break
    return parts[0], parts[1], parts[2], parts[3]


def _cutter(top: int, left: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda one: one[top : top + WINDOW, left : left + WINDOW]


def _small(mask: np.ndarray) -> np.ndarray:
    side = WINDOW // OVAL_STRIDE
    small = cv2.resize(np.ascontiguousarray(mask), (side, side), interpolation=cv2.INTER_AREA)
    return (small * 255 + 0.5).astype(np.uint8)
