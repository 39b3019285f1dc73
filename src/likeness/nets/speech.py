"""What does the mouth do that makes this sound? One LSTM that waits 200 ms before it answers.

Paper: Suwajanakorn, Seitz, Kemelmacher-Shlizerman, Synthesizing Obama: Learning Lip Sync from Audio
(SIGGRAPH 2017), section 4.2: one layer, one direction, 60 units, 20 steps of look-ahead.
Differs from the paper in the answer: modes of our face model's mouth coefficients, measured by how
far they move the lips, in place of PCA of 18 tracked lip points; so that it can drive a portrait.
Input:  features (N,T,28) of `speech_features`, as they are; standardized inside.
Output: (N,T,modes) millimetres per mode; step t tells of the moment t - delay.
At its published size 23 thousand parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from likeness.errors import ConfigError
from likeness.nets.speech_features import CEPSTRA, FEATURES


@dataclass(frozen=True)
class SpeechConfig:
    """Size of the network."""

    modes: int
    """Numbers that it answers per step."""
    coefficients: tuple[str, ...]
    """Names of the M expression coefficients that the modes are combined to."""
    hidden: int = 60
    """Units of the LSTM; 60 in the paper."""
    delay: int = 20
    """Steps of 10 ms that it hears ahead; 20 in the paper."""

    def __post_init__(self) -> None:
        if min(self.modes, self.hidden) < 1 or self.delay < 0:
            raise ConfigError(
                f"modes, hidden and delay are {self.modes}, {self.hidden}, {self.delay}; expected "
                "at least 1, 1 and 0"
            )


class Speech(nn.Module):
    """The network, and what turns its answer into mouth coefficients."""

    center: Tensor
    scale: Tensor
    voice: Tensor
    rest: Tensor
    basis: Tensor

    def __init__(self, config: SpeechConfig) -> None:
        super().__init__()
        self.config = config
        self.recurrent = nn.LSTM(FEATURES, config.hidden, batch_first=True)
        self.answer = nn.Linear(config.hidden, config.modes)
        self.register_buffer("center", torch.zeros(FEATURES))
        self.register_buffer("scale", torch.ones(FEATURES))
        self.register_buffer("voice", torch.zeros(CEPSTRA + 1))
        self.register_buffer("rest", torch.zeros(len(config.coefficients)))
        self.register_buffer("basis", torch.zeros(config.modes, len(config.coefficients)))

    def forward(self, features: Tensor) -> Tensor:
        """Map (N,T,28) to (N,T,modes), late by `delay` steps."""
        heard, _ = self.recurrent((features - self.center) / self.scale)
        return cast(Tensor, self.answer(heard))

    @torch.inference_mode()
    def mouth(self, features: Tensor) -> Tensor:
        """Return (T,M) coefficients, in step with (T,28) features; their end is held."""
        delay = self.config.delay
        held = torch.cat([features, features[-1:].expand(delay, -1)])
        modes = self(held[None])[0, delay:]
        answered: Tensor = self.rest + modes @ self.basis
        return answered
