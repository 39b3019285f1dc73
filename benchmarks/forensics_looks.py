"""What the network for whole faces learns from: untouched faces, each with what was made of it.

Imported by `forensics.py`. All pictures of a face are worn and coded alike, a few times over, and
kept at a fixed size.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from forensics_blend import processed
from forensics_donors import changed_self, laid, moved
from forensics_faces import Faces
from forensics_lessons import Lesson
from forensics_wear import Wear, coded

from likeness.verify.faces import FACE_FIELD, FACE_SIDE, FIELD, whole_face

SIDE = round(FACE_SIDE * FIELD / FACE_FIELD)
"""Pixels of a whole face as it is kept: more than the network is shown, so that it can be moved."""
LEAST = 184
"""Pixels to which pictures are scaled down at most."""
VIEWS = 2
ROUNDS = 3
DONORS = ("self", "self", "cross", "cross", "cross", "cross", "moved", "moved")
"""What is made of each face without any method: it is laid over itself, changed; others are laid
over it; its parts are moved."""
_STEP = {"clip": 3, "actor": 2, "gray": 2}


@dataclass(frozen=True, eq=False)
class Looks:
    """N pictures of L faces."""

    whole: np.ndarray
    """(N,SIDE,SIDE,4) uint8: RGB and the face's mask."""
    methods: np.ndarray
    """(N,) what was done: real, self, cross, or a method's key."""
    real: np.ndarray
    """(N,) row of the untouched picture that went the same way."""
    people: np.ndarray
    """(N,)"""


def make_looks(
    lessons: Sequence[Lesson], faces: Faces, folder: Path, rounds: int = ROUNDS
) -> Iterator[Path]:
    """Keep what is shown of every lesson, and of other real faces; what is there stays.

    Args:
        lessons: photos with what methods make of them.
        faces: real faces of training people; those of clips and of actors are used.
        folder: where it is kept.
        rounds: how often; each one draws other donors, and methods are shown in the first alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    more = [
        Lesson(str(faces.people[row]), str(faces.kinds[row]), ("real",), [faces.pictures[row]],
               faces.landmarks[row : row + 1])
        for kind, step in _STEP.items()
        for row in np.flatnonzero(faces.kinds == kind)[::step]
    ]  # fmt: skip
    every = [*lessons, *more]
    for number, lesson in itertools.product(range(rounds), every):
        name = hashlib.sha256(lesson.pictures[0].tobytes()).hexdigest()[:8]
        alone = "_alone" if len(lesson.methods) == 1 or number else ""
        kept = folder / f"{number}_{lesson.kind}_{name}{alone}.npz"
        if number:
            lesson = replace(lesson, methods=("real",), pictures=lesson.pictures[:1],
                             landmarks=lesson.landmarks[:1])  # fmt: skip
        if not kept.is_file():
            rng = np.random.default_rng([number, int(name, 16)])
            donors = [one for one in every if (one.kind == "gray") == (lesson.kind == "gray")]
            columns = _shown(lesson, donors, rng)
            unfinished = kept.with_name(f".{kept.name}")
            np.savez(unfinished, **columns)  # type: ignore[arg-type]
            os.replace(unfinished, kept)
        yield kept


def read_looks(folder: Path) -> Looks:
    """Read what `make_looks` kept."""
    parts: dict[str, list[np.ndarray]] = {}
    count = 0
    for kept in sorted(folder.glob("[!.]*.npz")):
        with np.load(kept) as file:
            for name in ("whole", "methods", "real", "people"):
                value = file[name]
                parts.setdefault(name, []).append(value + count if name == "real" else value)
            count += len(file["real"])
    return Looks(**{name: np.concatenate(column) for name, column in parts.items()})


def _shown(
    lesson: Lesson, donors: Sequence[Lesson], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    names, pictures, points = _every(lesson, donors, rng)
    shown = []
    for _ in range(VIEWS):
        for picture, size, marks in zip(*_sent(pictures, rng), points, strict=True):
            here = marks * (np.array(picture.shape[1::-1]) / size)
            whole = whole_face(picture, here, SIDE, FIELD)
            shown.append((np.clip(whole, 0, 1) * 255 + 0.5).astype(np.uint8))
    count = len(names)
    return {
        "whole": np.stack(shown),
        "methods": np.array(names * VIEWS, dtype="U32"),
        "real": np.repeat(np.arange(VIEWS) * count, count),
        "people": np.array([lesson.person] * count * VIEWS, dtype="U64"),
    }


def _every(
    lesson: Lesson, donors: Sequence[Lesson], rng: np.random.Generator
) -> tuple[list[str], list[np.ndarray], list[np.ndarray]]:
    """Names, pictures and landmarks of what methods made, and of donors laid over it."""
    pictures = [picture.astype(np.float32) / 255 for picture in lesson.pictures]
    target, points = pictures[0], lesson.landmarks[0]
    names, landmarks = list(lesson.methods), list(lesson.landmarks)
    for name in DONORS:
        donor, there = target, points
        if name == "self":
            donor = changed_self(target, rng)
        elif name == "cross":
            other = donors[int(rng.integers(len(donors)))]
            donor, there = other.pictures[0].astype(np.float32) / 255, other.landmarks[0]
        made, _ = (
            moved(target, points, rng)
            if name == "moved"
            else laid(target, points, donor, there, rng)
        )
        names.append(name)
        pictures.append(made)
        landmarks.append(points)
    return names, pictures, landmarks


def _sent(
    pictures: Sequence[np.ndarray], rng: np.random.Generator
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Wear and code all pictures in one random way; return them and their sizes before."""
    wear, first, seed = Wear(rng), rng.random() < 0.3, int(rng.integers(2**31))
    least = min(min(picture.shape[:2]) for picture in pictures)
    if wear.scale < 1:
        wear.scale = min(1.0, max(wear.scale, LEAST / least))
    crf = int(np.clip(rng.normal(24, 6), 15, 39)) if rng.random() > 0.12 else 0
    codec = "libx265" if rng.random() < 0.2 else "libx264"
    gop = 3 if rng.random() < 0.1 else 1
    sizes, worn = [], []
    for picture in pictures:
        if first:
            picture = processed(picture, np.random.default_rng(seed), 1)
        sizes.append(np.array(picture.shape[1::-1]))
        worn.append(wear(picture))
    sent = list(worn)
    for shape in {one.shape for one in worn} if crf else ():
        rows = [k for k, one in enumerate(worn) if one.shape == shape]
        for row, one in zip(rows, coded([worn[k] for k in rows], crf, codec, gop), strict=True):
            sent[row] = one
    return sent, sizes
