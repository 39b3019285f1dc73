"""How well workers share the work: many short clips, and one long clip cut in ranges.

As many cores are used as there are workers, so that each worker has one core and one thread.
Efficiency is the work done per second and worker with two workers, relative to one. The long clip's
frames are compared, to the bit, before coding.

    python benchmarks/batch.py FOLDER [--clips 6] [--seconds 2] [--long 12] [--engine local|ray]

FOLDER is made with procedural actors where it is empty. Run it on a machine with nothing else to
do: `load` says how many threads wanted a core in the minute before.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from likeness import Actor, Motion, RenderConfig, write_actor_clip
from likeness.cli.app import run
from likeness.decode import open_clip
from likeness.engine import open_engine
from likeness.engine.protocol import EngineName
from likeness.fit.transfer import TransferConfig
from likeness.machine import load_average
from likeness.methods.table import recipe_of
from likeness.painting import painted_by, painted_here
from likeness.people import find_person
from likeness.plan.performance import performance_of
from likeness.plan.reenactment import Request, plan_reenactment
from likeness.plan.target import Target
from likeness.store import load_bundle

SIZE = 256


def material(folder: Path, clips: int, seconds: float, long_seconds: float) -> None:
    """Make a portrait, its drivers and a long one, once."""
    (folder / "drivers").mkdir(parents=True, exist_ok=True)
    camera = RenderConfig((SIZE, SIZE))
    made = [(f"drivers/{n:02d}.mp4", 5, n + 20, seconds) for n in range(clips)]
    for name, seed, motion, length in [
        ("anna.mp4", 3, 1, 4.0),
        ("long.mp4", 5, 19, long_seconds),
        *made,
    ]:
        if not (folder / name).exists():
            moved = Motion.from_seed(motion, seconds=length)
            write_actor_clip(Actor.from_seed(seed), moved, folder / name, camera)
    bundle = folder / "anna.bundle"
    if not bundle.exists():
        assert (
            run(
                [
                    "train",
                    "reenact",
                    str(folder / "anna.mp4"),
                    "-o",
                    str(bundle),
                    "--minutes",
                    "0.2",
                ]
            )
            == 0
        )


@contextmanager
def as_many_cores(workers: int) -> Iterator[None]:
    """Hold this process, and all that it starts, to as many cores as there are workers."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:workers])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def processor() -> float:
    """Return the seconds of processor time of this process and of those that it has ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def many(folder: Path, engine: EngineName, workers: int) -> tuple[float, float]:
    """Return the seconds that a batch of all drivers takes, by the clock and of processor time.

    Nothing of the drivers is known before.
    """
    shutil.rmtree(folder / "drivers" / ".likeness", ignore_errors=True)
    shutil.rmtree(folder / "results", ignore_errors=True)
    (folder / "jobs.toml").write_text(
        'folder = "results"\n[[job]]\nverb = "reenact"\n'
        'inputs = ["anna.bundle", "drivers/*.mp4"]\noutput = "{stem}.mp4"\n'
    )
    began, before = time.monotonic(), processor()
    code = run(
        [
            "batch",
            str(folder / "jobs.toml"),
            "--engine",
            engine,
            "--workers",
            str(workers),
            "--json",
        ]
    )
    assert code == 0, code
    return time.monotonic() - began, processor() - before


def long(folder: Path, engine: EngineName) -> dict[str, object]:
    """Paint one plan here, by one worker and by two, and compare."""
    bundle = load_bundle(folder / "anna.bundle")
    recipe, target = recipe_of(bundle, "reenact"), Target.of(bundle)
    driver = find_person(folder / "long.mp4")
    asked = Request(
        performance_of(target.shot, "target"), performance_of(driver, "driver"), TransferConfig()
    )
    plan = plan_reenactment(target, recipe.adapt(target, asked))
    opening = partial(recipe.open, bundle, plan, torch.device("cpu"))
    with threadpool_limits(1, "blas"):
        alone = torch.cat([frames.clone() for _, frames in painted_here(plan, [opening()])])
    seconds: dict[int, float] = {}
    spent: dict[int, float] = {}
    equal = True
    for workers in (1, 2):
        before = processor()
        with as_many_cores(workers), closing(open_engine(engine, workers)) as opened:
            shared = torch.cat([f.clone() for _, f in painted_by(opened, plan, [opening])])
            began = time.monotonic()
            for _ in painted_by(opened, plan, [opening]):
                pass
            seconds[workers] = time.monotonic() - began
        spent[workers] = processor() - before
        equal = equal and torch.equal(alone, shared)
    return {
        "frames": len(plan),
        "equal_to_the_bit": equal,
        "seconds": seconds,
        "processor_seconds": spent,
        "efficiency": seconds[1] / seconds[2] / 2,
    }


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each of many clips")
    parser.add_argument("--long", type=float, default=12.0, help="seconds of the long clip")
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    given = parser.parse_args()
    material(given.folder, given.clips, given.seconds, given.long)
    frames = sum(len(open_clip(path)) for path in (given.folder / "drivers").glob("*.mp4"))
    load = load_average()
    # The first run warms what both need: compiled loops, files in memory.
    many(given.folder, given.engine, 2)
    taken = {}
    for workers in (1, 2):
        with as_many_cores(workers):
            taken[workers] = many(given.folder, given.engine, workers)
    found = {
        "load": load,
        "engine": given.engine,
        "many": {
            "clips": given.clips,
            "frames": frames,
            "seconds": {workers: clock for workers, (clock, _) in taken.items()},
            "processor_seconds": {workers: spent for workers, (_, spent) in taken.items()},
            "efficiency": taken[1][0] / taken[2][0] / 2,
        },
        "long": long(given.folder, given.engine),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
