"""Measure how surely faces are told from what a landmark network makes up of one upside down.

Run: python benchmarks/upside_down.py PHOTO...

Every photo is read as it is and turned by 180 degrees. For each, the largest distance between a
reading and that of the mirror image is printed as the network gives it without any care, in percent
of the face's size, and then what `track` makes of it: the roll of the face that is found, refused
or none. At the end: how far apart true and made-up faces lie, and how many were read the wrong way.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np

from likeness.decode import Decoder, open_clip
from likeness.track import TrackConfig
from likeness.track.landmarks import BundledReader
from likeness.track.mirror import EvenReader
from likeness.track.readers import open_reader
from likeness.types import Floats, Window


def main() -> None:
    """Print a line per photo and the two extremes."""
    config = TrackConfig()
    plain, careful = EvenReader(partial(BundledReader, config)), open_reader(config)
    doubts: dict[int, list[float]] = {0: [], 180: []}
    wrong = missing = 0
    for path in map(Path, sys.argv[1:]):
        with Decoder(open_clip(path)) as decoder:
            picture = decoder.read(Window(0, 1))[0]
        image = (picture * 255 + 0.5).byte().permute(1, 2, 0).numpy()
        for turned in (0, 180):
            shown = np.ascontiguousarray(np.rot90(image, turned // 90))
            plain.reset()
            careful.reset()
            raw = [face.doubt for face in plain.read(shown) if face.doubt is not None]
            found = careful.read(shown)
            doubts[turned] += raw
            rolls = [roll_of(face.landmarks) for face in found]
            missing += not rolls
            wrong += sum(abs(abs(roll) - turned) > 60 for roll in rolls)
            told = " ".join(f"{100 * doubt:.1f}%" for doubt in raw) or "none"
            read = " ".join(f"{roll:.0f}" for roll in rolls) or "none"
            print(f"{path.stem:24.24} by {turned:3}: mirror {told:16} roll {read}", flush=True)
    print(
        f"as they are: at most {100 * max(doubts[0]):.1f} %; upside down, read without care: at "
        f"least {100 * min(doubts[180]):.1f} %; {wrong} read the wrong way, {missing} not read"
    )


def roll_of(landmarks: Floats) -> float:
    """Return the degrees clockwise from upright to the line from mouth to eyes."""
    up = landmarks[[33, 133, 263, 362], :2].mean(0) - landmarks[[61, 291], :2].mean(0)
    return float(np.degrees(np.arctan2(up[0], -up[1])))


if __name__ == "__main__":
    main()
