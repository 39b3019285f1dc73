"""Real faces for the detector: found once, cut once, kept in one file, and split by people.

Imported by `forensics.py`. Faces are kept at the pixel density of the pictures that they are in.
The pictures stay in the folder that the caller names; nothing of them gets into the repository.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from likeness.actor import Actor, Motion, RenderConfig, frames
from likeness.decode import Decoder, open_clip
from likeness.errors import LikenessError
from likeness.track.config import TrackConfig
from likeness.track.landmarks import read_largest
from likeness.track.readers import UprightReader, open_reader
from likeness.types import Window, check
from likeness.verify.faces import FIELD, sight

PER_CLIP = 90
SPLITS = ("train", "calibrate", "test")
CLIPS = {"man_talkingface_120s": "train", "man_speech_dim_5s": "calibrate",
         "woman_expressions_34s": "test"}  # fmt: skip
"""Three people on video: one for each part."""
PER_GRAY = 3
_ACTORS = range(8)
_ACTED = 4


@dataclass(frozen=True, eq=False)
class Faces:
    """N faces with who they are of."""

    pictures: list[np.ndarray]
    """N of (h,w,3) uint8 RGB."""
    landmarks: np.ndarray
    """(N,478,2) pixels of the pictures."""
    people: np.ndarray
    """(N,) names; every person is in one split only."""
    kinds: np.ndarray
    """(N,) photo, gray, clip, actor, or a method."""

    def __len__(self) -> int:
        return len(self.pictures)

    def take(self, rows: np.ndarray) -> Faces:
        """Return some of the faces."""
        return Faces([self.pictures[row] for row in rows], self.landmarks[rows], self.people[rows],
                     self.kinds[rows])  # fmt: skip

    def of(self, split: str, kinds: Sequence[str] = ()) -> Faces:
        """Return the faces of one split, and of some kinds of picture."""
        return self.take(np.flatnonzero([
            split_of(str(name)) == split and (not kinds or kind in kinds)
            for name, kind in zip(self.people, self.kinds, strict=True)
        ]))  # fmt: skip


Face = tuple[np.ndarray, np.ndarray, str, str]
"""Picture, landmarks, person and kind."""


def save_faces(kept: Path, found: Sequence[Face]) -> None:
    """Keep faces of any sizes in one file."""
    np.savez(
        kept,
        pixels=np.concatenate([face[0].ravel() for face in found]),
        sizes=np.array([face[0].shape[:2] for face in found]),
        landmarks=np.stack([face[1] for face in found]).astype(np.float32),
        people=np.array([face[2] for face in found]),
        kinds=np.array([face[3] for face in found]),
    )


def read_faces(kept: Path) -> Faces:
    """Read what `save_faces` kept."""
    with np.load(kept) as file:
        pixels, sizes = file["pixels"], file["sizes"]
        ends = np.cumsum(3 * sizes.prod(1))
        parts = np.split(pixels, ends[:-1])
        pictures = [part.reshape(*size, 3) for part, size in zip(parts, sizes, strict=True)]
        return Faces(pictures, file["landmarks"], file["people"], file["kinds"])


def split_of(person: str) -> str:
    """Put a person into train (60 %), calibrate or test (20 % each), by name alone."""
    if person in CLIPS:
        return CLIPS[person]
    chance = int(hashlib.sha256(person.encode()).hexdigest()[:8], 16) / 2**32
    return SPLITS[(chance >= 0.6) + (chance >= 0.8)]


Choice = Callable[[Sequence[str]], Container[str]]
"""Which of all names."""


def some_people(each: int) -> Choice:
    """Return what chooses the first few names of each part."""

    def choose(names: Sequence[str]) -> Container[str]:
        parts = [[name for name in names if split_of(name) == split] for split in SPLITS]
        return {name for part in parts for name in part[:each]}

    return choose


def photos_in(data: Path) -> list[tuple[str, Path]]:
    """List everyone's photos in color, with whose they are."""
    found = [(f"identities_colour/{path.parent.name}", path)
             for path in sorted((data / "identities_colour").glob("*/*.jpg"))]  # fmt: skip
    return [*found, *((path.stem, path) for path in sorted((data / "portraits").glob("*.jpg")))]


def load_faces(data: Path, kept: Path, choose: Choice = list, per_clip: int = PER_CLIP) -> Faces:
    """Read the faces of a folder of test data, or what an earlier call found there.

    Args:
        data: the folder.
        kept: file of what was found.
        choose: whose pictures are read, of each kind.
        per_clip: faces of each clip.
    """
    if not kept.is_file():
        found = list(_look(data, choose, per_clip))
        check(bool(found), f"no faces were found in {data}")
        save_faces(kept, found)
    return read_faces(kept)


def cut_face(frame: torch.Tensor, reader: UprightReader) -> tuple[np.ndarray, np.ndarray] | None:
    """Cut the largest face out of a (1,3,H,W) frame with some room: (h,w,3) uint8, (478,2)."""
    reader.reset()
    face = read_largest(reader, frame)
    if not np.isfinite(face).all():
        return None
    points = face[0, :, :2]
    low, high = points.min(0), points.max(0)
    reach, center = FIELD / 2 * float((high - low).max()), (low + high) / 2
    left, top = np.maximum(np.floor(center - reach), 0).astype(int)
    right, bottom = np.ceil(center + reach).astype(int)
    part = frame[0, :, top:bottom, left:right].permute(1, 2, 0).numpy()
    return (part * 255 + 0.5).astype(np.uint8), points - [left, top]


def seen(picture: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut what the detector is shown, (3,h,w), and its mask of the face, (h/4,w/4)."""
    place = sight(points, picture.shape[:2])
    return place.of(picture.transpose(2, 0, 1)), place.oval(points)


def _look(data: Path, choose: Choice, per_clip: int) -> Iterator[Face]:
    reader = open_reader(TrackConfig(max_faces=1, even=False))

    def read(path: Path, indices: np.ndarray, person: str, kind: str) -> Iterator[Face]:
        with Decoder(open_clip(path)) as decoder:
            for index in indices:
                found = cut_face(decoder.read(Window(int(index), int(index) + 1)), reader)
                if found:
                    yield (*found, person, kind)

    gray = sorted((data / "identities_lfw").glob("*/*.jpg"))
    paths = [(f"identities_lfw/{path.parent.name}", path, "gray") for path in gray]
    paths = [row for row in paths if _number(row, paths) < PER_GRAY]
    paths += [(person, path, "photo") for person, path in photos_in(data)]
    for kind in ("gray", "photo"):
        chosen = choose(list(dict.fromkeys(row[0] for row in paths if row[2] == kind)))
        for person, path, _ in (row for row in paths if row[2] == kind and row[0] in chosen):
            try:
                yield from read(path, np.zeros(1, int), person, kind)
            except LikenessError as error:
                print(f"left out: {error}", flush=True)
    for name in CLIPS:
        path = data / "clips" / f"{name}.mp4"
        rows = np.linspace(0, len(open_clip(path)) - 1, per_clip).round().astype(int)
        yield from read(path, rows, name, "clip")
    camera = RenderConfig((320, 320), noise=0.008)
    chosen = choose([f"actor{seed}" for seed in _ACTORS])
    for seed in (seed for seed in _ACTORS if f"actor{seed}" in chosen):
        actor, motion = Actor.from_seed(seed), Motion.from_seed(seed, _ACTED, 1, "expressive")
        for frame in torch.cat(list(frames(actor, motion, camera))):
            found = cut_face(frame[None], reader)
            if found:
                yield (*found, f"actor{seed}", "actor")
    reader.close()


def _number(row: tuple[str, Path, str], rows: Sequence[tuple[str, Path, str]]) -> int:
    """How many of a person's photos come before this one."""
    return [path for person, path, _ in rows if person == row[0]].index(row[1])
