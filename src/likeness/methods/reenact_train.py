"""Training a portrait: from a shot to a bundle."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch

from likeness import config as settings
from likeness.condition import pick_keyframes, portrait_crop
from likeness.condition.body import Bodies
from likeness.condition.conditioner import PortraitConditioner, select
from likeness.condition.matte import separate
from likeness.decode import Decoder
from likeness.errors import BundleError, ConfigError, TrackError
from likeness.methods.editors import EditorConfig, make_editor
from likeness.methods.face2face import Face2FaceConfig
from likeness.methods.obama import ObamaConfig
from likeness.methods.protocol import METHODS, Footage
from likeness.methods.reenact import conditioner_of, weights_of
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
from likeness.store import has_state, save_bundle
from likeness.synthesize.portrait import at_size
from likeness.training.data import FrameBank, fill_bank
from likeness.training.loop import LoopConfig
from likeness.training.mattes import cut_out
from likeness.training.phases import Phase, train_phases
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

log = logging.getLogger(__name__)

Preset = Literal["fast", "paper", "pix2pix", "face2face", "obama"]


@dataclass(frozen=True)
class ReenactTraining:
    """Settings of `likeness train reenact`."""

    preset: Preset = "fast"
    """`fast` warps keyframes and suits a CPU; `paper` is the network of Deep Video Portraits,
    `pix2pix` the same on single frames. `face2face` and `obama` learn nothing: they keep skin and
    mouths, and change the target's own frames."""
    size: int = 256
    """Side of the portrait in pixels."""
    early_size: int = 256
    """Side at which a larger portrait of the preset `fast` begins to be learned."""
    early_share: float = 0.6
    """Share of the budget (minutes or steps) that is spent at the early size."""
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
    face2face: Face2FaceConfig = field(default_factory=Face2FaceConfig)
    obama: ObamaConfig = field(default_factory=ObamaConfig)

    def __post_init__(self) -> None:
        if self.size % 32 or self.size < 64:
            raise ConfigError(f"size is {self.size}, expected a multiple of 32 from 64 on")
        if self.early_size % 32 or self.early_size < 64 or not 0 <= self.early_share < 1:
            raise ConfigError(
                f"early_size is {self.early_size} and early_share {self.early_share}, expected a "
                "multiple of 32 from 64 on and a share from 0 to below 1"
            )
        if self.preset not in get_args(Preset):
            known = ", ".join(get_args(Preset))
            raise ConfigError(f"preset is {self.preset!r}, expected one of {known}")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides at which the network is trained, one after the other."""
        # The paper's network has as many levels as its size allows: there is nothing to carry over.
        early = self.preset == "fast" and self.size > self.early_size and self.early_share > 0
        return (self.early_size, self.size) if early else (self.size,)

    @property
    def recipe(self) -> FastConfig | PaperConfig | EditorConfig:
        """Settings of the chosen method."""
        recipes: Mapping[str, FastConfig | PaperConfig | EditorConfig] = {
            "fast": self.fast,
            "paper": self.paper,
            "pix2pix": self.pix2pix,
            "face2face": self.face2face,
            "obama": self.obama,
        }
        return recipes[self.preset]


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
        BundleError: the output is taken, also by an interrupted training that is not to be
            resumed, or the resume state belongs to another training.
    """
    config = config or ReenactTraining()
    permission = permit_training(shot.clip, "reenact", consents)
    torch.manual_seed(config.seed)
    stop = len(shot.track) * 2 // 3 if config.holdout == "last-third" else len(shot.track)
    train_frames = np.arange(stop)
    rows = _usable(shot, stop, config.max_frames)
    first = shot.track.start
    crop = portrait_crop(shot.track, shot.clip.size, config.size, config.scale)
    conditioner = conditioner_of(shot, train_frames, crop.crop_from_frame[0], config.size)
    _warn_of_few_pixels(conditioner, shot.clip)
    run = _Run(output / "resume", settings.digest(config, shot.clip.digest), resume)
    bank = fill_bank(shot.clip, crop, rows + first, run.crops, progress)
    if isinstance(config.recipe, FastConfig | PaperConfig):
        material = _material(conditioner, shot, bank, rows, config, device or torch.device("cpu"))
        networks, learned = _learn(material, shot, train_frames, config, run, progress)
    else:
        footage = Footage(conditioner, select(shot.params, rows), bank, rows)
        networks, learned = make_editor(footage, config.recipe), {}
    plate = Weights("plate", {}, {"picture": _plate(shot.clip, train_frames + first)})
    bundle = Bundle(
        method=f"reenact.{config.preset}",
        networks={**networks, "plate": plate},
        input=_input(config, conditioner, shot.clip),
        training={**_record(config, shot.clip, stop), **learned},
        license="of the person shown; see people",
        people=permission.people,
        shot=shot,
        preview=bank.crops(np.array([len(bank) // 2]))[0],
    )
    save_bundle(bundle, output)
    shutil.rmtree(run.folder, ignore_errors=True)
    return bundle


@dataclass(frozen=True)
class _Run:
    """Where a training keeps its state, and whether it goes on from it."""

    folder: Path
    digest: str
    resume: bool

    def __post_init__(self) -> None:
        if not self.resume and has_state(self.folder):
            raise BundleError(
                f"{self.folder.parent} holds an interrupted training; expected a new name. Go on "
                f"with the training by --resume, or remove {self.folder} to begin anew"
            )

    @property
    def crops(self) -> Path:
        """The file that holds the training's frames."""
        return self.folder / f"{self.digest[:16]}.crops"


def _learn(
    material: Material,
    shot: Shot,
    train_frames: Ints,
    config: ReenactTraining,
    run: _Run,
    progress: Progress,
) -> tuple[dict[str, Weights], dict[str, Any]]:
    """Train a generator; return what the bundle holds of it and tells of its training."""
    shares = (config.early_share, 1 - config.early_share) if len(config.sizes) > 1 else (1.0,)
    phases = [
        Phase(str(side), share, partial(_task, _sized(material, shot, train_frames, side), config))
        for side, share in zip(config.sizes, shares, strict=True)
    ]
    trained = train_phases(phases, _loop(config), run.folder, run.digest, run.resume, progress)
    network = METHODS[f"reenact.{config.preset}"].network
    assert network is not None  # noqa: S101 - only editors have none
    weights = weights_of(network, trained.task.generator.config, trained.outcome.weights)
    outcome = trained.outcome
    learned = {
        "steps": outcome.steps,
        "steps_by_size": dict(trained.steps),
        "seconds": round(outcome.seconds, 1),
        "losses": list(outcome.losses),
    }
    return {"generator": weights, "gallery": _kept(material)}, learned


def _warn_of_few_pixels(conditioner: PortraitConditioner, clip: Clip) -> None:
    scale = float(conditioner.crop_from_frame[0, 0])
    if scale > 1:
        log.warning(
            "the portrait has %d pixels a side, the square around the head in %s only %d: it is "
            "enlarged and can't get sharper than it is; a smaller --size trains faster",
            *(conditioner.side, clip.path.name, round(conditioner.side / scale)),
        )


def _loop(config: ReenactTraining) -> LoopConfig:
    rates = config.recipe
    assert isinstance(rates, FastConfig | PaperConfig)  # noqa: S101 - nothing else is trained
    return LoopConfig(
        minutes=config.minutes,
        steps=config.steps,
        seed=config.seed,
        learning_rate=rates.learning_rate,
        betas=rates.betas,
        constant=rates.constant,
        average=rates.average,
    )


def _input(config: ReenactTraining, conditioner: PortraitConditioner, clip: Clip) -> dict[str, Any]:
    """What the generator expects of its crops."""
    return {
        "size": config.size,
        "crop_from_frame": conditioner.crop_from_frame.tolist(),
        "frame_size": list(clip.size),
        "frame_pixels": round(config.size / float(conditioner.crop_from_frame[0, 0])),
        "color": "srgb",
        "range": [0, 1],
    }


def _record(config: ReenactTraining, clip: Clip, stop: int) -> dict[str, Any]:
    """What a bundle tells of its training, whether there was any or not."""
    return {
        "frames": [0, stop],
        "clip": clip.digest,
        "steps": 0,
        "seconds": 0.0,
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


def _task(
    material: Material, config: ReenactTraining, learned: Mapping[str, torch.Tensor] | None
) -> FastTask | PaperTask:
    """Build the task of one size, its network as far as a smaller size has taught it."""
    recipe = config.recipe
    if isinstance(recipe, PaperConfig):
        return PaperTask(material, recipe)
    assert isinstance(recipe, FastConfig)  # noqa: S101 - nothing else is trained
    task = FastTask(material, recipe)
    if learned is not None:
        own = {"plate": task.generator.plate, "still": task.generator.still}
        task.generator.load_state_dict({**at_size(learned, material.conditioner.side), **own})
    return task


def _material(
    conditioner: PortraitConditioner,
    shot: Shot,
    bank: FrameBank,
    rows: Ints,
    config: ReenactTraining,
    device: torch.device,
) -> Material:
    params = select(shot.params, rows)
    picked = pick_keyframes(
        conditioner.describe(params), config.fast.keyframes, _bodies(conditioner, params, bank)
    )
    pictures, kept = bank.raw(picked), select(params, picked)
    layers = None
    if config.preset == "fast":
        mattes = cut_out(bank, picked) if config.fast.layers else torch.zeros_like(pictures[:, 0])
        layers = separate(pictures, mattes, conditioner.outlines(kept))
    gallery = conditioner.gallery(kept, pictures, rows[picked], layers)
    return Material(conditioner, gallery, bank, shot.params, rows, device, layers)


def _bodies(conditioner: PortraitConditioner, params: FaceParams, bank: FrameBank) -> Bodies:
    """Describe all frames of a bank, a few at a time."""
    parts = []
    for start in range(0, len(bank), 64):
        rows = np.arange(start, min(start + 64, len(bank)))
        parts.append(conditioner.bodies(select(params, rows), bank.crops(rows)))
    return Bodies.joined(parts)


def _sized(material: Material, shot: Shot, train_frames: Ints, side: int) -> Material:
    """Return the same material with all pictures shrunk to `side`."""
    conditioner, bank = material.conditioner, material.bank
    if side == conditioner.side:
        return material
    crop_from_frame = conditioner.crop_from_frame * np.float32(side / conditioner.side)
    smaller, times = (
        conditioner_of(shot, train_frames, crop_from_frame, side),
        material.gallery.times,
    )
    bank = bank.shrunk(side)
    pictures = bank.raw(np.searchsorted(material.rows, times))
    layers = None if material.layers is None else material.layers.shrunk(side)
    gallery = smaller.gallery(select(shot.params, times), pictures, times, layers)
    return replace(material, conditioner=smaller, gallery=gallery, bank=bank, layers=layers)


def _kept(material: Material) -> Weights:
    """The gallery as it rests in a bundle; what the faces in it do is in the shot."""
    times = material.gallery.times
    pictures = material.bank.raw(np.searchsorted(material.rows, times))
    tensors = {"pictures": pictures, "times": torch.from_numpy(times)}
    if material.layers is not None:
        tensors["mattes"] = material.layers.mattes
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
