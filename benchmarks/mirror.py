"""Measure which side the landmark network favors: a picture against its mirror image.

Run: python benchmarks/mirror.py actors [SIDE]
     python benchmarks/mirror.py portraits FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from likeness.actor import Actor, Motion, RenderConfig, frames
from likeness.fit.gaze import CONTOURS, IRISES
from likeness.track.config import TrackConfig
from likeness.track.mirror import twins
from likeness.track.readers import open_reader
from likeness.types import Floats

_SIDE = 640
"""Longer side of photographs, pixels."""
_TEMPLES = (234, 454)


def lean(image: np.ndarray) -> tuple[Floats, float] | None:
    """Return how far to image right irises are set against the lids, (2,) face widths; the width.

    Half of the difference between both readings: what the picture shows drops out.
    """
    found = []
    for shown in (image, np.ascontiguousarray(image[:, ::-1])):
        reader = open_reader(TrackConfig(max_faces=1, even=False))
        faces = [reader.read(shown) for _ in range(3)][-1]
        reader.close()
        if not faces:
            return None
        found.append(faces[0].landmarks[:, 0])
    plain, mirrored = found
    mirrored = image.shape[1] - mirrored[twins()]
    width = float(plain[_TEMPLES[1]] - plain[_TEMPLES[0]])
    off = (plain - mirrored) / (2 * width)
    return off[IRISES].mean(1) - off[CONTOURS].mean(1), width


def actors(side: int) -> Iterator[np.ndarray]:
    """Render one frame of each of twelve actors."""
    for seed in range(12):
        motion = Motion.from_seed(seed, 0.2)
        frame = next(frames(Actor.from_seed(seed), motion, RenderConfig(size=(side, side)), 1))[0]
        yield (frame.permute(1, 2, 0).numpy() * 255 + 0.5).clip(0, 255).astype(np.uint8)


def portraits(folder: Path) -> Iterator[np.ndarray]:
    """Read the photographs of a folder."""
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".png")):
        picture = Image.open(path).convert("RGB")
        picture.thumbnail((_SIDE, _SIDE))
        yield np.asarray(picture)


if __name__ == "__main__":
    what, where = sys.argv[1], sys.argv[2:]
    shown = portraits(Path(where[0])) if what == "portraits" else actors(int((where or [256])[0]))
    read = [one for one in map(lean, shown) if one is not None]
    leans = np.array([one for one, _ in read]) * 1000
    width = np.mean([width for _, width in read])
    print(
        f"{len(leans)} faces of {width:.0f} px; irises against lids, thousandths of a face width:"
    )
    print(f"  mean {leans.mean(0).round(2)} ({leans.mean() * width / 1000:.2f} px)", end=", ")
    print(f"deviation {leans.std(0).round(2)}")
