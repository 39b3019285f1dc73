"""The whole story on the procedural actor: film, track, train, reenact, swap, edit, measure.

Because the same motion can be rendered on two people, a reenactment of one by the other has an
exact answer here: the target actor performing the driver's motion.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from likeness.actor import Actor, Motion, RenderConfig, truth
from likeness.actor_clip import write_actor_clip
from likeness.decode import read_marks
from likeness.demo_report import EDITS, Measured, write_report
from likeness.errors import ConfigError
from likeness.evaluate.edit import evaluate_edit
from likeness.fit.transfer import TransferConfig
from likeness.geometry import gaze_direction, rotation_matrix
from likeness.machine import peak_rss_mb
from likeness.methods.edit.strength import paired
from likeness.methods.portrait.model import CPU
from likeness.methods.portrait.settings import ReenactTraining
from likeness.metrics.overlay import write_overlay
from likeness.pipeline import analyze
from likeness.plan.report import RunReport
from likeness.store import load_face_model
from likeness.types import FaceParams, Floats, Progress, Shot, silent
from likeness.verbs.edit import edit
from likeness.verbs.evaluate import evaluate_pair, evaluate_self
from likeness.verbs.evaluate_change import evaluate_swap
from likeness.verbs.reenact import ReenactConfig, reenact
from likeness.verbs.swap import swap
from likeness.verbs.swap_pairs import SwapPair
from likeness.verbs.train import train_portrait

Scene = tuple[Actor, Motion, RenderConfig]
"""Who does what before which camera."""


@dataclass(frozen=True)
class DemoConfig:
    """Settings of `likeness demo`."""

    minutes: float = 4.0
    """Training budget; with everything around it the demo stays under ten minutes on two cores."""
    size: int = 256
    """Side of the clips and of the portrait in pixels."""
    target_seconds: float = 24.0
    """Length of the target's clip; a third of it is kept from training."""
    driver_seconds: float = 6.0
    """Length of the driver's clip and of the result."""
    target_actor: int = 3
    """Seed of the person who is shown."""
    driver_actor: int = 5
    """Seed of the person who gives the motion."""
    seed: int = 0
    """Of both performances and of the training."""

    def __post_init__(self) -> None:
        if min(self.minutes, self.target_seconds, self.driver_seconds) <= 0:
            raise ConfigError("minutes and seconds must be greater than zero")


class Stopwatch:
    """Remembers how long each step took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = time.monotonic()

    def lap(self, step: str) -> None:
        """Book the time since the last lap on `step`."""
        now = time.monotonic()
        self.seconds[step] = round(now - self._began, 1)
        self._began = now


def run(
    folder: Path,
    config: DemoConfig | None = None,
    progress: Progress = silent,
    device: torch.device = CPU,
) -> dict[str, Any]:
    """Tell the story into `folder` and return what was measured, as JSON values.

    Args:
        folder: gets target.mp4, driver.mp4, truth.mp4, target.bundle, result.mp4, swapped.mp4,
            older.mp4, smiling.mp4, report.html, ...
        config: settings.
        progress: called as (stage, done, total).
        device: where networks run.

    Raises:
        MediaError: the folder cannot be written.
    """
    config = config or DemoConfig()
    folder.mkdir(parents=True, exist_ok=True)
    watch = Stopwatch()
    target, driving = film(folder, config, progress)
    watch.lap("film three clips")
    shot = analyze(folder / "target.mp4", None, progress)[0]
    driver = analyze(folder / "driver.mp4", None, progress)[0]
    write_overlay(driver.clip, [driver], load_face_model(), folder / "tracked.mp4", progress)
    recovered = recovery(shot, truth(*target).params)
    watch.lap("track and fit two clips")
    training = ReenactTraining(size=config.size, minutes=config.minutes, seed=config.seed)
    bundle = folder / "target.bundle"
    train_portrait(shot, bundle, training, progress=progress, device=device)
    watch.lap("train the portrait")
    held_out = evaluate_self(bundle, folder / "target.mp4", progress, device=device)
    watch.lap("evaluate on held-out frames")
    # Both actors stand before one camera, so the driver's values themselves are the exact answer.
    how, result = ReenactConfig(TransferConfig(absolute=True)), folder / "result.mp4"
    ran = reenact(bundle, folder / "driver.mp4", result, how, progress, device=device)
    watch.lap("reenact")
    pair = evaluate_pair(result, folder / "truth.mp4", progress=progress)
    followed = analyze(result, None, progress)[0]
    follows = recovery(followed, truth(*driving).params)
    watch.lap("compare with the truth")
    swapped = folder / "swapped.mp4"
    swap([SwapPair(bundle)], folder / "driver.mp4", swapped, None, progress, device=device)
    watch.lap("swap the faces")
    judged = evaluate_swap(swapped, folder / "driver.mp4", folder / "target.mp4", progress)
    watch.lap("judge the swap")
    measured = Measured(
        recovery=recovered,
        held_out=held_out.json(),
        pair=pair.json(),
        follows=follows,
        swap=judged.json(),
        edit=_edits(folder, watch, progress),
        seconds=watch.seconds,
        marks=read_marks(result),
        curves=performance(truth(*driving).params, followed.params),
        fallback_frames=ran.fallback_frames,
    )
    return _summary(write_report(folder, measured), ran, measured)


def _edits(folder: Path, watch: Stopwatch, progress: Progress) -> dict[str, Any]:
    """Make the driver older, and let them smile; judge the former."""
    for name, direction in EDITS.items():
        edit(folder / "driver.mp4", folder / f"{name}.mp4", paired([direction], []), None, progress)
    watch.lap("edit the driver")
    judged = evaluate_edit(folder / "older.mp4", folder / "driver.mp4", progress)
    watch.lap("judge the edit")
    return judged.json()


def _summary(report: Path, ran: RunReport, measured: Measured) -> dict[str, Any]:
    return {
        "output": report,
        "frames": ran.frames,
        "fallback_frames": ran.fallback_frames,
        "seconds": sum(measured.seconds.values()),
        "peak_rss_mb": peak_rss_mb(),
        "steps": measured.seconds,
        "recovery": measured.recovery,
        "held_out": measured.held_out,
        "against_truth": measured.pair,
        "follows": measured.follows,
        "swap": measured.swap,
        "edit": measured.edit,
    }


def film(folder: Path, config: DemoConfig, progress: Progress) -> tuple[Scene, Scene]:
    """Write target.mp4, driver.mp4 and truth.mp4; return what target and truth were made from."""
    camera = RenderConfig((config.size, config.size))
    person, other = Actor.from_seed(config.target_actor), Actor.from_seed(config.driver_actor)
    learned = Motion.from_seed(2 * config.seed + 1, config.target_seconds, style="expressive")
    driven = Motion.from_seed(2 * config.seed + 2, config.driver_seconds)
    for name, actor, motion in (
        ("target", person, learned),
        ("driver", other, driven),
        ("truth", person, driven),
    ):
        path = folder / f"{name}.mp4"
        write_actor_clip(actor, motion, path, camera, sound=True, progress=progress)
    return (person, learned, camera), (person, driven, camera)


def recovery(shot: Shot, true: FaceParams) -> dict[str, float]:
    """Compare what was found in a clip with the parameters that rendered it.

    Returns:
        Median head rotation and gaze errors in degrees, and correlations of blinks and jaw.
    """
    found, span = shot.params, slice(shot.track.start, shot.track.start + len(shot.track))
    turned = rotation_matrix(found.rotation).swapaxes(-1, -2) @ rotation_matrix(true.rotation[span])
    cosine = (np.trace(turned, axis1=-2, axis2=-1) - 1) / 2
    sight = (gaze_direction(found.gaze) * gaze_direction(true.gaze[span])).sum(-1)
    both = performance(true, found, span)
    return {
        "rotation_error_deg": _median_degrees(cosine),
        "gaze_error_deg": _median_degrees(sight),
        "blink_correlation": _correlation(*both["blink"]),
        "jaw_open_correlation": _correlation(*both["jaw"]),
        "yaw_correlation": _correlation(*both["yaw"]),
    }


def performance(
    true: FaceParams, found: FaceParams, span: slice = slice(None)
) -> Mapping[str, tuple[Floats, Floats]]:
    """Return (true, found) curves of yaw in degrees, mean blink and jaw opening."""

    def blink(params: FaceParams) -> Floats:
        return (params.column("eyeBlinkLeft") + params.column("eyeBlinkRight")) / 2

    def yaw(params: FaceParams) -> Floats:
        # The face looks along -z; its x component tells how far it turned.
        ahead = -rotation_matrix(params.rotation)[..., 2]
        return np.asarray(np.degrees(np.arctan2(ahead[:, 0], -ahead[:, 2])), np.float32)

    return {
        "yaw": (yaw(true)[span], yaw(found)),
        "blink": (blink(true)[span], blink(found)),
        "jaw": (true.column("jawOpen")[span], found.column("jawOpen")),
    }


def _median_degrees(cosine: Floats) -> float:
    return float(np.degrees(np.median(np.arccos(np.clip(cosine, -1, 1)))))


def _correlation(one: Floats, other: Floats) -> float:
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
