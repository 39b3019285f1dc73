"""What judges one-to-one networks: patches of a face at two scales, and whose code is whose.

Program: DeepFaceLab's SAEHD trainer (arXiv 2005.05535, section 3.3; no equations there). The patch
discriminator is a small U-Net that answers for patches and for every pixel (the idea of Schonfeld
et al., A U-Net Based Discriminator for GANs, CVPR 2020); the code discriminator tells whom a
picture shows from the layer between encoder and decoder ("true face").
Input:  image (N,3,S,S) in [0,1]; code (N,C,s,s).
Output: logits, positive for real, or for the target's code.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import ConfigError
from likeness.synthesize.autoencoder import initialize

_DEEPEST = 9
_WIDEST = 512


@dataclass(frozen=True, slots=True)
class UNetPatchConfig:
    """Shape of the patch discriminator."""

    patch: int = 16
    """Side in pixels of what one answer of the small map sees; the nearest possible is taken."""
    width: int = 16
    """Channels of the first layer; they double per layer, up to 512."""

    def __post_init__(self) -> None:
        if self.patch < 3 or self.width < 1:
            raise ConfigError(
                f"patch is {self.patch} and width {self.width}, expected 3 and 1 or more"
            )


def field(strides: tuple[int, ...]) -> int:
    """Return the receptive field of 3x3 convolutions one after another."""
    size, step = 1, 1
    for stride in strides:
        size += 2 * step
        step *= stride
    return size


@lru_cache(maxsize=64)
def strides_for(patch: int) -> tuple[int, ...]:
    """Choose strides of 3x3 convolutions whose field is nearest to `patch`.

    The first is 2, the others 1 or 2; of equally near ones the fewest layers, then the largest sum.
    """
    stacks = ((2, *rest) for count in range(_DEEPEST) for rest in product((1, 2), repeat=count))
    return min(stacks, key=lambda s: (abs(field(s) - patch), len(s), -sum(s)))


class UNetPatchDiscriminator(nn.Module):
    """Judge patches and pixels; see the head of this file."""

    def __init__(self, config: UNetPatchConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or UNetPatchConfig()
        strides = strides_for(config.patch)
        widths = [min(config.width << index, _WIDEST) for index in range(len(strides) + 1)]
        self.first = nn.Conv2d(3, widths[0], 1)
        self.down = nn.ModuleList(
            nn.Conv2d(inside, outside, 3, stride=stride, padding=1)
            for (inside, outside), stride in zip(pairwise(widths), strides, strict=True)
        )
        self.patches = nn.Conv2d(widths[-1], 1, 1)
        self.middle = nn.Conv2d(widths[-1], widths[-1], 1)
        self.up = nn.ModuleList()
        for index in range(len(strides) - 1, -1, -1):
            deepest = index == len(strides) - 1
            inside, stride = widths[index + 1] * (1 if deepest else 2), strides[index]
            self.up.append(
                nn.ConvTranspose2d(
                    inside, widths[index], 3, stride=stride, padding=1, output_padding=stride - 1
                )
            )
        self.pixels = nn.Conv2d(2 * widths[0], 1, 1)
        self.apply(initialize)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of patches (N,1,h',w') and of pixels (N,1,S,S).

        Raises:
            RuntimeError: the side isn't divisible by the product of the strides.
        """
        x = functional.leaky_relu(self.first(image), 0.2)
        passed = []
        for down in self.down:
            passed.append(x)
            x = functional.leaky_relu(down(x), 0.2)
        patches = self.patches(x)
        x = functional.leaky_relu(self.middle(x), 0.2)
        for up in self.up:
            x = torch.cat([passed.pop(), functional.leaky_relu(up(x), 0.2)], 1)
        return patches.float(), self.pixels(x).float()


class CodeDiscriminator(nn.Module):
    """Tell from a code (N,C,s,s) whom it shows: convolutions of stride 2 down to one logit."""

    def __init__(self, channels: int, side: int, width: int = 256) -> None:
        """Build it.

        Args:
            channels: of the code.
            side: of the code's map.
            width: of the first layer; they double per layer, up to eight times.
        """
        super().__init__()
        layers: list[nn.Module] = []
        inside = channels
        for index in range(1 + side // 8):
            outside, kernel = width * min(2**index, 8), 4 if index == 0 else 3
            layers.append(nn.Conv2d(inside, outside, kernel, stride=2, padding=kernel // 2))
            layers.append(nn.LeakyReLU(0.1))
            inside = outside
        self.layers = nn.Sequential(*layers, nn.Conv2d(inside, 1, 1))
        self.apply(initialize)

    def forward(self, code: Tensor) -> Tensor:
        """Return logits (N,1,h,w), positive for the target's."""
        logits: Tensor = self.layers(code)
        return logits.float()
