"""What methods make of training people, beside the untouched picture: for the detector to learn.

Imported by `forensics.py`. Every fake is kept with its own original, cut at the same place, so that
nothing but the change tells them apart. Settings of the finish are drawn at random, because others
use others. Nothing carries a mark: frames are asked for pixels and written nowhere as a video.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from forensics_donors import some_finish
from forensics_faces import CLIPS, FIELD, photos_in, split_of
from forensics_fakes import CPU, largest
from forensics_wear import filmed

from likeness.composite.finish import FinishConfig
from likeness.decode import Decoder, open_clip
from likeness.decode.reordered import stream_reordered
from likeness.errors import LikenessError
from likeness.methods.edit.surface import SurfaceConfig, surface_bundle
from likeness.methods.photo.animation import AnimateConfig, Photo
from likeness.methods.photo.find import find_photo
from likeness.methods.photo.method import photo_bundle
from likeness.methods.photo.plan import plan_animation
from likeness.methods.swap.source import photos_bundle
from likeness.methods.table import METHODS
from likeness.painting import paint
from likeness.people import find_people
from likeness.plan.edit import plan_edit
from likeness.plan.swap import plan_swap
from likeness.store import load_bundle
from likeness.track.config import TrackConfig
from likeness.track.landmarks import read_largest
from likeness.track.readers import UprightReader, open_reader
from likeness.types import Clip, Shot, Window

SWAPS = ("swap.photo", "swap.warp", "swap.mesh", "swap.library")
_EDITS = ("age", "smile", "brows", "eyes_open", "slim", "jaw", "relight", "nose")


@dataclass(frozen=True)
class Amount:
    """How many fakes of each photo: per swap, animations, edits."""

    swaps: int
    moves: int
    edits: int


AMOUNTS = {"photo": Amount(4, 4, 4), "gray": Amount(2, 2, 2)}


@dataclass(frozen=True, eq=False)
class Lesson:
    """A photo and what methods make of it."""

    person: str
    kind: str
    methods: tuple[str, ...]
    """Of each picture; the first is "real"."""
    pictures: list[np.ndarray]
    """(h,w,3) uint8 RGB each."""
    landmarks: np.ndarray
    """(n,478,2) pixels of each."""


@dataclass(frozen=True, eq=False)
class _Known:
    person: str
    kind: str
    path: Path


def cut_driver(data: Path, work: Path) -> Path:
    """Cut four seconds of a training person out of a clip, who moves photos."""
    name = next(name for name, split in CLIPS.items() if split == "train")
    path = work / "driver.mp4"
    if not path.is_file():
        with Decoder(open_clip(data / "clips" / f"{name}.mp4")) as decoder:
            frames = decoder.read(Window(700, 800))
        filmed(list(frames.permute(0, 2, 3, 1).numpy()), 10, kept=path)
    return path


def make_lessons(
    data: Path,
    folder: Path,
    driver: Path,
    portraits: Sequence[Path],
    most: int | None = None,
    seconds: float = np.inf,
) -> None:
    """Make fakes of the training people's photos, a file for each photo; what is there stays.

    Args:
        data: folder of test data.
        folder: where they are kept.
        driver: clip of a training person, who moves photos.
        portraits: bundles of `reenact` of training people.
        most: photos of each kind; None takes all.
        seconds: time after which no further photo is begun.
    """
    folder.mkdir(parents=True, exist_ok=True)
    start, found = time.monotonic(), dict[Path, tuple[Clip, Photo]]()

    def photo_of(path: Path) -> tuple[Clip, Photo]:
        if path not in found:
            clip = open_clip(path)
            found[path] = clip, find_photo(clip, face="largest")
        return found[path]

    reader = open_reader(TrackConfig(max_faces=1, even=False))
    for kind in AMOUNTS:
        photos = _photos(data, kind)
        for number, known in enumerate(photos[:most]):
            kept = folder / f"{kind}_{number:03d}.npz"
            if kept.is_file() or time.monotonic() - start > seconds:
                continue
            rng = np.random.default_rng([number, len(kind)])
            others = [one.path for one in photos if one.person != known.person]
            made = list(_made(known, others, photo_of, driver, portraits, reader, rng))
            _save(kept, known, made)
    reader.close()


def read_lessons(folder: Path) -> list[Lesson]:
    """Read what `make_lessons` kept."""
    lessons = []
    for kept in sorted(folder.glob("[!.]*.npz")):
        with np.load(kept) as file:
            methods = tuple(str(name) for name in file["methods"])
            if methods:
                pictures = [file[f"picture{k}"] for k in range(len(methods))]
                lessons.append(Lesson(str(file["person"]), str(file["kind"]), methods, pictures,
                                      file["landmarks"]))  # fmt: skip
    return lessons


def _save(kept: Path, known: _Known, made: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> None:
    unfinished = kept.with_name(f".{kept.name}")
    pictures = {f"picture{k}": one[1] for k, one in enumerate(made)}
    landmarks = np.array([one[2] for one in made], np.float32)
    methods = np.array([one[0] for one in made], dtype="U32")
    np.savez(unfinished, allow_pickle=False, person=known.person, kind=known.kind,
             methods=methods, landmarks=landmarks, **pictures)  # fmt: skip
    os.replace(unfinished, kept)


def _photos(data: Path, kind: str) -> list[_Known]:
    """The photos of the training people: all in color, or a gray one of each."""
    if kind == "photo":
        pairs = photos_in(data)
    else:
        folders = sorted((data / "identities_lfw").iterdir())
        pairs = [(f"identities_lfw/{one.name}", path) for one in folders
                 for path in sorted(one.glob("*.jpg"))[:1]]  # fmt: skip
    return [_Known(person, kind, path) for person, path in pairs if split_of(person) == "train"]


Lookup = Callable[[Path], tuple[Clip, Photo]]


def _made(
    known: _Known,
    others: Sequence[Path],
    photo_of: Lookup,
    driver: Path,
    portraits: Sequence[Path],
    reader: UprightReader,
    rng: np.random.Generator,
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield method, picture and landmarks, the untouched one first; nothing if it can't be read."""
    try:
        clip, photo = photo_of(known.path)
        shot = largest(clip)
    except LikenessError as error:
        print(f"left out: {error}", flush=True)
        return
    original = _face(photo.picture[None], reader)
    if original is None:
        return
    box = _box(original, photo.picture.shape[1:])
    yield "real", *_cut(photo.picture[None], original, box)
    amount = AMOUNTS[known.kind]
    jobs = [("animate.photo", _animated(clip, photo, driver, amount.moves, rng)),
            ("edit.surface", _edited(clip, shot, amount.edits, rng)),
            ("swap.portrait", _portrayed(shot, photo, portraits, rng))]  # fmt: skip
    jobs += [(name, _swapped(name, shot, photo, others, photo_of, amount.swaps, rng))
             for name in SWAPS]  # fmt: skip
    for method, frames in jobs:
        try:
            for frame in frames:
                moved = _face(frame, reader) if method == "animate.photo" else original
                if moved is not None:
                    place = _box(moved, frame.shape[2:]) if moved is not original else box
                    yield method, *_cut(frame, moved, place)
        except LikenessError as error:
            print(f"left out: {method} of {known.person}: {error}", flush=True)


def _animated(
    clip: Clip, photo: Photo, driver: Path, count: int, rng: np.random.Generator
) -> Iterator[torch.Tensor]:
    config, shot = AnimateConfig(), find_people(driver)[0]
    plan = plan_animation(photo, clip, shot, config, sound=False)
    method = METHODS["animate.photo"].open(photo_bundle(photo, clip, config, ()), plan, CPU)
    chosen = np.sort(rng.choice(len(plan), count, replace=False))
    for index, (_, frames) in zip(chosen, stream_reordered(shot.clip, chosen, 1), strict=True):
        yield paint(frames, [method], Window(int(index), int(index) + 1), plan.canvas)


def _edited(clip: Clip, shot: Shot, count: int, rng: np.random.Generator) -> Iterator[torch.Tensor]:
    with_pixels = find_photo(clip, face="largest").picture[None]
    for _ in range(count):
        names = rng.choice(_EDITS, int(rng.integers(1, 3)), replace=False)
        signs = rng.choice([-1, 1, 1], len(names)) * rng.uniform(0.6, 1, len(names))
        courses = {str(n): np.full(1, float(s)) for n, s in zip(names, signs, strict=True)}
        plan = plan_edit(shot, courses, {})
        method = METHODS["edit.surface"].open(surface_bundle(shot, SurfaceConfig()), plan, CPU)
        yield paint(with_pixels, [method], Window(0, 1))


def _portrayed(
    shot: Shot, photo: Photo, portraits: Sequence[Path], rng: np.random.Generator
) -> Iterator[torch.Tensor]:
    for path in portraits:
        plan = plan_swap(shot, (), _finish(rng), sound=False)
        method = METHODS["swap.portrait"].open(load_bundle(path), plan, CPU)
        yield paint(photo.picture[None], [method], Window(0, 1))


def _swapped(
    name: str,
    shot: Shot,
    photo: Photo,
    others: Sequence[Path],
    photo_of: Lookup,
    count: int,
    rng: np.random.Generator,
) -> Iterator[torch.Tensor]:
    for number in rng.choice(len(others), min(count, len(others)), replace=False):
        bundle = photos_bundle(name, (photo_of(others[int(number)])[1],))
        plan = plan_swap(shot, (), _finish(rng), sound=False)
        yield paint(photo.picture[None], [METHODS[name].open(bundle, plan, CPU)], Window(0, 1))


def _finish(rng: np.random.Generator) -> FinishConfig:
    """The usual finish half of the time, another otherwise."""
    return FinishConfig() if rng.random() < 0.5 else some_finish(rng)


def _face(frame: torch.Tensor, reader: UprightReader) -> np.ndarray | None:
    reader.reset()
    face = read_largest(reader, frame)
    return face[0, :, :2] if np.isfinite(face).all() else None


def _box(points: np.ndarray, size: Sequence[int]) -> tuple[int, int, int, int]:
    low, high = points.min(0), points.max(0)
    reach, center = FIELD / 2 * float((high - low).max()), (low + high) / 2
    left, top = np.maximum(np.floor(center - reach), 0).astype(int)
    right, bottom = np.minimum(np.ceil(center + reach), size[::-1]).astype(int)
    return int(top), int(bottom), int(left), int(right)


def _cut(
    frame: torch.Tensor, points: np.ndarray, box: tuple[int, int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    top, bottom, left, right = box
    part = frame[0, :, top:bottom, left:right].permute(1, 2, 0).numpy()
    return (np.clip(part, 0, 1) * 255 + 0.5).astype(np.uint8), points - [left, top]
