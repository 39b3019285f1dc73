"""Inversion: the code from which the generator draws about what a crop shows, one per frame.

Paper: Tzaban et al., Stitch it in Time, section 4.2: an encoder, because it is a smooth function of
its picture, and smooth pictures then have smooth codes. Codes found by optimization jump from frame
to frame; they stand in only where a generator has no encoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from likeness.errors import ConfigError
from likeness.methods.edit.generator import FaceGenerator
from likeness.methods.edit.losses import PictureLoss


@dataclass(frozen=True)
class InvertConfig:
    """How codes are found without an encoder, and how far they are improved with one."""

    steps: int = 0
    """Steps of optimization after the encoder; 0 keeps its answer, as the paper does."""
    alone: int = 150
    """Steps where there is no encoder, from the average face."""
    learning_rate: float = 0.05

    def __post_init__(self) -> None:
        if min(self.steps, self.alone) < 0 or self.learning_rate <= 0:
            raise ConfigError(
                f"steps {self.steps}, alone {self.alone}, learning_rate {self.learning_rate}; "
                "expected steps of 0 or more and a positive rate"
            )


def invert(
    generator: FaceGenerator, pictures: Tensor, config: InvertConfig, loss: PictureLoss
) -> Tensor:
    """Find the codes of pictures, each by itself.

    Args:
        generator: its module is not changed.
        pictures: (N,3,S,S) aligned crops in [0,1].
        config: settings.
        loss: how unlike two pictures are.

    Returns:
        (N,L,D), without gradient.
    """
    # One by one: the answer for a frame must not depend on its neighbors in a batch.
    return torch.cat([_invert_one(generator, one[None], config, loss) for one in pictures])


def _invert_one(
    generator: FaceGenerator, picture: Tensor, config: InvertConfig, loss: PictureLoss
) -> Tensor:
    found = generator.encode(picture)
    steps = config.alone if found is None else config.steps
    if found is None:
        found = generator.average()[None].to(picture)
    if not steps:
        return found.detach()
    code = found.detach().clone().requires_grad_(True)
    optimizer = torch.optim.Adam([code], lr=config.learning_rate)
    for step in range(steps):
        # The last quarter comes to rest.
        rate = min(1.0, 4 * (1 - step / steps))
        optimizer.param_groups[0]["lr"] = config.learning_rate * rate
        optimizer.zero_grad()
        with torch.enable_grad():
            error = loss(generator.draw(code), picture).sum()
            error.backward()
        optimizer.step()
    return code.detach()
