"""What a live frame costs: processor time by step, and delay and rate by the clock.

    python benchmarks/live.py NAME.bundle|PHOTO CAMERA.mp4 [--swap] [--consent FILE.toml]

Processor time says what a machine with nothing else to do would need; the delay by the clock holds
for this machine as it was.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from likeness.composite import composite
from likeness.decode.camera import WallClock, open_camera
from likeness.encode import EncodeConfig
from likeness.encode.live import LiveFile
from likeness.live import LiveConfig, Looker
from likeness.machine import load_average
from likeness.pipeline import render_live
from likeness.provenance.consent import load_consent
from likeness.verbs.live_shown import LiveSettings, shown_as, shown_by


class Patient:
    """A clock that waits for whoever asks: no frame is ever late."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def steps(arguments: Any, consents: Any) -> dict[str, float]:
    """Return the median milliseconds of processor time that each step takes, one thread."""
    torch.set_num_threads(1)
    camera = open_camera(arguments.camera, Patient())
    config = LiveSettings(arguments.swap, live=LiveConfig(calibrate=1.0))
    bundle, plan, _ = shown_by(arguments.shown, config, consents, camera)
    follow = shown_as(bundle, plan.action).follow
    assert follow is not None
    meeting = follow(bundle, torch.device("cpu"))
    looker = Looker(camera, config.live)
    method = meeting(looker.acquaint())
    spent: dict[str, list[float]] = defaultdict(list)
    with threadpool_limits(1, "blas"), torch.inference_mode():
        while True:
            marks = [time.process_time()]
            found = looker.look()
            if found is None:
                break
            marks.append(time.process_time())
            told = method.condition(found[0])
            marks.append(time.process_time())
            layer = method.synthesize(told)
            marks.append(time.process_time())
            composite(found[0].frame if plan.canvas is None else plan.canvas[None], layer)
            marks.append(time.process_time())
            names = ("look", "condition", "draw", "composite")
            for name, span in zip(names, np.diff(marks), strict=True):
                spent[name].append(1000 * float(span))
    looker.close()
    camera.close()
    return {name: round(float(np.median(values)), 2) for name, values in spent.items()}


def by_the_clock(arguments: Any, consents: Any, output: Path) -> Any:
    """Run it live, into a file."""
    clock = WallClock()
    camera = open_camera(arguments.camera, clock)
    config = LiveSettings(arguments.swap, live=LiveConfig(calibrate=1.0))
    bundle, plan, permission = shown_by(arguments.shown, config, consents, camera)
    follow = shown_as(bundle, plan.action).follow
    assert follow is not None
    meeting = follow(bundle, torch.device("cpu"))
    looker = Looker(camera, config.live)
    method = meeting(looker.acquaint())
    sink = LiveFile(output, EncodeConfig())
    report = render_live(plan, method, permission, sink, looker, clock)
    looker.close()
    camera.close()
    return report


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("shown", type=Path)
    parser.add_argument("camera")
    parser.add_argument("--swap", action="store_true")
    parser.add_argument("--consent", type=Path, action="append", default=[])
    parser.add_argument("--to", type=Path, default=Path("live.mp4"))
    given = parser.parse_args()
    consents = [load_consent(path) for path in given.consent]
    load = load_average()
    report = by_the_clock(given, consents, given.to)
    found = {
        "load": load,
        "cpu_ms_per_frame": steps(given, consents),
        "frames": report.frames,
        "dropped": report.dropped,
        "delay_ms": report.delay_ms,
        "fps": report.fps,
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
