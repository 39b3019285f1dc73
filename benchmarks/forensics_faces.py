"""Real faces for the detector: found once, cut once, kept in one file, and split by people.

Imported by `forensics.py`. The pictures stay in the folder that the caller names; nothing of them
gets into the repository.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from likeness.actor import Actor, Motion, RenderConfig, frames, truth
from likeness.condition.align import aligned_crop
from likeness.condition.crop import cut
from likeness.decode import Decoder, open_clip
from likeness.errors import LikenessError
from likeness.track.config import TrackConfig
from likeness.track.landmarks import read_largest
from likeness.track.readers import open_reader
from likeness.types import Window, check
from likeness.verify.faces import face_template

SIDE = 224
"""Side in pixels of what is kept."""
FIELD = 1.3
"""How much wider that is than what the detector sees, so that crops can be moved."""
PER_CLIP = 48
SPLITS = ("train", "calibrate", "test")
_CLIPS = {"man_talkingface_120s": "train", "man_speech_dim_5s": "calibrate",
          "woman_expressions_34s": "test"}  # fmt: skip
"""Three people on video: one for each part."""
_ACTORS = (0, 1, 2, 3, 4, 5, 6, 7)


@dataclass(frozen=True, eq=False)
class Faces:
    """N faces with who they are of."""

    pictures: np.ndarray
    """(N,SIDE,SIDE,3) uint8 RGB."""
    landmarks: np.ndarray
    """(N,478,2) pixels of the pictures."""
    people: np.ndarray
    """(N,) names; every person is in one split only."""
    kinds: np.ndarray
    """(N,) photo, gray, clip or actor."""

    def of_kind(self, kind: str) -> Faces:
        """Return the faces of one kind of picture."""
        rows = np.flatnonzero(self.kinds == kind)
        return Faces(*(column[rows] for column in
                       (self.pictures, self.landmarks, self.people, self.kinds)))  # fmt: skip

    def where(self, split: str) -> np.ndarray:
        """(n,) rows of one split."""
        return np.flatnonzero([split_of(str(name)) == split for name in self.people])


def split_of(person: str) -> str:
    """Put a person into train (60 %), calibrate or test (20 % each), by name alone."""
    if person in _CLIPS:
        return _CLIPS[person]
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


def load_faces(data: Path, kept: Path, choose: Choice = list, per_clip: int = PER_CLIP) -> Faces:
    """Read the faces of a folder of test data, or what an earlier call found there.

    Args:
        data: the folder.
        kept: file of what was found.
        choose: whose pictures are read, of each kind.
        per_clip: faces of each clip, and of each actor up to 8.
    """
    if not kept.is_file():
        found = list(_look(data, choose, per_clip))
        check(bool(found), f"no faces were found in {data}")
        columns = list(zip(*found, strict=True))
        np.savez(kept, pictures=np.stack(columns[0]), landmarks=np.stack(columns[1]),
                 people=np.array(columns[2]), kinds=np.array(columns[3]))  # fmt: skip
    with np.load(kept) as file:
        return Faces(file["pictures"], file["landmarks"], file["people"], file["kinds"])


def cut_face(frame: torch.Tensor, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut (SIDE,SIDE,3) uint8 and (478,2) landmarks in it from a (1,3,H,W) frame."""
    crop = aligned_crop(landmarks, face_template(SIDE, FIELD))
    picture = (cut(frame, crop)[0] * 255 + 0.5).byte().permute(1, 2, 0).numpy()
    matrix = crop.crop_from_frame[0]
    return picture, landmarks[0, :, :2] @ matrix[:, :2].T + matrix[:, 2]


Found = tuple[np.ndarray, np.ndarray, str, str]


def _look(data: Path, choose: Choice, per_clip: int) -> Iterator[Found]:
    reader = open_reader(TrackConfig(max_faces=1, even=False))

    def read(path: Path, indices: np.ndarray, person: str, kind: str) -> Iterator[Found]:
        clip = open_clip(path)
        with Decoder(clip) as decoder:
            for index in indices if len(indices) else [0]:
                frame = decoder.read(Window(int(index), int(index) + 1))
                reader.reset()
                face = read_largest(reader, frame)
                if np.isfinite(face).all():
                    yield (*cut_face(frame, face), person, kind)

    still = np.zeros(0, int)
    for folder, kind in (("identities_lfw", "gray"), ("identities_colour", "photo")):
        paths = sorted((data / folder).glob("*/*.jpg"))
        names = [f"{folder}/{path.parent.name}" for path in paths]
        chosen = choose(list(dict.fromkeys(names)))
        for path, name in zip(paths, names, strict=True):
            if name in chosen:
                yield from _forgiving(read(path, still, name, kind))
    paths = sorted((data / "portraits").glob("*.jpg"))
    chosen = choose([path.stem for path in paths])
    for path in paths:
        if path.stem in chosen:
            yield from _forgiving(read(path, still, path.stem, "photo"))
    for name in _CLIPS:
        path = data / "clips" / f"{name}.mp4"
        rows = np.linspace(0, len(open_clip(path)) - 1, per_clip).round().astype(int)
        yield from read(path, rows, name, "clip")
    reader.close()
    yield from _actors(choose, min(per_clip, 8))


def _forgiving(found: Iterator[Found]) -> Iterator[Found]:
    try:
        yield from found
    except LikenessError as error:
        print(f"left out: {error}", flush=True)


def _actors(choose: Choice, count: int) -> Iterator[Found]:
    camera = RenderConfig((320, 320), noise=0.008)
    chosen = choose([f"actor{seed}" for seed in _ACTORS])
    for seed in _ACTORS:
        if f"actor{seed}" not in chosen:
            continue
        actor, motion = Actor.from_seed(seed), Motion.from_seed(seed, count, 1, "expressive")
        shot = torch.cat(list(frames(actor, motion, camera)))
        for frame, face in zip(shot, truth(actor, motion, camera).landmarks, strict=True):
            yield (*cut_face(frame[None], face[None]), f"actor{seed}", "actor")
