"""Count the blinks in a shot: analysis rests as a few arrays, so questions about it are short.

likeness track anna.mp4 -o anna.shot
python examples/count_blinks.py anna.shot
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import likeness


def blinks(shot: likeness.Shot, closed: float = 0.5) -> list[float]:
    """Return the seconds at which the eyes begin to close for a blink."""
    lids = (shot.params.column("eyeBlinkLeft") + shot.params.column("eyeBlinkRight")) / 2
    shut = (lids > closed) & shot.track.observed
    starts = np.flatnonzero(shut & ~np.roll(shut, 1)) + shot.track.start
    since_start = shot.clip.pts[starts] - shot.clip.pts[0]
    return [float(ticks * shot.clip.time_base) for ticks in since_start]


def main(path: Path) -> None:
    """Print how often and when."""
    shot = likeness.load_shot(path)
    times = blinks(shot)
    print(f"{len(times)} blinks in {shot.clip.seconds:.1f} s")
    print(" ".join(f"{time:.2f}" for time in times))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
