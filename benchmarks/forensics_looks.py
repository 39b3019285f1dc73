"""What the detector is shown to learn from: untouched faces, each with what was made of it.

Imported by `forensics.py`. All pictures of a face are worn and coded alike, a few times over, and
kept in two ways: the whole face at a fixed size, and a window at the picture's own density.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from forensics_blend import processed
from forensics_donors import changed_self, laid, moved
from forensics_faces import Faces
from forensics_lessons import Lesson
from forensics_pairs import WINDOW
from forensics_wear import Wear, coded

from likeness.metrics.regions import FACE_OVAL
from likeness.nets.forensic import OVAL_STRIDE
from likeness.nets.forensic_face import FACE_SIDE
from likeness.verify.faces import FACE_FIELD, FIELD, whole_face

SIDE = round(FACE_SIDE * FIELD / FACE_FIELD)
"""Pixels of a whole face as it is kept: more than the network is shown, so that it can be moved."""
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
    window: np.ndarray
    """(N,WINDOW,WINDOW,3) uint8 RGB."""
    oval: np.ndarray
    """(N,WINDOW/4,WINDOW/4) uint8, 255 inside of the face."""
    changed: np.ndarray
    """(N,WINDOW/4,WINDOW/4) uint8, 255 where it was changed."""
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
            for name in file.files:
                value = file[name]
                parts.setdefault(name, []).append(value + count if name == "real" else value)
            count += len(file["real"])
    return Looks(**{name: np.concatenate(column) for name, column in parts.items()})


def _shown(
    lesson: Lesson, donors: Sequence[Lesson], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    names, pictures, points, masks = _every(lesson, donors, rng)
    columns: dict[str, list[np.ndarray]] = {"whole": [], "window": [], "oval": [], "changed": []}
    for _ in range(VIEWS):
        sent, sizes = _sent(pictures, rng)
        at = rng.uniform(0, 1, 2)
        for k, picture in enumerate(sent):
            scale = np.array(picture.shape[1::-1]) / sizes[k]
            here = points[k] * scale
            oval = np.zeros(picture.shape[:2], np.float32)
            hull = cv2.convexHull(here[FACE_OVAL].astype(np.float32))
            cv2.fillConvexPoly(oval, hull.astype(np.int32), 1.0)
            mask = cv2.resize(masks[k], picture.shape[1::-1], interpolation=cv2.INTER_AREA)
            columns["whole"].append(whole_face(picture, here, SIDE, FIELD))
            for name, part in zip(("window", "oval", "changed"),
                                  _window(picture, oval, mask, at), strict=True):  # fmt: skip
                columns[name].append(part)
    count = len(names)
    return {
        **{name: np.stack([(np.clip(one, 0, 1) * 255 + 0.5).astype(np.uint8) for one in column])
           for name, column in columns.items()},
        "methods": np.array(names * VIEWS, dtype="U32"),
        "real": np.repeat(np.arange(VIEWS) * count, count),
        "people": np.array([lesson.person] * count * VIEWS, dtype="U64"),
    }  # fmt: skip


def _every(
    lesson: Lesson, donors: Sequence[Lesson], rng: np.random.Generator
) -> tuple[list[str], list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Names, pictures, landmarks and masks of what methods made, and of donors laid over it."""
    pictures = [picture.astype(np.float32) / 255 for picture in lesson.pictures]
    target, points = pictures[0], lesson.landmarks[0]
    names, landmarks = list(lesson.methods), list(lesson.landmarks)
    masks = [_apart(picture, target) for picture in pictures]
    for name in DONORS:
        donor, there = target, points
        if name == "self":
            donor = changed_self(target, rng)
        elif name == "cross":
            other = donors[int(rng.integers(len(donors)))]
            donor, there = other.pictures[0].astype(np.float32) / 255, other.landmarks[0]
        made, where = (
            moved(target, points, rng)
            if name == "moved"
            else laid(target, points, donor, there, rng)
        )
        names.append(name)
        pictures.append(made)
        landmarks.append(points)
        masks.append(where)
    return names, pictures, landmarks, masks


def _apart(picture: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(h,w): where two pictures differ; everywhere where one was bent as a whole."""
    if picture.shape != target.shape:
        return np.ones(picture.shape[:2], np.float32)
    apart = (np.abs(picture - target).max(-1) > 1.5 / 255).astype(np.float32)
    return cv2.blur(cv2.dilate(apart, np.ones((3, 3))), (3, 3))


def _sent(
    pictures: Sequence[np.ndarray], rng: np.random.Generator
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Wear and code all pictures in one random way; return them and their sizes before."""
    wear, first, seed = Wear(rng), rng.random() < 0.3, int(rng.integers(2**31))
    least = min(min(picture.shape[:2]) for picture in pictures)
    if wear.scale < 1:
        wear.scale = min(1.0, max(wear.scale, (WINDOW + 8) / least))
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


def _window(
    picture: np.ndarray, oval: np.ndarray, mask: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    layers = [picture, oval, mask]
    down, right = (max(0, WINDOW - length) for length in oval.shape)
    if down or right:
        layers = [cv2.copyMakeBorder(one, 0, down, 0, right, cv2.BORDER_REFLECT_101)
                  for one in layers]  # fmt: skip
    top, left = (int(share * (length - WINDOW + 0.99))
                 for share, length in zip(at, layers[1].shape, strict=True))  # fmt: skip
    cut = [one[top : top + WINDOW, left : left + WINDOW] for one in layers]
    side = WINDOW // OVAL_STRIDE
    small = [cv2.resize(np.ascontiguousarray(one), (side, side), interpolation=cv2.INTER_AREA)
             for one in cut[1:]]  # fmt: skip
    return cut[0], small[0], small[1]
