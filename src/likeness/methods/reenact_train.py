"""Training a portrait: from a shot to a bundle."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch

from likeness import config as settings
from likeness.condition import pick_keyframes, portrait_crop
from likeness.condition.body import Bodies
from likeness.condition.guide import Guide, select
from likeness.decode import Decoder
from likeness.errors import ConfigError, TrackError
from likeness.methods.protocol import METHODS
from likeness.methods.reenact import guide_of, weights_of
from likeness.methods.reenact_tasks import (
    PIX2PIX,
    FastConfig,
    FastTask,
    Material,
    PaperConfig,
    PaperTask,
)
from likeness.provenance.consent import Consent
from likeness.provenance.permission import permit_training
from likeness.store import save_bundle
from likeness.training.data import FrameBank, fill_bank
from likeness.training.loop import LoopConfig, Outcome, train
from likeness.types import (
    Bundle,
    Clip,
    FaceParams,
    Ints,
    Progress,
    Shot,
    Weights,
    Window,
    silent,
)

Preset = Literal["fast", "paper", "pix2pix"]


@dataclass(frozen=True)
class ReenactTraining:
    """Settings of `likeness train reenact`."""

    preset: Preset = "fast"
    """`fast` warps keyframes and suits a CPU; `paper` is the network of Deep Video Portraits,
    `pix2pix` the same on single frames."""
    size: int = 256
    """Side of the portrait in pixels."""
    scale: float = 1.7
    """Side of the crop in units of the face's range of motion."""
    holdout: Literal["last-third", "none"] = "last-third"
    """Frames kept from training for `likeness evaluate self`."""
    max_frames: int = 4000
    """Most frames to learn from; more are thinned out evenly. The paper saw no gain above 2000."""
    minutes: float | None = 10.0
    """Wall-clock budget of the training loop."""
    steps: int | None = None
    """Step budget instead of minutes; repeatable to the bit."""
    seed: int = 0
    """Of all randomness."""
    fast: FastConfig = field(default_factory=FastConfig)
    paper: PaperConfig = field(default_factory=PaperConfig)
    pix2pix: PaperConfig = PIX2PIX

    def __post_init__(self) -> None:
        if self.size % 32 or self.size < 64:
            raise ConfigError(f"size is {self.size}, expected a multiple of 32 from 64 on")
        if self.preset not in get_args(Preset):
            known = ", ".join(get_args(Preset))
            raise ConfigError(f"preset is {self.preset!r}, expected one of {known}")

    @property
    def recipe(self) -> FastConfig | PaperConfig:
        """Settings of the chosen network."""
        if self.preset == "fast":
            return self.fast
        return self.paper if self.preset == "paper" else self.pix2pix


def train_portrait(
    shot: Shot,
    output: Path,
    config: ReenactTraining | None = None,
    consents: Sequence[Consent] = (),
    resume: bool = False,
    progress: Progress = silent,
    *,
    device: torch.device | None = None,
) -> Bundle:
    """Train a portrait of the person in a shot and save it.

    Args:
        shot: the target.
        output: NAME.bundle.
        config: settings.
        consents: the record of the person shown; a procedural actor needs none.
        resume: continue an interrupted training of the same settings.
        progress: called as ("frames" | "train", done, total).
        device: where the networks are trained; None is the CPU.

    Raises:
        ConsentError: nobody agreed to this training, or not any more.
        TrackError: fewer than 16 frames show the face.
        BundleError: the output is taken, or the resume state belongs to another training.
    """
    config = config or ReenactTraining()
    permission = permit_training(shot.clip, "reenact", consents)
    torch.manual_seed(config.seed)
    stop = len(shot.track) * 2 // 3 if config.holdout == "last-third" else len(shot.track)
    seen = np.arange(stop)
    rows = _usable(shot, stop, config.max_frames)
    first = shot.track.start
    crop = portrait_crop(shot.track, shot.clip.size, config.size, config.scale)
    guide = guide_of(shot, seen, crop.crop_from_frame[0], config.size)
    work = output / "resume"
    digest = settings.digest(config, shot.clip.digest)
    bank = fill_bank(shot.clip, crop, rows + first, work / f"{digest[:16]}.crops", progress)
    where = device or torch.device("cpu")
    material = _material(guide, shot, bank, rows, config.fast.keyframes, where)
    task = _task(material, config)
    outcome = train(task, _loop(config), work, digest, resume, progress)
    method = f"reenact.{config.preset}"
    bundle = Bundle(
        method=method,
        networks={
            "generator": weights_of(
                METHODS[method].network, task.generator.config, outcome.weights
            ),
            "gallery": _kept(material),
            "plate": Weights("plate", {}, {"picture": _plate(shot.clip, seen + first)}),
        },
        input=_input(config, guide, shot.clip),
        training=_record(config, shot.clip, stop, outcome),
        license="of the person shown; see people",
        people=permission.people,
        shot=shot,
        preview=bank.crops(np.array([len(bank) // 2]))[0],
    )
    save_bundle(bundle, output)
    shutil.rmtree(work, ignore_errors=True)
    return bundle


def _loop(config: ReenactTraining) -> LoopConfig:
    rates = config.recipe
    return LoopConfig(
        minutes=config.minutes,
        steps=config.steps,
        seed=config.seed,
        learning_rate=rates.learning_rate,
        betas=rates.betas,
        constant=rates.constant,
        average=rates.average,
    )


def _input(config: ReenactTraining, guide: Guide, clip: Clip) -> dict[str, Any]:
    """What the generator expects of its crops."""
    return {
        "size": config.size,
        "crop_from_frame": guide.crop_from_frame.tolist(),
        "frame_size": list(clip.size),
        "color": "srgb",
        "range": [0, 1],
    }


def _record(config: ReenactTraining, clip: Clip, stop: int, outcome: Outcome) -> dict[str, Any]:
    """What a bundle tells of its training."""
    return {
        "frames": [0, stop],
        "clip": clip.digest,
        "steps": outcome.steps,
        "seconds": round(outcome.seconds, 1),
        "losses": list(outcome.losses),
        "settings": settings.to_json(config),
        "seed": config.seed,
    }


def _usable(shot: Shot, stop: int, most: int) -> Ints:
    rows = np.flatnonzero(shot.track.observed[:stop])
    if len(rows) < 16:
        raise TrackError(
            f"{len(rows)} frames of {shot.clip.path.name} show the face, expected at least 16; "
            "use a longer clip, or one in which the face is larger"
        )
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]


def _task(material: Material, config: ReenactTraining) -> FastTask | PaperTask:
    recipe = config.recipe
    return (
        FastTask(material, recipe)
        if isinstance(recipe, FastConfig)
        else PaperTask(material, recipe)
    )


def _material(
    guide: Guide,
    shot: Shot,
    bank: FrameBank,
    rows: Ints,
    keyframes: int,
    device: torch.device,
) -> Material:
    params = select(shot.params, rows)
    picked = pick_keyframes(guide.describe(params), _bodies(guide, params, bank), keyframes)
    pictures = torch.from_numpy(np.array(bank.pixels[picked]))
    gallery = guide.gallery(select(shot.params, rows[picked]), pictures, rows[picked])
    return Material(guide, gallery, bank, shot.params, rows, device)


def _bodies(guide: Guide, params: FaceParams, bank: FrameBank) -> Bodies:
    """Describe all frames of a bank, a few at a time."""
    parts = []
    for start in range(0, len(bank), 64):
        rows = np.arange(start, min(start + 64, len(bank)))
        parts.append(guide.bodies(select(params, rows), bank.crops(rows)))
    return Bodies(
        np.concatenate([part.colors for part in parts]),
        np.concatenate([part.counted for part in parts]),
    )


def _kept(material: Material) -> Weights:
    """The gallery as it rests in a bundle; what the faces in it do is in the shot."""
    times = material.gallery.times
    pictures = material.bank.pixels[np.searchsorted(material.rows, times)]
    tensors = {"pictures": torch.from_numpy(pictures), "times": torch.from_numpy(times)}
    return Weights("gallery", {}, tensors)


def _plate(clip: Clip, times: Ints, count: int = 24) -> torch.Tensor:
    """(3,H,W) uint8 median over frames spread over the clip: the scene behind the motion."""
    chosen = times[np.linspace(0, len(times) - 1, min(count, len(times))).astype(np.int64)]
    with Decoder(clip) as decoder:
        pictures = [_bytes(decoder.read(Window(int(i), int(i) + 1))[0]) for i in chosen]
    return torch.stack(pictures).median(0).values


def _bytes(pictures: torch.Tensor) -> torch.Tensor:
    """[0,1] to uint8, as pictures rest in a bundle."""
    return (pictures * 255 + 0.5).to(torch.uint8)
