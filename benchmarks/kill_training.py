"""Kill trainings of a small portrait at random moments, resume them, and count what is lost.

A portrait of the procedural actor is trained in a child process that saves its state after every
step. It is killed (SIGKILL, as by kill -9) at a random moment, wherever it is: collecting frames,
learning, saving its state, saving the bundle, removing the state. After each kill the parent opens
what stands there, as the next start does, and the next child resumes. Where a training came
through, the next one trains anew over its bundle.

- unreadable: the bundle of an earlier training, or a state, cannot be opened;
- undone: a state has fewer steps than one that was seen before, or a bundle is gone;
- refused: a resumed training failed by itself;
- litter: hidden leftovers after a training that came through.

    python benchmarks/kill_training.py [--kills 100] [--seconds 1000]
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch

from likeness.actor import Actor, Motion, RenderConfig, truth
from likeness.actor_clip import write_actor_clip
from likeness.errors import LikenessError
from likeness.methods.portrait import train as portrait_training
from likeness.methods.portrait.settings import ReenactTraining
from likeness.store import load_bundle, load_shot, save_shot
from likeness.store.states import has_state, load_state
from likeness.training.loop import LoopConfig
from likeness.types import FaceTrack, Shot
from likeness.verbs.train import train_portrait

FRAMES, SIDE, STEPS = 48, 64, 8
KILLED = -signal.SIGKILL


@dataclass
class Seen:
    """What is known to stand in the folder."""

    step: int = 0
    """Of the state that was seen last; 0 is none."""
    bundle: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def fault(self, what: str, why: object) -> None:
        """Count a fault and keep its sentence."""
        self.counts[what] += 1
        self.faults.append(f"{what}: {why}")


def film(folder: Path) -> Path:
    """Save a short shot of the actor with its true track and params, in a child.

    The parent computes nothing: a child that is forked from a process with threads waits for
    threads that it does not have.
    """
    place = folder / "actor.shot"
    child = os.fork()
    if child == 0:
        code = 1
        try:
            save_shot(_filmed(folder), place)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    if os.waitpid(child, 0)[1]:
        raise SystemExit("the actor could not be filmed; nothing is measured")
    return place


def _filmed(folder: Path) -> Shot:
    actor, motion = Actor.from_seed(3), Motion.from_seed(5, FRAMES / 25, style="expressive")
    config = RenderConfig(size=(128, 128))
    clip = write_actor_clip(actor, motion, folder / "actor.mp4", config)
    known = truth(actor, motion, config)
    xy = known.landmarks[..., :2]
    boxes = np.concatenate([xy.min(1), xy.max(1)], 1).astype(np.float32)
    seen = np.ones(len(clip), bool)
    track = FaceTrack(0, boxes, known.landmarks, seen.astype(np.float32), seen)
    return Shot(clip, track, known.params)


def begin(place: Path, output: Path, told: Path) -> int:
    """Train, or go on, in a child; return its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        # Every step is followed by saving, so that kills often fall into it.
        portrait_training.LoopConfig = partial(LoopConfig, save_minutes=0.0)  # type: ignore
        config = ReenactTraining(size=SIDE, steps=STEPS, holdout="none")
        train_portrait(load_shot(place), output, config, resume=True)
        code = 0
    except BaseException:
        told.write_text(traceback.format_exc())
    finally:
        os._exit(code)


def look(output: Path, seen: Seen) -> None:
    """Open what stands there and compare it with what stood there before."""
    try:
        state = load_state(output / "resume") if has_state(output / "resume") else None
    except LikenessError as error:
        seen.fault("unreadable", error)
        return
    there = (output / "bundle.json").exists()
    if there:
        try:
            load_bundle(output)
        except LikenessError as error:
            seen.fault("unreadable", error)
    if seen.bundle and not there:
        seen.fault("undone", "the bundle is gone")
    step = int(state[1]["step"]) if state else 0
    # A state that is gone was removed because its training came through.
    came_through = step == 0 and there and seen.step == STEPS
    if step < seen.step and not came_through:
        seen.fault("undone", f"step {seen.step} was there, step {step} is")
    seen.moments["resumable" if step else "finished" if came_through else "before a state"] += 1
    seen.step, seen.bundle = step, there


def run(kills: int, seconds: float, seed: int) -> Seen:
    """Kill so often, or for so long."""
    rng, seen = random.Random(seed), Seen()  # noqa: S311  # repeatable, no secret
    until = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="likeness-kill-") as name:
        folder = Path(name)
        place, output, told = film(folder), folder / "x.bundle", folder / "told"
        usual = 20.0
        while seen.counts["kills"] < kills and time.monotonic() < until:
            began = time.monotonic()
            child = begin(place, output, told)
            end = began + rng.uniform(0.05, 1.1 * usual)
            while not (done := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < end:
                time.sleep(0.001)
            if not done[0]:
                os.kill(child, signal.SIGKILL)
                done = os.waitpid(child, 0)
            code = os.waitstatus_to_exitcode(done[1])
            if code == 0:
                usual = 0.5 * usual + 0.5 * (time.monotonic() - began)
                seen.counts["came through"] += 1
                left = [one.name for one in folder.iterdir() if one.name.startswith(".")]
                if left:
                    seen.fault("litter", left)
                seen.step = STEPS
            elif code == KILLED:
                seen.counts["kills"] += 1
            else:
                why = told.read_text().strip().rsplit("\n", 1)[-1] if told.exists() else code
                seen.fault("refused", why)
            before = seen.step
            look(output, seen)
            if code == KILLED and seen.step <= before:
                # A busy machine got nowhere: kill later, up to the end of a training.
                usual *= 1.2
    return seen


def main() -> int:
    """Kill, count and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=1000.0, help="at most so long")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    seen = run(given.kills, given.seconds, given.seed)
    names = ("kills", "came through", "unreadable", "undone", "refused", "litter")
    print("| " + " | ".join(names) + " |\n|" + "--:|" * len(names))
    print("| " + " | ".join(str(seen.counts[name]) for name in names) + " |")
    print("after kills and ends: " + ", ".join(f"{n} {c}" for n, c in seen.moments.items()))
    for fault in seen.faults:
        print(fault, file=sys.stderr)
    return 1 if seen.faults else 0


if __name__ == "__main__":
    sys.exit(main())
