"""Patch discriminators: is each patch of a picture real, given what the generator was told?

Paper: Isola et al., Image-to-Image Translation with Conditional Adversarial Networks (CVPR 2017),
as Deep Video Portraits uses it; spectral norm after Miyato et al. (ICLR 2018).
Differs: one class for both; `LIGHT` folds pixels into channels first (pixel-unshuffle) and replaces
batch norm by spectral norm, so that it works with small batches and costs little on a CPU.
Input:  image (N,3,h,w) in [0,1], condition (N,C,h,w) in [0,1] or None when C is 0.
Output: logits (N,1,h',w'), positive for real; `features` also gives what each layer saw.
At 99+3 channels the paper's has 2.867 M parameters and answers 30x30 patches of a 256x256 image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format
from torch.nn.utils.parametrizations import spectral_norm

from likeness.errors import ConfigError
from likeness.synthesize.spacetime import initialize
from likeness.types import check

_SLOPE = 0.2


@dataclass(frozen=True, slots=True)
class PatchConfig:
    """Shape of a patch discriminator."""

    channels: int = 99
    """Channels of the condition; 0 judges the picture alone."""
    width: int = 64
    """Channels of the first layer; they double per layer up to eight times this."""
    halvings: int = 3
    """Layers of stride 2; with two more of stride 1 they set the size of a patch."""
    unshuffle: int = 1
    """Side of the pixel block that is folded into channels before the first layer."""
    norm: Literal["batch", "spectral", "none"] = "batch"
    """Batch norm on the middle layers, spectral norm on all of them, or nothing."""

    def __post_init__(self) -> None:
        if self.channels < 0 or min(self.width, self.halvings, self.unshuffle) < 1:
            raise ConfigError(
                f"channels {self.channels}, width {self.width}, halvings {self.halvings}, "
                f"unshuffle {self.unshuffle}: expected channels >= 0 and the others >= 1"
            )
        if self.norm not in ("batch", "spectral", "none"):
            raise ConfigError(f"norm is {self.norm!r}, expected batch, spectral or none")


PAPER = PatchConfig()
LIGHT = PatchConfig(channels=0, width=32, halvings=2, unshuffle=2, norm="spectral")


class PatchDiscriminator(nn.Module):
    """Convolutions 4x4: `halvings` of stride 2, one of stride 1, and one to a single logit."""

    def __init__(self, config: PatchConfig = PAPER) -> None:
        super().__init__()
        self.config = config
        inside = (3 + config.channels) * config.unshuffle**2
        layers: list[nn.Module] = []
        for index in range(config.halvings + 1):
            outside = config.width * min(2**index, 8)
            stride = 2 if index < config.halvings else 1
            batch_norm = config.norm == "batch" and index > 0
            convolution = nn.Conv2d(inside, outside, 4, stride, padding=1, bias=not batch_norm)
            block: list[nn.Module] = [convolution]
            if batch_norm:
                block.append(nn.BatchNorm2d(outside))
            layers.append(nn.Sequential(*block, nn.LeakyReLU(_SLOPE)))
            inside = outside
        layers.append(nn.Conv2d(inside, 1, 4, 1, padding=1))
        self.layers = nn.ModuleList(layers)
        initialize(self)
        convert_conv2d_weight_memory_format(self, torch.channels_last)
        if config.norm == "spectral":
            for part in list(self.modules()):
                if isinstance(part, nn.Conv2d):
                    spectral_norm(part)

    def forward(self, image: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the logits (N,1,h',w') of `features`."""
        return self.features(image, condition)[-1]

    def features(self, image: Tensor, condition: Tensor | None = None) -> tuple[Tensor, ...]:
        """Judge patches and show the layers that led there, for feature matching.

        Args:
            image: (N,3,h,w) RGB in [0,1]; sides divisible by `unshuffle`.
            condition: (N,C,h,w) in [0,1]; None when the config has no channels.

        Returns:
            Activations of every layer, shallow to deep; the last are float32 logits (N,1,h',w').

        Raises:
            ContractError: the condition is missing, unwanted or of another size.
        """
        found = 0 if condition is None else condition.shape[1]
        check(
            found == self.config.channels,
            f"the condition has {found} channels, expected {self.config.channels}",
        )
        x = image if condition is None else torch.cat([condition, image], dim=1)
        x = nn.functional.pixel_unshuffle(x * 2 - 1, self.config.unshuffle)
        x = x.contiguous(memory_format=torch.channels_last)
        answers: list[Tensor] = []
        for layer in self.layers:
            x = layer(x)
            answers.append(x)
        return (*answers[:-1], answers[-1].float())
