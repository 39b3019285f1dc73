"""Settings of `likeness train reenact`, and what a bundle tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from likeness import config as settings
from likeness.errors import BundleError, ConfigError
from likeness.methods.table import presets
from likeness.store import has_state
from likeness.training.footage import Budget, Footage
from likeness.types import Progress, Shot


@dataclass(frozen=True)
class ReenactTraining:
    """Settings of `likeness train reenact`."""

    preset: str = "fast"
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
    method: Any = None
    """Settings of the preset, a dataclass; None takes its defaults."""

    def __post_init__(self) -> None:
        if self.size % 32 or self.size < 64:
            raise ConfigError(f"size is {self.size}, expected a multiple of 32 from 64 on")
        if self.early_size % 32 or self.early_size < 64 or not 0 <= self.early_share < 1:
            raise ConfigError(
                f"early_size is {self.early_size} and early_share {self.early_share}, expected a "
                "multiple of 32 from 64 on and a share from 0 to below 1"
            )
        known = presets("reenact")
        if self.preset not in known:
            raise ConfigError(f"preset is {self.preset!r}{settings.nearest(self.preset, known)}")
        if self.method is None:
            object.__setattr__(self, "method", known[self.preset].settings)

    @property
    def early(self) -> tuple[int, float] | None:
        """Side at which training begins and its share; None where it begins at its full size."""
        smaller = self.preset == "fast" and self.size > self.early_size and self.early_share > 0
        return (self.early_size, self.early_share) if smaller else None


def resolve_training(table: Mapping[str, Any], flags: Mapping[str, Any]) -> ReenactTraining:
    """Resolve the settings of a training.

    Args:
        table: [train] of a settings file; a table in it by a preset's name holds that preset's own
            settings.
        flags: given on the command line; None is not given.

    Raises:
        ConfigError: a key or preset is unknown, or a value does not fit.
    """
    known = presets("reenact")
    common = {key: value for key, value in table.items() if key not in known}
    if "method" in common:
        raise ConfigError(f"[train] holds 'method'; expected a table [train.{next(iter(known))}]")
    chosen = settings.resolve(ReenactTraining, common, flags, where="train")
    given = table.get(chosen.preset)
    if given is None:
        return chosen
    own = known[chosen.preset].settings
    merged = settings.resolve(type(own), {**settings.to_json(own), **given}, where="train")
    return replace(chosen, method=merged)


def budget_of(
    shot: Shot,
    output: Path,
    config: ReenactTraining,
    resume: bool,
    progress: Progress,
    device: torch.device,
) -> Budget:
    """Find out where a training keeps its state, and whether it goes on from it.

    Raises:
        BundleError: an interrupted training lies there that is not to be resumed.
    """
    folder = output / "resume"
    # Asked in any case: it also puts right what a killed run left behind.
    if has_state(folder) and not resume:
        raise BundleError(
            f"{output} holds an interrupted training; expected a new name. Go on with the training "
            f"by --resume, or remove {folder} to begin anew"
        )
    digest = settings.digest(config, shot.clip.digest)
    limits = (config.minutes, config.steps, config.seed)
    return Budget(*limits, folder, digest, resume, device, config.early, progress)


def input_of(footage: Footage) -> dict[str, Any]:
    """Tell what a generator expects of its crops, as JSON values."""
    conditioner = footage.conditioner
    return {
        "size": conditioner.side,
        "crop_from_frame": conditioner.crop_from_frame.tolist(),
        "frame_size": list(footage.shot.clip.size),
        "frame_pixels": round(conditioner.side / float(conditioner.crop_from_frame[0, 0])),
        "color": "srgb",
        "range": [0, 1],
    }


def record_of(footage: Footage, config: ReenactTraining) -> dict[str, Any]:
    """Tell of a training, whether anything is learned or not, as JSON values."""
    return {
        "frames": [0, len(footage.train_frames)],
        "clip": footage.shot.clip.digest,
        "steps": 0,
        "seconds": 0.0,
        "settings": settings.to_json(config),
        "seed": config.seed,
    }
