"""Pivotal tuning: one generator that draws a whole clip from the codes of its frames.

Papers: Roich et al., Pivotal Tuning for Latent-based Editing of Real Images (TOG 2022), equation 1;
Tzaban et al., Stitch it in Time, section 4.3, which tunes over all frames together: codes (pivots)
stand still, all weights of the generator move. One generator for all frames is what keeps them
consistent: it has one identity to learn.
Differs: batches of a few frames drawn at random instead of one frame after another; gradients are
clipped by the common loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from likeness.errors import ConfigError
from likeness.methods.edit.generator import FaceGenerator
from likeness.methods.edit.losses import PictureLoss
from likeness.training.loop import LoopConfig, Losses, train
from likeness.types import Progress, silent


@dataclass(frozen=True)
class TuneConfig:
    """How long and how fast the generator is tuned."""

    epochs: float = 80.0
    """Times that each frame is seen on average; 0 does not tune."""
    most: int = 4000
    """Steps at most, however long the clip is."""
    batch: int = 4
    """Frames of a step; the paper has 1."""
    learning_rate: float = 3e-4
    """Of Adam; the paper has 3e-5 for a generator of 1024 pixels and ten times the steps."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 0 or min(self.most, self.batch) < 1 or self.learning_rate <= 0:
            raise ConfigError(
                f"epochs {self.epochs}, most {self.most}, batch {self.batch}, learning_rate "
                f"{self.learning_rate}; expected positive numbers"
            )

    def steps(self, frames: int) -> int:
        """Return how many steps a clip of so many frames takes."""
        return min(self.most, round(self.epochs * frames / self.batch))


@dataclass(frozen=True, eq=False)
class _Frames:
    pictures: Tensor
    codes: Tensor


class _TuneTask:
    """A `loop.Task`: draw the frames from their pivots."""

    discriminator: nn.Module | None = None

    def __init__(
        self,
        generator: FaceGenerator,
        pixels: NDArray[np.uint8],
        codes: NDArray[np.float32],
        batch: int,
        loss: PictureLoss,
    ) -> None:
        self.faces, self.pixels, self.codes = generator, pixels, codes
        self.batch, self.loss = batch, loss
        self.generator: nn.Module = generator.module

    def sample(self, random: np.random.Generator) -> _Frames:
        rows = np.sort(random.choice(len(self.pixels), min(self.batch, len(self.pixels)), False))
        pictures = torch.from_numpy(np.array(self.pixels[rows])).float() / 255
        return _Frames(pictures, torch.from_numpy(np.array(self.codes[rows])))

    def losses(self, sample: _Frames, progress: float) -> Losses:
        del progress
        device = next(self.generator.parameters()).device
        drawn = self.faces.draw(sample.codes.to(device))
        return Losses(self.loss(drawn, sample.pictures.to(device)).mean())


def tuned(
    generator: FaceGenerator,
    pixels: NDArray[np.uint8],
    codes: NDArray[np.float32],
    config: TuneConfig,
    loss: PictureLoss,
    *,
    folder: Path | None = None,
    digest: str = "",
    progress: Progress = silent,
) -> Mapping[str, Tensor]:
    """Tune a copy of a generator and return its state.

    Args:
        generator: is not changed.
        pixels: (M,3,S,S) crops.
        codes: (M,L,D) pivots.
        config: settings.
        loss: how unlike two pictures are.
        folder: where the state of an interrupted tuning lies; None keeps none.
        digest: of everything that decides the answer.
        progress: called as ("tune", done, total) in steps.

    Raises:
        BundleError: the state in the folder is damaged or of another tuning.
    """
    steps = config.steps(len(pixels))
    copy = with_state(generator, generator.module.state_dict())
    if not steps:
        return copy.module.state_dict()
    copy.module.requires_grad_(True)
    loop = LoopConfig(
        minutes=None,
        steps=steps,
        learning_rate=config.learning_rate,
        betas=(0.9, 0.999),
        constant=True,
        average=0.0,
        seed=config.seed,
        save_minutes=0.5,
    )
    task = _TuneTask(copy, pixels, codes, config.batch, loss)

    def tell(_: str, done: int, total: int) -> None:
        progress("tune", done, total)

    return train(task, loop, folder, digest, resume=True, progress=tell).weights


def with_state(generator: FaceGenerator, state: Mapping[str, Any]) -> FaceGenerator:
    """Return the generator with a network of its own that holds `state`, ready to be changed."""
    module = deepcopy(generator.module)
    module.load_state_dict(state)
    copy: FaceGenerator = replace(generator, module=module)  # type: ignore[type-var]
    return copy
