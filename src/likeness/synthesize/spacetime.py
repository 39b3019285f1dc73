"""The space-time renderer: a window of guide images in, one picture of the portrait out.

Paper: Kim et al., Deep Video Portraits (ACM TOG 37(4), 2018), section 5; layout of the layers as in
the public code of Wen et al., Photorealistic Audio-driven Video Portraits (TVCG 2020).
Differs: input and output are [0,1] (mapped to [-1,1] inside); size, window and width are settings;
black, not -1, is what unpainted guide pixels hold; batch norm can be folded away for inference.
Input:  maps (N, window*channels, size, size) in [0,1], oldest frame first, current frame last.
Output: rgb (N,3,size,size) in [0,1], float32, the current frame.
At 11 frames of 9 channels, 256x256: 140.95 M parameters with refinement, 54.51 M without.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format, fusion

from likeness.errors import ConfigError
from likeness.nets.packing import Narrow
from likeness.types import check

_SLOPE = 0.2
_INIT_STD = 0.02
_DROPOUT_LEVELS = 3


@dataclass(frozen=True, slots=True)
class SpacetimeConfig:
    """Shape of the space-time network.

    The innermost level is one pixel, whose batch statistics need two samples: train with batches of
    two or more, or with fewer `levels`.
    """

    size: int = 256
    """Side of the square picture in pixels; a multiple of 2**levels."""
    window: int = 11
    """Guide frames that the network sees at once; 1 is a plain image-to-image network."""
    channels: int = 9
    """Guide channels per frame: color render, correspondence and gaze image."""
    width: int = 64
    """Channels of the outermost level; inner ones double up to eight times this."""
    levels: int = 0
    """Halvings of the picture; 0 takes as many as bring it down to one pixel (8 at 256)."""
    refine: bool = True
    """Two 3x3 convolutions before each doubling; most of the parameters and of the time."""
    dropout: float = 0.5
    """Share of values dropped while training on the three deepest levels of the decoder."""

    def __post_init__(self) -> None:
        if self.size < 2 or self.size % 2**self.depth:
            raise ConfigError(
                f"size is {self.size}, expected a multiple of {2**self.depth} for "
                f"{self.depth} levels; choose a power of two or set levels"
            )
        if min(self.window, self.channels, self.width) < 1:
            raise ConfigError(
                f"window, channels and width are {self.window}, {self.channels} and {self.width}, "
                "expected at least 1 each"
            )
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}, expected 0 <= dropout < 1")

    @property
    def depth(self) -> int:
        """Number of halvings."""
        return self.levels or self.size.bit_length() - 1

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels after each halving, outermost first."""
        return tuple(self.width * min(2**level, 8) for level in range(self.depth))


def _refinement(width: int, dropout: float) -> list[nn.Module]:
    """Two steps of conv 3x3, batch norm, dropout where the level has it, ReLU."""
    layers: list[nn.Module] = []
    for _ in range(2):
        layers += [nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)]
        if dropout:
            layers.append(nn.Dropout(dropout))
        layers.append(nn.ReLU(inplace=True))
    return layers


def _down(inside: int, outside: int, *, first: bool, last: bool) -> nn.Sequential:
    layers: list[nn.Module] = [] if first else [nn.LeakyReLU(_SLOPE)]
    layers.append(nn.Conv2d(inside, outside, 4, stride=2, padding=1, bias=False))
    if not (first or last):
        layers.append(nn.BatchNorm2d(outside))
    return nn.Sequential(*layers)


def _up(inside: int, outside: int, *, refine: bool, dropout: float, last: bool) -> nn.Sequential:
    layers: list[nn.Module] = [nn.ReLU()]
    if refine:
        layers += _refinement(inside, dropout)
    layers.append(nn.ConvTranspose2d(inside, outside, 4, stride=2, padding=1, bias=False))
    if not last:
        layers.append(nn.BatchNorm2d(outside))
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


def initialize(module: nn.Module) -> None:
    """Draw convolution weights from N(0, 0.02), norm scales from N(1, 0.02), biases 0."""
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(part.weight, 0.0, _INIT_STD)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.weight, 1.0, _INIT_STD)
            nn.init.zeros_(part.bias)


class Spacetime(nn.Module):
    """U-Net with skip connections that refines the joined tensor before every doubling."""

    def __init__(self, config: SpacetimeConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SpacetimeConfig()
        widths, depth = config.widths, config.depth
        self.downs = nn.ModuleList()
        inside = config.window * config.channels
        for level, outside in enumerate(widths):
            self.downs.append(_down(inside, outside, first=level == 0, last=level == depth - 1))
            inside = outside
        self.ups = nn.ModuleList()
        for level in reversed(range(depth)):
            self.ups.append(
                _up(
                    widths[level] * (1 if level == depth - 1 else 2),
                    widths[level - 1] if level else 3,
                    refine=config.refine,
                    dropout=config.dropout if depth - level <= _DROPOUT_LEVELS else 0.0,
                    last=level == 0,
                )
            )
        initialize(self)
        convert_conv2d_weight_memory_format(self, torch.channels_last)

    def forward(self, maps: Tensor) -> Tensor:
        """Render the last frame of each window.

        Args:
            maps: (N, window*channels, size, size) in [0,1], as `stack_window` makes them.

        Returns:
            (N,3,size,size) RGB in [0,1], float32 also under autocast.

        Raises:
            ContractError: the maps have another shape.
        """
        side, planes = self.config.size, self.config.window * self.config.channels
        check(
            tuple(maps.shape[1:]) == (planes, side, side),
            f"maps have shape {tuple(maps.shape)}, expected (N, {planes}, {side}, {side})",
        )
        x = (maps * 2 - 1).contiguous(memory_format=torch.channels_last)
        skips: list[Tensor] = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
        skips.pop()
        for up in self.ups:
            x = up(x)
            if skips:
                x = torch.cat([skips.pop(), x], dim=1)
        # tanh to [-1,1], then to [0,1]; sigmoid(2x) is the same curve.
        return torch.sigmoid(2 * x.float())

    def folded(self, dtype: torch.dtype = torch.float32) -> Spacetime:
        """Return a copy for inference, with every batch norm folded into the convolution before it.

        Same answer up to rounding, fewer passes over memory; the copy cannot be trained or loaded
        into from a bundle. torch.bfloat16 halves the memory and is several times faster on
        processors that compute in it; input and output stay float32.
        """
        folded = deepcopy(self).eval()
        for branch in (folded.downs, folded.ups):
            for index, layers in enumerate(branch):
                branch[index] = _fold(layers, dtype)
        return folded.requires_grad_(False)


def _fold(layers: nn.Module, dtype: torch.dtype) -> nn.Sequential:
    """Merge (transposed) convolution and batch norm pairs, and drop the dropouts."""
    kept: list[nn.Module] = []
    for layer in layers.children():
        before = kept[-1] if kept else None
        if isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            kept[-1] = fusion.fuse_conv_bn_eval(before, layer)
        elif isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.ConvTranspose2d):
            kept[-1] = fusion.fuse_conv_bn_eval(before, layer, transpose=True)
        elif not isinstance(layer, nn.Dropout):
            kept.append(layer)
    folded = nn.Sequential(*kept)
    convert_conv2d_weight_memory_format(folded, torch.channels_last)
    for index, layer in enumerate(folded) if dtype is not torch.float32 else ():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            folded[index] = Narrow(layer, dtype, dtype)
    return folded


def stack_window(maps: Tensor, window: int) -> Tensor:
    """Join each frame with the ones before it along the channels, oldest first.

    Args:
        maps: (window - 1 + n, C, h, w): the n wanted frames after their window - 1 predecessors;
            at the start of a clip repeat its first frame (`lead_in`).
        window: frames per stack, 1 or more.

    Returns:
        (n, window*C, h, w).

    Raises:
        ContractError: there are fewer frames than one window.
    """
    check(
        1 <= window <= len(maps),
        f"{len(maps)} guide frames cannot fill a window of {window}; prepend earlier frames, or "
        "copies of the first one at the start of a clip",
    )
    count = len(maps) - window + 1
    return torch.cat([maps[age : age + count] for age in range(window)], dim=1)


def lead_in(maps: Tensor, window: int) -> Tensor:
    """Prepend window - 1 copies of the first of the (T,C,h,w) maps: the start of a clip."""
    return torch.cat([maps[:1].expand(window - 1, *maps.shape[1:]), maps])
