"""The comb: one encoder for any number of people and a decoder for each, grown level by level.

Paper: Naruniec, Helminger, Schroers and Weber, High-Resolution Neural Face Swapping for Visual
Effects (EGSR 2020); widths and kernels after a public proof of concept, which follows Karras et
al., Progressive Growing of GANs (ICLR 2018). Level i works on pictures of 4 * 2^i pixels, from 4 to
1024; a new level is blended in over the one below, on the way in and on the way out.
Differs: a fourth channel of each answer draws the mask; widths scale with `width`; the level of 256
pixels has the regular 64 channels inside, where the proof of concept has 32.
Input: rgb (N,3,S,S) in [0,1], an aligned face. Output: `Face`, rgb (N,3,S,S) and mask (N,1,S,S).
At 1024 pixels and a width of 512 the encoder has 23.08 M parameters and a decoder 23.08 M.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import ConfigError
from likeness.nets.folding import folded
from likeness.synthesize.autoencoder import Face, initialize
from likeness.types import check

_SLOPE = 0.2
SMALLEST = 4
"""Side of the pictures of level 0."""
_NARROWING = 3
"""Level above which widths halve with each level."""


@dataclass(frozen=True, slots=True)
class CombConfig:
    """Shape of a comb."""

    size: int = 256
    """Side of the face picture in pixels: 8 to 1024, a power of two."""
    people: int = 2
    """How many decoders; 0 is the source, 1 the target."""
    width: int = 512
    """Channels of the levels up to 32 pixels and numbers of the code; a multiple of 32."""

    def __post_init__(self) -> None:
        if self.size not in (8, 16, 32, 64, 128, 256, 512, 1024):
            raise ConfigError(f"size is {self.size}, expected a power of two from 8 to 1024")
        if self.people < 2 or self.width < 32 or self.width % 32:
            raise ConfigError(
                f"people is {self.people} and width {self.width}, expected 2 or more people and a "
                "multiple of 32"
            )

    @property
    def top(self) -> int:
        """The level of the whole picture."""
        return (self.size // SMALLEST).bit_length() - 1

    def channels(self, level: int) -> int:
        """Channels of pictures of a level."""
        return self.width >> max(0, level - _NARROWING)


def _conv(inside: int, outside: int, kernel: int, padding: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inside, outside, kernel, padding=padding), nn.LeakyReLU(_SLOPE))


class CombEncoder(nn.Module):
    """From a picture of any level to the code."""

    def __init__(self, config: CombConfig) -> None:
        super().__init__()
        widths = [config.channels(level) for level in range(config.top + 1)]
        self.from_rgb = nn.ModuleList(_conv(3, width, 1, 0) for width in widths)
        first = nn.Sequential(_conv(widths[0], widths[0], 3, 1), _conv(widths[0], widths[0], 4, 0))
        self.levels = nn.ModuleList([first])
        for outside, inside in pairwise(widths):
            block = (_conv(inside, inside, 3, 1), _conv(inside, outside, 3, 1), nn.MaxPool2d(2))
            self.levels.append(nn.Sequential(*block))

    def forward(self, rgb: Tensor, level: int, share: float) -> Tensor:
        """Map (N,3,4*2^level,4*2^level) to the code (N,C,1,1).

        Args:
            rgb: pictures.
            level: where to begin.
            share: of this level; the rest comes from the level below.
        """
        x = self.from_rgb[level](rgb)
        for index in range(level, -1, -1):
            x = self.levels[index](x)
            if index == level and share < 1 and index > 0:
                small = self.from_rgb[index - 1](functional.avg_pool2d(rgb, 2))
                x = share * x + (1 - share) * small
        answer: Tensor = x
        return answer


class CombDecoder(nn.Module):
    """From the code to a face of any level."""

    def __init__(self, config: CombConfig) -> None:
        super().__init__()
        widths = [config.channels(level) for level in range(config.top + 1)]
        self.to_rgb = nn.ModuleList(nn.Conv2d(width, 4, 1) for width in widths)
        first = nn.Sequential(_conv(widths[0], widths[0], 4, 3), _conv(widths[0], widths[0], 3, 1))
        self.levels = nn.ModuleList([first])
        for inside, outside in pairwise(widths):
            double = nn.Upsample(scale_factor=2, mode="nearest")
            block = (double, _conv(inside, outside, 3, 1), _conv(outside, outside, 3, 1))
            self.levels.append(nn.Sequential(*block))

    def forward(self, code: Tensor, level: int, share: float) -> Face:
        """Map the code (N,C,1,1) to a face of 4*2^level pixels; arguments as the encoder's."""
        x = before = code
        for index in range(level + 1):
            before, x = x, self.levels[index](x)
        answer = torch.sigmoid(self.to_rgb[level](x))
        if share < 1 and level > 0:
            small = torch.sigmoid(self.to_rgb[level - 1](before))
            small = functional.interpolate(small, scale_factor=2.0, mode="nearest")
            answer = share * answer + (1 - share) * small
        return Face(answer[:, :3], answer[:, 3:])


class Comb(nn.Module):
    """The network; see the head of this file.

    `grow` says at which level it works; a new one works at the top.
    """

    def __init__(self, config: CombConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or CombConfig()
        self.encoder = CombEncoder(config)
        self.decoders = nn.ModuleList(CombDecoder(config) for _ in range(config.people))
        self.apply(initialize)
        self.level, self.share = config.top, 1.0

    @property
    def size(self) -> int:
        """Side of the pictures at the level at which it works."""
        return SMALLEST << self.level

    def grow(self, level: int, share: float = 1.0) -> None:
        """Work at a level from now on, of which `share` in [0,1] counts beside the one below.

        Raises:
            ContractError: there is no such level.
        """
        check(0 <= level <= self.config.top, f"level {level}, expected 0 to {self.config.top}")
        self.level, self.share = level, share

    def forward(self, rgb: Tensor) -> Face:
        """Swap: give the person in (N,3,S,S) the face of the source, with the same expression."""
        return self.draw(self.encode(rgb), 0)

    def reconstruct_target(self, rgb: Tensor) -> Face:
        """Draw the target's own face again."""
        return self.draw(self.encode(rgb), 1)

    def encode(self, rgb: Tensor) -> Tensor:
        """Map (N,3,S,S) in [0,1] to the code (N,C,1,1).

        Raises:
            ContractError: the pictures have another size than the level's.
        """
        side = self.size
        check(
            tuple(rgb.shape[1:]) == (3, side, side),
            f"faces have shape {tuple(rgb.shape)}, expected (N, 3, {side}, {side})",
        )
        code: Tensor = self.encoder(rgb, self.level, self.share)
        return code

    def draw(self, code: Tensor, person: int) -> Face:
        """Decode as one of the people, counted from 0."""
        face: Face = self.decoders[person](code, self.level, self.share)
        return face

    def folded(self, dtype: torch.dtype = torch.float32) -> Comb:
        """Return a copy for inference: see `nets.folding`; there is no norm to merge."""
        return folded(self, {}, dtype)
