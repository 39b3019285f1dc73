"""How fast this machine makes a portrait move: each stage by itself, and a command as a whole.

Two procedural actors are filmed with fixed seeds and a portrait of one of them is trained for a few
steps, since speed does not depend on how well it has learned. Then every stage is timed on the
driver's clip, and `likeness reenact` is run with the driver new to it (cold) and tracked before.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from likeness.actor import Actor, Motion, RenderConfig
from likeness.actor_clip import write_actor_clip
from likeness.composite import composite
from likeness.decode.reordered import stream_reordered
from likeness.encode import encode
from likeness.errors import ConfigError, ContractError
from likeness.fit import fit
from likeness.fit.transfer import TransferConfig
from likeness.machine import hardware, load_average, peak_rss_mb
from likeness.methods.portrait.model import CPU
from likeness.methods.portrait.settings import ReenactTraining
from likeness.methods.table import recipe_of
from likeness.plan.performance import performance_of
from likeness.plan.plan import Plan
from likeness.plan.reenactment import Request, plan_reenactment
from likeness.plan.target import Target
from likeness.provenance.manifest import COMPOSITE, Manifest
from likeness.provenance.watermark import Stamp, Watermark
from likeness.store import load_bundle, load_face_model
from likeness.track import track
from likeness.types import Clip, Method, Progress, Shot, Timeline, check, silent
from likeness.verbs.reenact import reenact
from likeness.verbs.train import train_reenact

STAGES = (
    *("decode", "track", "fit", "condition"),
    *("synthesize", "composite", "mark", "encode"),
)
"""The stages of an output in the order in which they come."""
TARGET_ACTOR, DRIVER_ACTOR = 3, 5
_THREADED = frozenset({"decode", "track", "fit", "encode"})
"""Stages with threads of their own, which may go on when the call has returned."""
_WINDOW = 4
"""Frames per step, as `pipeline.render` takes them."""
_WARM = 2 * _WINDOW
"""Frames drawn before the clock counts: they load libraries and fill caches."""
_PAUSE, _IDLE, _PATIENCE = 0.004, 0.0006, 0.5
"""Seconds between two looks at the process, of CPU in between that count as rest, and at most."""


@dataclass(frozen=True)
class BenchConfig:
    """Settings of `likeness bench`."""

    seconds: float = 12.0
    """Length of both clips, at 25 frames a second: 300 frames, so that what is done once per file
    and once per person weighs what it does in use."""
    size: int = 256
    """Side of the clips and of the portrait in pixels."""
    steps: int = 4
    """Training steps: enough to make a portrait, whose speed is that of any other."""
    runs: int = 3
    """End-to-end runs, of which the median counts."""
    seed: int = 0
    """Of both performances and of the training."""

    def __post_init__(self) -> None:
        if not 1 <= self.seconds <= 600:
            raise ConfigError(f"seconds is {self.seconds:g}, expected 1 to 600")
        if min(self.steps, self.runs) < 1:
            raise ConfigError(
                f"steps is {self.steps} and runs is {self.runs}, expected 1 or more of each"
            )
        self.training()

    def training(self) -> ReenactTraining:
        """Return the settings of the portrait.

        Raises:
            ConfigError: the size is none that a portrait can have.
        """
        return ReenactTraining(
            size=self.size, holdout="none", minutes=None, steps=self.steps, seed=self.seed
        )


class StageClock:
    """Adds up the time of stages that follow each other on one thread."""

    def __init__(self) -> None:
        self._wall: dict[str, float] = {}
        self._cpu: dict[str, float] = {}
        self._last: dict[str, tuple[float, float]] = {}

    @contextmanager
    def time(self, stage: str, without: str | None = None) -> Iterator[None]:
        """Book what happens inside on a stage; `without` what was booked last on another.

        Wall time ends with the block. CPU time is the whole process's, until threads that the stage
        has started are at rest.
        """
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        wall = time.perf_counter() - wall
        cpu = (_at_rest() if stage in _THREADED else time.process_time()) - cpu
        if without is not None:
            less = self._last[without]
            wall, cpu = max(0.0, wall - less[0]), max(0.0, cpu - less[1])
        self._last[stage] = wall, cpu
        self._wall[stage] = self._wall.get(stage, 0.0) + wall
        self._cpu[stage] = self._cpu.get(stage, 0.0) + cpu

    def per_frame(self, stage: str, frames: int) -> dict[str, float]:
        """Return milliseconds of a stage over so many frames: wall and CPU."""
        share = 1000 / frames
        return {
            "ms_per_frame": share * self._wall[stage],
            "cpu_ms_per_frame": share * self._cpu[stage],
        }

    def once(self, stage: str) -> dict[str, float]:
        """Return milliseconds of what is done once per file: wall and CPU."""
        return {"ms": 1000 * self._wall[stage], "cpu_ms": 1000 * self._cpu[stage]}


def bench(
    config: BenchConfig | None = None, progress: Progress = silent, device: torch.device = CPU
) -> dict[str, Any]:
    """Measure this machine; everything that is written is removed again.

    Args:
        config: settings.
        progress: called as (stage, done, total).
        device: where networks run.

    Returns:
        JSON values: milliseconds per frame by stage and per file, frames per second cold and
        tracked with their spread, peak memory in MiB, the machine. See docs/performance.md.

    Raises:
        MediaError: the folder for temporary files cannot be written.
    """
    config = config or BenchConfig()
    # Asked before the work, which is a load of its own.
    others = load_average()
    peaks: dict[str, float] = {}
    with TemporaryDirectory(prefix="likeness-bench-") as name:
        folder = Path(name)
        target, driver = _film(folder, config, progress)
        peaks["film"] = peak_rss_mb()
        bundle = folder / "target.bundle"
        train_reenact(target.path, bundle, config.training(), progress, device=device)
        peaks["train"] = peak_rss_mb()
        clock = _stages(bundle, driver, folder, progress, device)
        peaks["stages"] = peak_rss_mb()
        cold, tracked = [], []
        for number in range(config.runs):
            progress("runs", number, config.runs)
            first, second = _run(bundle, driver, folder, progress, device)
            cold.append(first)
            tracked.append(second)
        progress("runs", config.runs, config.runs)
        peaks["reenact"] = peak_rss_mb()
    spread = {"fps_end_to_end": _spread(cold), "fps_tracked": _spread(tracked)}
    return {
        "stages": {stage: clock.per_frame(stage, len(driver)) for stage in STAGES},
        "per_file": {step: clock.once(step) for step in ("open",)},
        **{key: found["median"] for key, found in spread.items()},
        "spread": spread,
        "peak_rss_mb": peaks["reenact"],
        "peak_rss_mb_after": peaks,
        "frames": len(driver),
        "settings": dataclasses.asdict(config),
        "device": device.type,
        "load_before": others,
        "machine": dataclasses.asdict(hardware()),
    }


def _film(folder: Path, config: BenchConfig, progress: Progress) -> tuple[Clip, Clip]:
    """Write the target's and the driver's clip, of equal length."""
    camera = RenderConfig((config.size, config.size), samples=1)
    learned = Motion.from_seed(2 * config.seed + 1, config.seconds, style="expressive")
    driven = Motion.from_seed(2 * config.seed + 2, config.seconds)
    target, driver = (
        write_actor_clip(
            Actor.from_seed(actor),
            motion,
            folder / f"{name}.mp4",
            camera,
            sound=True,
            progress=progress,
        )
        for name, actor, motion in (
            ("target", TARGET_ACTOR, learned),
            ("driver", DRIVER_ACTOR, driven),
        )
    )
    return target, driver


def _run(
    bundle: Path, driver: Clip, folder: Path, progress: Progress, device: torch.device
) -> tuple[float, float]:
    """Reenact twice in a folder that knows nothing of the driver: frames per second of each."""
    with TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        # What is found in a clip is kept beside it: a copy elsewhere is a clip never seen before.
        clip = place / "driver.mp4"
        shutil.copyfile(driver.path, clip)
        told: set[str] = set()

        def heard(stage: str, done: int, total: int) -> None:
            told.add(stage)
            progress(stage, done, total)

        found = []
        for kind, expected in (("cold", True), ("tracked", False)):
            told.clear()
            report = reenact(bundle, clip, place / f"{kind}.mp4", progress=heard, device=device)
            check(
                ("track" in told) == expected,
                f"the {kind} run did {'not ' if expected else ''}track the driver",
            )
            found.append(report.frames / report.seconds)
    return found[0], found[1]


def _stages(
    bundle: Path, driver: Clip, folder: Path, progress: Progress, device: torch.device
) -> StageClock:
    """Time each stage on the driver's clip; those from `condition` on run on one thread."""
    clock = StageClock()
    model = load_face_model()
    with clock.time("track"):
        face = track(driver, progress=progress)[0]
    with clock.time("fit"):
        params = fit(driver, face, model, progress=progress)
    with clock.time("open"):
        plan, method = _opened(bundle, Shot(driver, face, params), device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, "blas"):
            _draw(plan, method, folder / "stages.mp4", StageClock(), _WARM)
            _draw(plan, method, folder / "stages.mp4", clock, len(plan), progress)
    finally:
        torch.set_num_threads(threads)
    return clock


def _opened(bundle: Path, driver: Shot, device: torch.device) -> tuple[Plan, Method[Any]]:
    """Plan the output that `likeness reenact` plans, and open the portrait for it."""
    loaded = load_bundle(bundle)
    recipe, target = recipe_of(loaded, "reenact"), Target.of(loaded)
    own, motion = performance_of(target.shot, "target"), performance_of(driver, "driver")
    asked = recipe.adapt(target, Request(own, motion, TransferConfig()))
    plan = plan_reenactment(target, asked)
    return plan, recipe.open(loaded, plan, device)


def _draw(
    plan: Plan,
    method: Method[Any],
    output: Path,
    clock: StageClock,
    count: int,
    progress: Progress = silent,
) -> None:
    """Draw, mark and code `count` frames, one stage after the other.

    What `pipeline.render` does on all cores is done by hand here. A frame is marked twice, once by
    itself, so that what marking takes can be told from what coding takes.
    """
    if plan.stream is None or plan.shown is None:
        raise ContractError("the plan decodes nothing, expected the target's clip beneath")
    manifest = Manifest(output.name, plan.action, digital_source_type=COMPOSITE)
    embedder = Watermark(Stamp.of(manifest).payload()).embedder(plan.like.size)
    line = plan.timeline
    part = Timeline(line.pts[:count], line.time_base, line.last_duration, line.sound)
    with ExitStack() as opened:
        video = opened.enter_context(encode(output, plan.like, manifest, part))
        frames = stream_reordered(plan.stream, plan.shown[:count], _WINDOW)
        done = 0
        while done < count:
            with clock.time("decode"):
                window, decoded = next(frames)
            with clock.time("condition"):
                told = method.condition(window, decoded)
            with clock.time("synthesize"):
                layer = method.synthesize(told)
            with clock.time("composite"):
                painted = composite(decoded, layer)
            with clock.time("mark"):
                embedder.embed(painted)
            with clock.time("encode", without="mark"):
                video.append(painted)
            done = window.stop
            progress("stages", done, count)
        # What the coder still holds, and the signature, which is a hundredth of it.
        with clock.time("encode"):
            opened.close()


def _at_rest() -> float:
    """Wait until no thread of this process works any more; return its CPU seconds so far."""
    until = time.perf_counter() + _PATIENCE
    before = time.process_time()
    while time.perf_counter() < until:
        time.sleep(_PAUSE)
        now = time.process_time()
        if now - before < _IDLE:
            break
        before = now
    return before


def _spread(found: list[float]) -> Mapping[str, float]:
    return {"min": min(found), "median": median(found), "max": max(found)}
