"""A generator that begins with small pictures: what it has learned at 32 pixels serves at 64.

Paper: Karras et al., Progressive Growing of GANs (ICLR 2018), for the order of sizes. StyleGAN2's
color layers are added up over all sizes, so nothing has to be faded in: a new size begins as the
old picture, doubled, its color layer at zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from likeness.errors import ConfigError
from likeness.nets.equalized import EqualizedLinear
from likeness.nets.inversion import Inversion, InversionConfig
from likeness.synthesize.eigenfaces import EigenfacesConfig, learn_eigenfaces
from likeness.synthesize.stylegan import Stylegan, StyleganConfig
from likeness.synthesize.stylegan_discriminator import (
    StyleganDiscriminator,
    StyleganDiscriminatorConfig,
)
from likeness.training.gan import GanConfig, GanTask, Pair
from likeness.training.phases import Phase

_MOST, _BATCH = 2048, 256


@dataclass(frozen=True)
class GrowthConfig:
    """Networks, and the sizes at which they are trained one after another."""

    network: StyleganConfig = field(
        default_factory=lambda: StyleganConfig(
            widths=(128, 128, 64, 32, 16), latent=64, code=64, depth=2
        )
    )
    judge: tuple[int, ...] | None = (128, 96, 48, 24, 12)
    """Widths of the discriminator; None takes the generator's."""
    encoder: InversionConfig | None = field(
        default_factory=lambda: InversionConfig(
            size=32, layers=10, code=64, widths=(24, 32, 48, 64), depths=(1, 1, 1, 1)
        )
    )
    """None trains a generator alone."""
    sizes: tuple[int, ...] = (64,)
    """Sides in pixels, the last the network's."""
    shares: tuple[float, ...] = (0.4,)
    """Of the budget, for each size."""
    alone: float = 0.6
    """Share of the budget in which generator and encoder learn to reconstruct before anybody
    judges, at the first size; 0 without an encoder."""
    begin: Literal["encoder", "eigenfaces"] = "eigenfaces"
    """Where pictures get their codes while nobody judges: from an encoder that learns along, or
    from eigenfaces, which are there at once."""
    gan: GanConfig = field(default_factory=GanConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        sides = [8 << level for level in range(len(self.network.widths) - 1)]
        if (
            len(self.sizes) != len(self.shares)
            or not self.sizes
            or self.sizes[-1] != self.network.size
            or list(self.sizes) != sorted(set(self.sizes))
            or not set(self.sizes) <= {4, *sides}
            or (self.alone > 0 and self.encoder is None and self.begin == "encoder")
        ):
            raise ConfigError(
                f"sizes {self.sizes} with shares {self.shares}, {self.alone} alone: expected "
                f"growing powers of two up to the network's {self.network.size}, a share for each, "
                "and none alone without an encoder"
            )


def gan_phases(config: GrowthConfig, pixels: NDArray[np.uint8]) -> list[Phase[GanTask]]:
    """Return one phase per size, for `phases.train_phases`.

    Args:
        config: networks and sizes.
        pixels: (M,3,S,S) at the last size; smaller ones are means of it.
    """
    begun: list[GanTask] = []
    latents, deviations = None, None
    if config.alone and config.begin == "eigenfaces":
        latents, deviations = latents_of(pixels, config.network.latent)

    def phase(name: str, size: int, share: float, judged: bool) -> Phase[GanTask]:
        def begin(learned: Mapping[str, Tensor] | None) -> GanTask:
            torch.manual_seed(config.seed + size)
            task = _task(config, size, pixels, judged, latents)
            if deviations is not None and learned is None:
                # What matters most in a picture shall also be most of its code.
                with torch.no_grad():
                    cast(EqualizedLinear, task.faces.mapping.layers[0]).weight.mul_(deviations)
            if learned is not None and begun:
                _take_over(task, learned, begun[-1])
            begun.append(task)
            return task

        return Phase(name, share, begin)

    phases = [
        phase(str(size), size, share, True)
        for size, share in zip(config.sizes, config.shares, strict=True)
    ]
    if config.alone:
        first = config.sizes[0]
        phases.insert(0, phase(f"{first} alone", first, config.alone, False))
    return phases


def latents_of(pixels: NDArray[np.uint8], count: int) -> tuple[Tensor, Tensor]:
    """Find a normal vector for each picture, its coefficients in eigenfaces.

    Args:
        pixels: (M,3,S,S); they and their mirrored twins are learned from, 4096 at most.
        count: Z.

    Returns:
        (2,M,Z) of pictures and of mirrored ones, each number of deviation one; and (Z,) how much a
        deviation of each changes a picture, root mean square one.
    """
    rows = np.unique(np.linspace(0, len(pixels) - 1, min(len(pixels), _MOST)).astype(int))
    chosen = np.array(pixels[rows])
    both = np.concatenate([chosen, chosen[..., ::-1]])
    model = learn_eigenfaces(both, EigenfacesConfig(pixels.shape[2], count))
    found = np.empty((2, len(pixels), count), np.float32)
    with torch.no_grad():
        for start in range(0, len(pixels), _BATCH):
            some = torch.from_numpy(np.array(pixels[start : start + _BATCH])).float() / 255
            for turned, shown in enumerate((some, some.flip(3))):
                found[turned, start : start + len(some)] = model.project(shown)[:, 0].numpy()
        lengths = model.faces.norm(dim=1)
    return torch.from_numpy(found), lengths / lengths.square().mean().sqrt()


def _task(
    config: GrowthConfig, size: int, pixels: NDArray[np.uint8], judged: bool, latents: Tensor | None
) -> GanTask:
    levels = (size // 2).bit_length() - 1
    network = replace(config.network, widths=config.network.widths[:levels])
    widths = (config.judge or config.network.widths)[:levels]
    return GanTask(
        Pair(Stylegan(network), None if config.encoder is None else Inversion(config.encoder)),
        StyleganDiscriminator(StyleganDiscriminatorConfig(widths)) if judged else None,
        pixels,
        config.gan,
        latents,
    )


def _take_over(task: GanTask, learned: Mapping[str, Tensor], before: GanTask) -> None:
    """Begin with what a smaller generator has learned, and its discriminator with it."""
    whole = task.generator.state_dict()
    task.generator.load_state_dict({**whole, **learned})
    with torch.no_grad():
        for block in task.faces.synthesis.levels()[len(before.faces.config.widths) :]:
            block.color.weight.zero_()
    if task.discriminator is None or before.discriminator is None:
        return
    grown = len(task.discriminator.network.blocks) - len(before.discriminator.network.blocks)
    judge = {}
    for name, value in before.discriminator.state_dict().items():
        if name.startswith("network.color."):
            continue
        if name.startswith("network.blocks."):
            _, _, index, rest = name.split(".", 3)
            name = f"network.blocks.{int(index) + grown}.{rest}"
        judge[name] = value
    task.discriminator.load_state_dict({**task.discriminator.state_dict(), **judge})
