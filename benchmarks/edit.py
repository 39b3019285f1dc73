"""What edits change, how steady they are, and how fast.

    python benchmarks/edit.py [--clip CLIP --consent anna.toml ...] [--direction age=1 ...]

Each direction is given to a clip by the surface engine, written, and judged against the original:
the actor's clip, made here at --size, and further ones given with --clip. Time is that of the
work alone, after tracking: seconds on the wall, and of all cores together, from decoding to the
signed file. Prints a table in Markdown; keep the machine free.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from likeness.actor import Actor, Motion, RenderConfig
from likeness.actor_clip import write_actor_clip
from likeness.evaluate.edit import evaluate_edit
from likeness.methods.edit.strength import paired
from likeness.metrics.edit import EditReport
from likeness.people import find_people
from likeness.provenance.consent import Consent, load_consent
from likeness.verbs.edit import edit

DIRECTIONS = ("age=1", "age=-1", "smile=1", "smile=-1", "brows=1", "eyes_open=1", "slim=1")
COLUMNS = (
    *("tl_id", "tg_id", "seam", "flicker", "identity_original"),
    *("flicker_result", "outside_changed", "face_changed"),
)


def film(folder: Path, seed: int, size: int, seconds: float) -> Path:
    """Film an actor in conversation."""
    path = folder / f"actor{seed}.mp4"
    motion = Motion.from_seed(seed, seconds, style="expressive")
    write_actor_clip(Actor.from_seed(seed), motion, path, RenderConfig((size, size)))
    return path


def row(
    clip: Path, asked: str, folder: Path, consents: Sequence[Consent]
) -> tuple[EditReport, float, float]:
    """Edit a clip along one direction and judge it: report, wall and core seconds a frame."""
    output = folder / f"{clip.stem}_{asked.replace('=', '_')}.mp4"
    began, busy = time.monotonic(), time.process_time()
    report = edit(clip, output, paired([asked], []), consents=consents)
    wall, busy = time.monotonic() - began, time.process_time() - busy
    return evaluate_edit(output, clip), wall / report.frames, busy / report.frames


def main() -> None:
    """Print a line per clip and direction."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clip", type=Path, action="append", default=[])
    parser.add_argument("--consent", type=Path, action="append", default=[])
    parser.add_argument("--direction", action="append", default=[])
    parser.add_argument("--size", type=int, default=480)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--keep", type=Path, help="folder for the edited clips")
    given = parser.parse_args()
    consents = [load_consent(path) for path in given.consent]
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        actor = film(Path(temporary), 3, given.size, given.seconds)
        heads = ("clip", "edit", *COLUMNS, "ms wall", "ms of cores")
        print("| " + " | ".join(heads) + " |")
        print("|" + "---|" * len(heads))
        for clip in (actor, *given.clip):
            find_people(clip)
            for asked in given.direction or DIRECTIONS:
                report, wall, busy = row(clip, asked, folder, consents)
                told = [getattr(report, name) for name in COLUMNS]
                numbers = ["-" if value is None else f"{value:.3f}" for value in told]
                line = (clip.stem, asked, *numbers, f"{1000 * wall:.0f}", f"{1000 * busy:.0f}")
                print("| " + " | ".join(line) + " |", flush=True)


if __name__ == "__main__":
    main()
