"""Training a face generator for edits: StyleGAN2 with its encoder, or eigenfaces.

Whatever is trained, its bundle carries generator, encoder where there is one, and directions where
the pictures came with labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likeness import config as settings
from likeness.errors import ConfigError
from likeness.methods.edit.directions import Direction, from_labels
from likeness.methods.edit.generator import (
    DIRECTIONS,
    ENCODER,
    GENERATOR,
    FaceGenerator,
)
from likeness.nets.inversion import Inversion, InversionConfig
from likeness.synthesize.eigenfaces import EigenfacesConfig, learn_eigenfaces
from likeness.synthesize.stylegan import Stylegan, StyleganConfig, channels
from likeness.training.gan import GanConfig, GanTask, Pair
from likeness.training.gan_encoder import EncoderConfig, EncoderTask
from likeness.training.gan_growth import GrowthConfig, gan_phases, latents_of
from likeness.training.loop import LoopConfig, Outcome, train
from likeness.training.phases import train_phases
from likeness.types import Bundle, Floats, Progress, Weights, silent

_BATCH = 32


@dataclass(frozen=True)
class GanTraining:
    """Settings of `likeness train gan`."""

    arch: Literal["stylegan2", "eigenfaces"] = "stylegan2"
    size: int = 64
    """Side of the pictures in pixels, a power of two."""
    base: int = 1024
    """Width of the networks: channels at S pixels are base / S, 128 at most."""
    code: int = 64
    """Numbers of a code, and of the normal vector."""
    components: int = 96
    """Eigenfaces that are kept."""
    minutes: float | None = 60.0
    """Wall-clock budget of the training."""
    steps: int | None = None
    """Step budget instead of minutes; repeatable to the bit."""
    polish: float = 0.15
    """Share of the budget in which the encoder is trained alone, at the end."""
    learning_rate: float = 8e-3
    """Peak of the schedule; weights are of unit size, so that steps are small all the same."""
    average: float = 0.998
    """Decay of the moving average of the weights."""
    alone: float = 0.6
    """Share of the rest in which the generator reconstructs before anybody judges."""
    begin: Literal["encoder", "eigenfaces"] = "eigenfaces"
    """Where pictures get their codes until then (`training.gan_growth`)."""
    seed: int = 0
    gan: GanConfig = field(default_factory=GanConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)

    def __post_init__(self) -> None:
        if self.size < 32 or self.size & (self.size - 1):
            raise ConfigError(f"size is {self.size}, expected a power of two of 32 or more")
        if min(self.base, self.code, self.components) < 1 or self.code < 16:
            raise ConfigError(
                f"base {self.base}, code {self.code}, components {self.components}: expected "
                "numbers of 1 or more, and codes of 16 or more"
            )
        if not 0 <= self.polish < 1 or not 0 <= self.alone <= 1:
            raise ConfigError(f"polish {self.polish}, alone {self.alone}: expected shares of 1")

    def growth(self) -> GrowthConfig:
        """Return the networks and phases of a StyleGAN."""
        widths = channels(self.size, self.base, 128)
        network = StyleganConfig(widths=widths, latent=self.code, code=self.code, depth=2)
        narrow = tuple(max(4, 3 * width // 4) for width in widths[1:])
        return GrowthConfig(
            network=network,
            judge=(widths[0], *narrow),
            encoder=encoder_for(network),
            sizes=(self.size,),
            shares=(1 - self.alone,),
            alone=self.alone,
            begin=self.begin,
            gan=self.gan,
            seed=self.seed,
        )


def encoder_for(network: StyleganConfig) -> InversionConfig:
    """Choose the shape of an encoder for a small StyleGAN: it looks at half the size."""
    top = max(16, network.code // 2)
    widths = (max(16, 3 * network.code // 8), top, max(top, 3 * network.code // 4), network.code)
    side = min(256, max(32, network.size // 2))
    return InversionConfig(side, network.layers, network.code, widths, (1, 1, 1, 1))


@dataclass(frozen=True, eq=False)
class Learned:
    """What a training came to."""

    networks: Mapping[str, Weights]
    record: Mapping[str, Any]
    """Steps, seconds and losses, as JSON values."""


def learn_generator(
    pixels: NDArray[np.uint8],
    config: GanTraining,
    folder: Path,
    digest: str,
    resume: bool = False,
    progress: Progress = silent,
) -> Learned:
    """Train a generator on aligned pictures.

    Args:
        pixels: (M,3,S,S).
        config: settings; S is its size.
        folder: where resume states lie.
        digest: of the pictures.
        resume: go on from the states in `folder`.
        progress: called as ("train" | "encoder", done, total).

    Raises:
        BundleError: a resume state is damaged or belongs to another training.
        ContractError: there are too few pictures, or they have another size.
    """
    key = settings.digest(config, digest)
    if config.arch == "eigenfaces":
        model = learn_eigenfaces(pixels, EigenfacesConfig(config.size, config.components))
        return Learned({GENERATOR: _resting("eigenfaces", model.config, model.state_dict())}, {})
    growth = config.growth()
    loop = LoopConfig(
        minutes=config.minutes,
        steps=config.steps,
        learning_rate=config.learning_rate,
        betas=(0.0, 0.99),
        average=config.average,
        seed=config.seed,
    )
    first = _part(loop, 1 - config.polish)
    done = train_phases(gan_phases(growth, pixels), first, folder, key, resume, progress)

    def tell(_: str, count: int, total: int) -> None:
        progress("encoder", count, total)

    work = (folder / "polish", f"{key}:polish", resume, tell)
    polished = _polished(growth, done.outcome.weights, pixels, config, loop, work)
    last = done.outcome if polished is None else polished
    phases = dict(done.steps) | ({} if polished is None else {"polish": polished.steps})
    record = {
        "steps": sum(phases.values()),
        "phases": phases,
        "seconds": round(done.outcome.seconds + (polished.seconds if polished else 0.0), 1),
        "losses": [round(loss, 4) for loss in done.outcome.losses],
        **_adapted(done.task),
    }
    return Learned(networks_of(growth, last.weights), record)


def networks_of(growth: GrowthConfig, state: Mapping[str, Tensor]) -> dict[str, Weights]:
    """Return generator and encoder of a pair's state as parts of a bundle, in float16."""
    faces = {k[6:]: v for k, v in state.items() if k.startswith("faces.")}
    networks = {GENERATOR: _resting("stylegan", growth.network, faces)}
    if growth.encoder is not None:
        coder = {k[8:]: v for k, v in state.items() if k.startswith("encoder.")}
        networks[ENCODER] = _resting("inversion", growth.encoder, coder)
    return networks


def label_directions(
    generator: FaceGenerator, pixels: NDArray[np.uint8], labels: Mapping[str, Floats]
) -> tuple[Direction, ...]:
    """Find directions from labelled pictures (M,3,S,S), through the generator's encoder.

    Raises:
        ConfigError: the generator has no encoder, or a label tells nothing.
    """
    codes = encoded(generator, pixels)
    return from_labels(codes, labels)


def encoded(generator: FaceGenerator, pixels: NDArray[np.uint8]) -> Floats:
    """Return the codes (M,L,D) of aligned pictures (M,3,S,S).

    Raises:
        ConfigError: the generator has no encoder.
    """
    found = []
    for start in range(0, len(pixels), _BATCH):
        shown = torch.from_numpy(np.array(pixels[start : start + _BATCH])).float() / 255
        codes = generator.encode(shown)
        if codes is None:
            raise ConfigError(
                "the generator has no encoder, so that pictures have no codes; label samples by "
                "their seed instead"
            )
        found.append(codes.cpu().numpy())
    return np.concatenate(found)


def preview_of(generator: FaceGenerator) -> Tensor:
    """Draw four people that don't exist, side by side: (3,S,4S) in [0,1]."""
    codes = generator.sample(4, torch.Generator().manual_seed(1))
    near = torch.lerp(generator.average()[None].to(codes), codes, 0.7)
    with torch.no_grad():
        return torch.cat(list(generator.draw(near).clamp(0, 1)), 2)


def describe(bundle: Bundle) -> dict[str, Any]:
    """Tell what a bundle of a generator holds, for the command line."""
    parts = {name: weights.network for name, weights in bundle.networks.items()}
    names = list(bundle.networks[DIRECTIONS].tensors) if DIRECTIONS in bundle.networks else []
    return {"method": bundle.method, "networks": parts, "directions": names}


def _part(loop: LoopConfig, share: float) -> LoopConfig:
    steps = None if loop.steps is None else round(loop.steps * share)
    minutes = None if loop.minutes is None else loop.minutes * share
    return replace(loop, steps=steps, minutes=minutes)


def _polished(
    growth: GrowthConfig,
    state: Mapping[str, Tensor],
    pixels: NDArray[np.uint8],
    config: GanTraining,
    loop: LoopConfig,
    work: tuple[Path, str, bool, Progress],
) -> Outcome | None:
    """Train the encoder alone; None where there is none, or no time for it."""
    if growth.encoder is None or not config.polish:
        return None
    pair = Pair(Stylegan(growth.network), Inversion(growth.encoder))
    pair.load_state_dict(dict(state))
    part = replace(_part(loop, config.polish), betas=(0.9, 0.99), learning_rate=1e-3)
    latents = None
    if growth.alone and growth.begin == "eigenfaces":
        latents, _ = latents_of(pixels, growth.network.latent)
    task = EncoderTask(pair, pixels, config.encoder, latents)
    return train(task, part, *work)


def _adapted(task: GanTask) -> dict[str, Any]:
    judge = task.discriminator
    if judge is None:
        return {}
    return {
        "augmented": round(float(judge.adaptation.probability), 4),
        "overfitting": round(float(judge.adaptation.signs), 4),
    }


def _resting(name: str, config: object, state: Mapping[str, Tensor]) -> Weights:
    half = {
        k: v.detach().cpu().half() if v.is_floating_point() else v.detach().cpu()
        for k, v in state.items()
    }
    return Weights(name, settings.to_json(config), half)
