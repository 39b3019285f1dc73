"""What a method learns one person from, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from likeness.condition.conditioner import PortraitConditioner, select
from likeness.training.bank import CropBank
from likeness.types import FaceParams, Ints, Progress, Shot, Weights, silent


@dataclass(frozen=True, eq=False)
class Budget:
    """How long a training may take, and where it keeps what it needs to go on."""

    minutes: float | None
    """Wall-clock budget of the loop; ignored where `steps` is given."""
    steps: int | None
    """Step budget; repeatable to the bit."""
    seed: int
    folder: Path
    """For resume states."""
    digest: str
    """Of all settings and data: a state of another training is not resumed."""
    resume: bool
    device: torch.device
    early: tuple[int, float] | None = None
    """Side at which a larger portrait begins to be learned, and the share of the budget for it."""
    progress: Progress = silent


@dataclass(frozen=True, eq=False)
class Footage:
    """The frames of a target's clip that a method may learn from."""

    shot: Shot
    train_frames: Ints
    """(K,) frames of the shot that training may know of."""
    rows: Ints
    """(M,) which frames of the shot the bank holds."""
    conditioner: PortraitConditioner
    """The target's mesh and crop."""
    bank: CropBank
    """Crops of the M frames."""
    budget: Budget

    @property
    def params(self) -> FaceParams:
        """What the face does in the M frames."""
        return select(self.shot.params, self.rows)


@dataclass(frozen=True, eq=False)
class Learned:
    """What a bundle holds of a training and tells of it."""

    networks: Mapping[str, Weights]
    record: Mapping[str, Any] = field(default_factory=dict)
    """Steps, seconds, losses, as JSON values."""


def weights_of(network: str, module_config: Any, tensors: Mapping[str, torch.Tensor]) -> Weights:
    """Pack a network for a bundle.

    Args:
        network: key of the table of networks.
        module_config: its settings, a dataclass.
        tensors: its state.
    """
    packed = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return Weights(network, asdict(module_config), packed)
