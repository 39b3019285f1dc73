"""Faces that this project's methods make of real people, for the detector to be measured on.

Imported by `forensics.py`. Methods are opened for plans and asked for pixels; nothing is written as
a video. Both people of a swap belong to one split, and a moved photo to its person's; the clip that
moves it gives motion only. Methods that first have to be trained on a clip are measured nowhere
here: three people on video would say nothing about others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from forensics_faces import (
    SPLITS,
    Choice,
    Face,
    Faces,
    cut_face,
    photos_in,
    read_faces,
    save_faces,
    split_of,
)

from likeness.composite.finish import FinishConfig
from likeness.decode import open_clip, stream
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
from likeness.track.readers import open_reader
from likeness.types import Clip, Shot, Window

PER_PHOTO = 2
CPU = torch.device("cpu")
Known = tuple[str, Clip, Photo]


def measured_methods() -> tuple[str, ...]:
    """Name the methods of the table that need nothing but photos."""
    swaps = [key for key, recipe in METHODS.items()
             if recipe.action == "swap" and recipe.train is None and not recipe.parts]  # fmt: skip
    return ("animate.photo", "edit.surface", *swaps, "swap.portrait")


def load_fakes(
    data: Path,
    work: Path,
    driver: Path,
    methods: Sequence[str],
    portraits: Mapping[str, Sequence[Path]],
    choose: Choice = list,
) -> dict[str, Faces]:
    """Make what each method makes of people, or read what an earlier call made.

    Args:
        data: folder of test data.
        work: where fakes are kept.
        driver: clip that moves photos.
        methods: keys of the table of methods.
        portraits: bundles of `reenact` by the split that their person is in.
        choose: whose photos are used, of everyone who has one in color.
    """
    people: list[Known] = []
    made = {}
    for method in methods:
        kept = work / f"fakes_{method}.npz"
        if not kept.is_file():
            people = people or list(_people(data, choose))
            found = list(_made(method, people, driver, portraits))
            if not found:
                print(f"{method}: nothing was made", flush=True)
                continue
            save_faces(kept, found)
        made[method] = read_faces(kept)
        names = made[method].people
        print(f"{method}: {len(names)} faces of {len(set(names))} people", flush=True)
    return made


def _people(data: Path, choose: Choice = list) -> Iterator[Known]:
    """Find everyone's photos in color."""
    photos = photos_in(data)
    chosen = choose(list(dict.fromkeys(person for person, _ in photos)))
    for person, path in photos:
        if person not in chosen:
            continue
        try:
            clip = open_clip(path)
            yield person, clip, find_photo(clip, face="largest")
        except LikenessError as error:
            print(f"left out: {error}", flush=True)


def _made(
    method: str, people: list[Known], driver: Path, portraits: Mapping[str, Sequence[Path]]
) -> Iterator[Face]:
    reader = open_reader(TrackConfig(max_faces=1, even=False))
    for split in SPLITS:
        members = [known for known in people if split_of(known[0]) == split]
        for number, (person, clip, photo) in enumerate(members):
            try:
                if method == "animate.photo":
                    drawn = _animated(clip, photo, driver, number)
                elif method == "edit.surface":
                    drawn = _edited(clip)
                elif method == "swap.portrait":
                    drawn = _portrayed(clip, photo, portraits.get(split, ()))
                else:
                    others = [other[2] for other in members if other[0] != person]
                    rng = np.random.default_rng(number)
                    some = rng.choice(len(others), min(2, len(others)), replace=False)
                    drawn = _swapped(method, clip, photo, [others[i] for i in some])
                for frame in drawn:
                    found = cut_face(frame, reader)
                    if found:
                        yield (*found, person, method)
            except LikenessError as error:
                print(f"left out: {method} of {person}: {error}", flush=True)
    reader.close()


def _animated(clip: Clip, photo: Photo, driver: Path, number: int) -> Iterator[torch.Tensor]:
    """Move a photo as a clip moves, and show a few frames (1,3,H,W)."""
    config = AnimateConfig()
    shot = find_people(driver)[0]
    plan = plan_animation(photo, clip, shot, config, sound=False)
    bundle = photo_bundle(photo, clip, config, ())
    method = METHODS["animate.photo"].open(bundle, plan, CPU)
    rng = np.random.default_rng(number)
    chosen = np.sort(rng.choice(len(plan), PER_PHOTO, replace=False))
    for index, frames in zip(chosen, _frames(shot.clip, chosen), strict=True):
        yield paint(frames, [method], Window(int(index), int(index) + 1), plan.canvas)


def _frames(clip: Clip, chosen: np.ndarray) -> Iterator[torch.Tensor]:
    for _, frames in stream_reordered(clip, chosen, 1):
        yield frames


def _edited(clip: Clip) -> Iterator[torch.Tensor]:
    """Make the person of a photo older, and smiling."""
    shot = largest(clip)
    for course in ({"age": 1.0}, {"smile": 1.0}):
        courses = {name: np.full(len(clip), strength) for name, strength in course.items()}
        plan = plan_edit(shot, courses, {})
        method = METHODS["edit.surface"].open(surface_bundle(shot, SurfaceConfig()), plan, CPU)
        for window, frames in stream(clip, 1):
            yield paint(frames, [method], window)


def _portrayed(clip: Clip, target: Photo, portraits: Sequence[Path]) -> Iterator[torch.Tensor]:
    """Put trained portraits on a photo."""
    shot = largest(clip)
    for path in portraits:
        plan = plan_swap(shot, (), FinishConfig(), sound=False)
        method = METHODS["swap.portrait"].open(load_bundle(path), plan, CPU)
        yield paint(target.picture[None], [method], Window(0, 1))


def largest(clip: Clip) -> Shot:
    """Return the person whose face is largest."""
    return max(
        find_people(clip), key=lambda one: float(one.track.boxes[0, 2] - one.track.boxes[0, 0])
    )


def _swapped(
    name: str, clip: Clip, target: Photo, sources: Sequence[Photo]
) -> Iterator[torch.Tensor]:
    """Put others' faces on a photo."""
    # A photo's own fit knows nothing of light, which some methods take from the target.
    shot = largest(clip)
    for source in sources:
        bundle = photos_bundle(name, (source,))
        plan = plan_swap(shot, (), FinishConfig(), sound=False)
        method = METHODS[name].open(bundle, plan, CPU)
        yield paint(target.picture[None], [method], Window(0, 1))
