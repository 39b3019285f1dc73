"""How long a clip will take, told before it begins."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from likeness.methods.edit.generator import open_generator
from likeness.methods.edit.losses import PictureLoss
from likeness.methods.edit.stages import StagesConfig
from likeness.methods.edit.stitch import stitch_one, zones
from likeness.methods.edit.tune import with_state
from likeness.types import Bundle

_TRIALS = 3


@dataclass(frozen=True)
class Estimate:
    """Seconds of the expensive stages, as one step of each takes now."""

    tune: float
    stitch: float

    @property
    def seconds(self) -> float:
        """All of them."""
        return self.tune + self.stitch


def estimate(
    bundle: Bundle, frames: int, config: StagesConfig, device: torch.device | str = "cpu"
) -> Estimate:
    """Measure one step of tuning and of stitching, and multiply.

    Args:
        bundle: of a face generator.
        frames: of the clip that show the face.
        config: settings.
        device: where the generator runs.

    Raises:
        BundleError: the bundle is none of a face generator.
    """
    generator = open_generator(bundle, device)
    side, batch = generator.size, min(config.tune.batch, max(frames, 1))
    codes = generator.average()[None].repeat(batch, 1, 1)
    shown = torch.full((batch, 3, side, side), 0.5, device=codes.device)
    copy = with_state(generator, generator.module.state_dict())
    copy.module.requires_grad_(True)
    optimizer = torch.optim.Adam(copy.module.parameters(), lr=0.0)
    loss = PictureLoss(config.loss)

    def tune() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(copy.draw(codes), shown).mean().backward()
        optimizer.step()

    zone = zones(torch.ones(1, 1, side, side, device=codes.device), config.stitch)

    def stitch() -> None:
        stitch_one(generator, codes[:1], shown[:1], zone, config.stitch)

    each = _fastest(stitch) if config.stitch.steps else 0.0
    return Estimate(_fastest(tune) * config.tune.steps(frames), each * frames)


def _fastest(work: Callable[[], None]) -> float:
    times = []
    for _ in range(_TRIALS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)
