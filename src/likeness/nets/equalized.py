"""Linear layers with an equalized learning rate: small steps whatever the number of inputs.

Paper: Karras et al., Progressive Growing of GANs (ICLR 2018), section 4.1. The stored weight is
drawn from N(0, 1) / rate and multiplied by rate / sqrt(inputs) each time it is used, so that
optimizers which normalize their steps move all layers at the same relative speed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class EqualizedLinear(nn.Module):
    """y = rate (W x / sqrt(inputs) + b)."""

    def __init__(self, inputs: int, outputs: int, *, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.gain, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        """Map (...,inputs) to (...,outputs)."""
        bias = self.bias if self.rate == 1.0 else self.bias * self.rate
        return functional.linear(x, self.weight * self.gain, bias)
