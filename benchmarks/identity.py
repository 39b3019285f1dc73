"""Measure how well people are told apart, with our landmarks and with dlib's own beside them.

Run: python benchmarks/identity.py [--data ../shared/data] [--bundle ARCFACE.bundle] [--even]

Sets: `identities_colour`, its 300 labelled pairs and all pairs of its 61 photos; `identities_lfw`,
all pairs of 400 photos of 80 people. The
largest face of a color photo is meant, and the one nearest the middle of an LFW photo. Balanced
accuracy is the mean of the shares of same and of different pairs that are told right: at the
recognizer's threshold, and at the threshold that is best for the set, found on the set itself.

Where dlib-bin is installed, its detector and five-point predictor give the same numbers from dlib's
chips, and single codes are compared on them.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from likeness.importers.recognizer import find_recognizer, recognizer_bundle
from likeness.recognize import Recognizer, embed_faces, open_recognizer
from likeness.store import load_bundle
from likeness.track import TrackConfig
from likeness.track.readers import open_reader
from likeness.types import Floats

Codes = Mapping[str, Floats]
Pairs = list[tuple[str, str, bool]]


@dataclass(frozen=True)
class Set:
    """Photos and what is known of them."""

    name: str
    paths: tuple[Path, ...]
    pairs: Pairs
    central: bool
    """Whether the face nearest the middle is meant, instead of the largest."""


def named(path: Path) -> str:
    """A photo's name in pairs."""
    return f"{path.parent.name}/{path.name}"


def every_pair(paths: tuple[Path, ...]) -> Pairs:
    """All pairs of photos; folders are people."""
    return [(named(a), named(b), a.parent == b.parent) for a, b in combinations(paths, 2)]


def sets(data: Path) -> Iterator[Set]:
    """Read what pairs there are."""
    colour = tuple(sorted((data / "identities_colour").glob("*/*.jpg")))
    where = {path.name: named(path) for path in colour}
    with (data / "identities_colour" / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    labelled = [(where[r["file_x"]], where[r["file_y"]], r["Decision"] == "Yes") for r in rows]
    yield Set("colour, labelled pairs", colour, labelled, False)
    yield Set("colour, all pairs", colour, every_pair(colour), False)
    lfw = tuple(sorted((data / "identities_lfw").glob("*/*.jpg")))
    yield Set("lfw, all pairs", lfw, every_pair(lfw), True)


def picture(path: Path) -> np.ndarray:
    """(H,W,3) uint8 RGB."""
    return np.ascontiguousarray(np.array(Image.open(path).convert("RGB")))


def meant(points: list[Floats], size: tuple[int, int], central: bool) -> Floats:
    """Choose the face that a photo is of, among (P,2) points each."""
    middle = np.array([size[1], size[0]]) / 2
    if central:
        return min(points, key=lambda p: float(np.linalg.norm(p[:, :2].mean(0) - middle)))
    return max(points, key=lambda p: float(np.ptp(p[:, 0])))


def ours(recognizer: Recognizer, even: bool) -> Callable[[Path, bool], Floats | None]:
    """Codes from the tracker's 478 points."""
    reader = open_reader(TrackConfig(even=even))

    def code(path: Path, central: bool) -> Floats | None:
        image = picture(path)
        reader.reset()
        faces = [face.landmarks for face in reader.read(image)]
        if not faces:
            return None
        frame = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
        chosen = meant(faces, image.shape[:2], central)
        return embed_faces(frame, chosen[None], recognizer)[0]

    return code


def theirs(dlib: Any) -> Callable[[Path, bool], Floats | None]:
    """Codes from dlib alone."""
    folder = find_recognizer().parent
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
    network = dlib.face_recognition_model_v1(str(find_recognizer()))

    def code(path: Path, central: bool) -> Floats | None:
        image = picture(path)
        shapes = [predictor(image, box) for box in detector(image, 1)]
        if not shapes:
            return None
        points = [np.array([[p.x, p.y] for p in shape.parts()], np.float32) for shape in shapes]
        chosen = meant(points, image.shape[:2], central)
        index = next(i for i, p in enumerate(points) if p is chosen)
        return np.array(network.compute_face_descriptor(image, shapes[index]), np.float32)

    return code


def balanced(distances: Floats, same: np.ndarray, threshold: float) -> float:
    """Mean of the shares of same and of different pairs that are told right, in percent."""
    near = distances < threshold
    return 50 * float(near[same].mean() + (~near)[~same].mean())


def report(one: Set, codes: Codes, recognizer: Recognizer) -> None:
    """Print a line."""
    pairs = [pair for pair in one.pairs if pair[0] in codes and pair[1] in codes]
    a, b = (np.stack([codes[pair[side]] for pair in pairs]) for side in (0, 1))
    distances, same = recognizer.distance(a, b), np.array([pair[2] for pair in pairs])
    steps = np.arange(0.2, 1.2, 0.005) * recognizer.threshold
    scores = [balanced(distances, same, float(step)) for step in steps]
    best = int(np.argmax(scores))
    near = distances < recognizer.threshold
    print(
        f"  {one.name}: {len(pairs)} pairs, {same.sum()} same; "
        f"{balanced(distances, same, recognizer.threshold):.2f} % at {recognizer.threshold:g} "
        f"(same {100 * near[same].mean():.2f}, different {100 * (~near)[~same].mean():.2f}); "
        f"best {scores[best]:.2f} % at {steps[best]:.3f}; "
        f"{len({n for p in pairs for n in p[:2]})} of {len(one.paths)} photos"
    )


def measure(
    title: str, all_sets: list[Set], code: Callable[[Path, bool], Floats | None], by: Recognizer
) -> None:
    """Print a block of lines."""
    print(title)
    kept: dict[str, Floats] = {}
    start, looked = time.perf_counter(), 0
    for one in all_sets:
        for path in one.paths:
            if named(path) not in kept:
                looked += 1
                found = code(path, one.central)
                if found is not None:
                    kept[named(path)] = found
        report(one, kept, by)
    print(f"  {1000 * (time.perf_counter() - start) / max(looked, 1):.0f} ms a photo")


def differences(dlib: Any, recognizer: Recognizer, paths: list[Path]) -> None:
    """Compare single numbers of codes on dlib's chips, and time the network."""
    folder = find_recognizer().parent
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
    network = dlib.face_recognition_model_v1(str(find_recognizer()))
    worst, count = 0.0, 0
    for path in paths:
        image = picture(path)
        for box in detector(image, 1)[:1]:
            chip = dlib.get_face_chip(image, predictor(image, box), size=150, padding=0.25)
            expected = np.array(network.compute_face_descriptor(chip))
            with torch.no_grad():
                x = torch.from_numpy(chip).permute(2, 0, 1)[None] / 255
                found = recognizer.codes(x)[0].numpy()
            worst, count = max(worst, float(np.abs(found - expected).max())), count + 1
    print(f"largest difference of a number on {count} chips: {worst:.1e}")


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    data = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--bundle", type=Path, help="an imported ArcFace recognizer")
    parser.add_argument("--even", action="store_true", help="read every photo in the mirror too")
    given = parser.parse_args()
    bundle = load_bundle(given.bundle) if given.bundle else recognizer_bundle()
    recognizer, all_sets = open_recognizer(bundle), list(sets(given.data))
    measure(f"{recognizer.name}, our points", all_sets, ours(recognizer, given.even), recognizer)
    if given.bundle:
        return
    exact = {one.name: one for one in all_sets}["colour, all pairs"].paths
    narrow = open_recognizer(bundle, dtype=torch.bfloat16)
    measure("in bfloat16, our points", all_sets, ours(narrow, given.even), narrow)
    try:
        import dlib
    except ImportError:
        print("dlib-bin is not installed: nothing to compare with")
        return
    measure("dlib-bin alone", all_sets, theirs(dlib), recognizer)
    differences(dlib, recognizer, list(exact))


if __name__ == "__main__":
    main()
