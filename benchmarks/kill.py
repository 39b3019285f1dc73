"""Kill a writer at every change of a name, and count what is lost.

Each scenario is written in a child process that is killed (SIGKILL, as by kill -9) right before its
n-th call of replace, rename, unlink, link or rmdir, for n = 1, 2, ... until it comes through. After
each kill the parent looks at what stands there, does what the next start does, and looks again:

- bare: an output under its final name without what proves it (its record, a valid manifest);
- lost: neither the earlier nor the new output is whole after the next start;
- undone: the new output was whole before the kill, and is not there after the next start;
- litter: hidden leftovers that the next start has not removed.

    python benchmarks/kill.py [--kills 100]
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from likeness.encode import encode, prove_place
from likeness.errors import LikenessError
from likeness.outputs.names import READY, left_in
from likeness.provenance import Manifest, sidecar_of
from likeness.provenance.reading import read_detached, read_manifest
from likeness.provenance.signing import Content, detached_of
from likeness.store import load_bundle, save_bundle
from likeness.types import Bundle, Clip, Weights

CALLS = ("replace", "rename", "unlink", "link", "rmdir")
SIZE = (64, 64)
BEFORE, AFTER = 2, 3
"""Frames, or values, of the earlier output and of the new one."""


@dataclass
class Counts:
    """What came of the kills of one scenario."""

    kills: int = 0
    bare: int = 0
    lost: int = 0
    undone: int = 0
    litter: int = 0
    faults: list[str] = field(default_factory=list)


def killed_at(point: int, work: Callable[[], None]) -> bool:
    """Do the work in a child that is killed before its `point`-th change of a name."""
    child = os.fork()
    if child == 0:
        left = [point]

        def guarded(real: Callable[..., object]) -> Callable[..., object]:
            def change(*given: object, **named: object) -> object:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*given, **named)

            return change

        for name in CALLS:
            setattr(os, name, guarded(getattr(os, name)))
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, -signal.SIGKILL):
        raise SystemExit(f"the writer failed by itself with {code}; nothing is measured")
    return code != 0


class Media:
    """A video, or pictures, written anew over an earlier run or at an empty place."""

    def __init__(self, name: str, fresh: bool) -> None:
        self.name, self.fresh = name, fresh
        self.title = f"{name}{' (new)' if fresh else ''}"

    def write(self, folder: Path, count: int) -> None:
        """Write an output of `count` frames."""
        pts = np.arange(count, dtype=np.int64)
        like = Clip(Path("nowhere.mp4"), "00" * 32, SIZE, pts, Fraction(1, 25), 1)
        generator = torch.Generator().manual_seed(0)
        frames = torch.rand((1, 3, *SIZE), generator=generator).mul(0.1).add(0.4)
        with encode(folder / self.name, like, Manifest(str(count), "reenact")) as video:
            video.append(frames.expand(count, -1, -1, -1))

    def next_start(self, folder: Path) -> None:
        """Do what any command does before it writes here."""
        prove_place(folder / self.name)

    def standing(self, folder: Path) -> list[Path]:
        """Return the files that stand under final names."""
        output = folder / self.name
        if "%" in self.name:
            return sorted(folder.glob(f"*{output.suffix}"))
        return sorted(output.iterdir()) if output.is_dir() else [output][: output.exists()]

    def is_bare(self, folder: Path) -> bool:
        """Tell whether something stands there without its proof."""
        files, output = self.standing(folder), folder / self.name
        if not files:
            return False
        if not sidecar_of(output).is_file():
            return True
        if output.suffix == ".exr":
            # One manifest speaks for all; while they appear one by one it speaks for those to come.
            return not detached_of(output).is_file()
        return not all(read_manifest(file).valid for file in files)

    def found(self, folder: Path) -> int | None:
        """Return how many frames the whole output has, or None where it isn't whole."""
        files, output = self.standing(folder), folder / self.name
        try:
            count = int(Manifest.parse(sidecar_of(output).read_text()).title)
        except (OSError, LikenessError):
            return None
        if output.suffix == ".exr":
            valid = read_detached(Content(tuple(files)), detached_of(output)).valid
        else:
            valid = bool(files) and all(read_manifest(file).valid for file in files)
        numbered = len(files) == count or output.suffix in (".mp4", ".mov", ".mkv", ".webm")
        return count if valid and numbered else None


class Portrait:
    """A bundle that is saved anew."""

    def __init__(self, fresh: bool) -> None:
        self.fresh = fresh
        self.title = f"x.bundle{' (new)' if fresh else ''}"

    def write(self, folder: Path, count: int) -> None:
        """Save a bundle that says `count`."""
        weights = Weights("none", {}, {"value": torch.full((4,), float(count))})
        save_bundle(Bundle("test", {"net": weights}, {}, {}, "none"), folder / "x.bundle")

    def next_start(self, folder: Path) -> None:
        """Do what the next training does: save into the same place."""
        load_bundle(folder / "x.bundle")

    def is_bare(self, folder: Path) -> bool:
        """Tell whether a folder without an index stands there."""
        path = folder / "x.bundle"
        return path.exists() and not (path / "bundle.json").is_file()

    def found(self, folder: Path) -> int | None:
        """Return what the bundle says, or None where it can't be read."""
        try:
            return int(load_bundle(folder / "x.bundle").networks["net"].tensors["value"][0])
        except LikenessError:
            return None


def probe(scenario: Media | Portrait, point: int, counts: Counts) -> bool:
    """Kill once and look; tell whether there was anything left to kill."""
    with tempfile.TemporaryDirectory(prefix="likeness-kill-") as name:
        folder = Path(name)
        if not scenario.fresh:
            scenario.write(folder, BEFORE)
        if not killed_at(point, lambda: scenario.write(folder, AFTER)):
            return False
        counts.kills += 1
        whole = bool(left_in(folder, READY)) or scenario.found(folder) == AFTER
        counts.bare += scenario.is_bare(folder)
        try:
            scenario.next_start(folder)
        except LikenessError as error:
            # Where nothing was, nothing may be there after a kill.
            if not scenario.fresh or whole:
                counts.faults.append(f"{scenario.title}, kill {point}: {error}")
        found = scenario.found(folder)
        counts.lost += found is None and (whole or not scenario.fresh)
        counts.undone += whole and found != AFTER
        counts.litter += isinstance(scenario, Media) and any(folder.glob(".*"))
    return True


def main() -> int:
    """Kill, count and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="at least so many in all")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    media = [Media(n, f) for n in ("o.mp4", "o.mkv", "out", "p%d.png", "p%d.exr") for f in (0, 1)]
    scenarios = [*media, Portrait(False), Portrait(True)]
    total = Counts()
    print("| output | kills | bare | lost | undone | litter |\n|---|---|---|---|---|---|")
    for scenario in scenarios:
        counts, point = Counts(), 1
        while probe(scenario, point, counts):
            point += 1
        print(row(scenario.title, counts), flush=True)
        total = replace(
            total,
            **{n: getattr(total, n) + getattr(counts, n) for n in vars(total)},
        )
    print(row("in all", total))
    for fault in total.faults:
        print(fault, file=sys.stderr)
    enough = total.kills >= given.kills
    return 0 if enough and not total.bare + total.lost + total.undone + total.litter else 1


def row(title: str, counts: Counts) -> str:
    """Return a line of the table."""
    cells = (counts.kills, counts.bare, counts.lost, counts.undone, counts.litter)
    return f"| {title} | " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    sys.exit(main())
