"""StyleGAN2's generator: from a normal vector over W, W+ and S to a picture of a face.

Papers: Karras et al., StyleGAN (CVPR 2019) and StyleGAN2 (CVPR 2020; skip generator, section 4.1);
weights also of StyleGAN2-ADA (NeurIPS 2020), which has the same generator.
Differs: what is random is an argument (noise pictures, generators); pictures are [0,1].
Input: z (N,Z) normal, or W (N,D), W+ (N,L,D), S; and noise, one picture per convolution or none.
Output: rgb (N,3,S,S) float32, unclipped near [0,1].
At 1024 pixels: 30.37 M parameters, 18 codes, 26 styles, 17 noise pictures.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import ConfigError
from likeness.nets.equalized import EqualizedLinear
from likeness.nets.latents import Styles, W, WPlus
from likeness.synthesize.stylegan_filters import double
from likeness.synthesize.stylegan_layers import GAIN, SLOPE, ColorLayer, StyledConvolution
from likeness.types import check

Noise = tuple[Tensor, ...] | None
"""One picture (N or 1,1,side,side) per convolution, coarse first; None adds no noise."""

_MAPPING_RATE = 0.01
_EPSILON = 1e-8


def channels(size: int, base: int = 32768, most: int = 512) -> tuple[int, ...]:
    """Return the channels at 4, 8, ..., `size` pixels: base / side, `most` at most.

    Published generators have base 32768; 16384 (channel multiplier 1) and 8192 are lighter.

    >>> channels(64, base=4096)
    (512, 512, 256, 128, 64)
    """
    if size < 4 or size & (size - 1):
        raise ConfigError(f"size is {size}, expected a power of two of 4 or more")
    sides = (4 << level for level in range(size.bit_length() - 2))
    return tuple(min(base // side, most) for side in sides)


@dataclass(frozen=True, slots=True)
class StyleganConfig:
    """Shape of a generator."""

    widths: tuple[int, ...] = (512, 512, 512, 512, 512, 256, 128, 64, 32)
    """Channels at 4, 8, ... pixels; their number sets the size. See `channels`."""
    latent: int = 512
    """Z: numbers of the normal vector."""
    code: int = 512
    """D: numbers of a code."""
    depth: int = 8
    """Layers of the mapping network."""
    clamp: float | None = None
    """Bound on features; StyleGAN2-ADA's networks have 256, for float16, and almost never reach
    it."""

    def __post_init__(self) -> None:
        if not self.widths or min(*self.widths, self.latent, self.code, self.depth) < 1:
            raise ConfigError(
                f"widths {self.widths}, latent {self.latent}, code {self.code}, depth "
                f"{self.depth}: expected at least one width, and numbers of 1 or more"
            )

    @property
    def size(self) -> int:
        """Side of the picture in pixels."""
        return 2 << len(self.widths)

    @property
    def layers(self) -> int:
        """L: codes of a point in W+."""
        return 2 * len(self.widths)


class Mapping(nn.Module):
    """From the normal vector z to W; keeps the average of W, where the most average face is."""

    average: Tensor

    def __init__(self, config: StyleganConfig) -> None:
        super().__init__()
        self.latent = config.latent
        inputs = [config.latent] + [config.code] * (config.depth - 1)
        self.layers = nn.ModuleList(
            EqualizedLinear(width, config.code, rate=_MAPPING_RATE) for width in inputs
        )
        self.register_buffer("average", torch.zeros(config.code))

    def forward(self, z: Tensor) -> W:
        """Map (N,Z) to W; only the direction of z counts."""
        x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + _EPSILON)
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), SLOPE) * GAIN
        return W(x)

    @torch.no_grad()
    def measure_average(self, generator: torch.Generator, count: int = 4096) -> Tensor:
        """Return the mean (D,) of W over `count` draws of z."""
        shape = (count, self.latent)
        z = torch.randn(shape, generator=generator, device=generator.device)
        mean: Tensor = self(z.to(self.average)).code.mean(0)
        return mean


class Block(nn.Module):
    """The layers of one size: an up-sampling convolution (not at 4 pixels), another, and color."""

    def __init__(self, inside: int | None, outside: int, code: int, side: int) -> None:
        super().__init__()
        if inside is not None:
            self.up = StyledConvolution(inside, outside, code, side, doubles=True)
        self.conv = StyledConvolution(outside, outside, code, side, doubles=False)
        self.color = ColorLayer(outside, code)

    def convolutions(self) -> list[StyledConvolution]:
        """Return the one or two convolutions, in their order."""
        return [self.up, self.conv] if hasattr(self, "up") else [self.conv]


class Synthesis(nn.Module):
    """From codes to a picture that is summed up over all sizes."""

    def __init__(self, config: StyleganConfig) -> None:
        super().__init__()
        self.config = config
        self.constant = nn.Parameter(torch.randn(1, config.widths[0], 4, 4))
        before = [None, *config.widths[:-1]]
        self.blocks = nn.ModuleList(
            Block(inside, outside, config.code, 4 << level)
            for level, (inside, outside) in enumerate(zip(before, config.widths, strict=True))
        )

    def levels(self) -> list[Block]:
        """Return the layers of each size, smallest first."""
        return cast(list[Block], list(self.blocks))

    def styles(self, codes: WPlus) -> Styles:
        """Map W+ to S.

        A color layer shares its code with the convolution after it, so L codes serve all layers.

        Raises:
            ContractError: the number of codes is not L.
        """
        found, layers = codes.codes.shape[1], self.config.layers
        check(
            found == layers,
            f"{found} codes per picture, expected {layers} for {self.config.size} pixels",
        )
        vectors, row = [], 0
        for block in self.levels():
            inside: list[StyledConvolution | ColorLayer] = [*block.convolutions(), block.color]
            for layer in inside:
                vectors.append(layer.style(codes.codes[:, row]))
                row += 1
            row -= 1
        return Styles(tuple(vectors))

    def fixed_noise(self) -> Noise:
        """Return the pictures that are stored with the weights: the same wrinkles each time."""
        return tuple(layer.noise for block in self.levels() for layer in block.convolutions())

    def random_noise(self, count: int, generator: torch.Generator) -> Noise:
        """Draw fresh pictures for `count` samples; on the generator's device."""
        return tuple(
            torch.randn(count, *layer.noise.shape[1:], generator=generator, device=generator.device)
            for block in self.levels()
            for layer in block.convolutions()
        )

    def forward(self, styles: Styles, noise: Noise, begin: Tensor | None = None) -> Tensor:
        """Draw N pictures.

        Args:
            styles: S.
            noise: from `fixed_noise`, `random_noise`, or None.
            begin: (N,C,4,4) features in the constant's place.

        Returns:
            (N,3,S,S) float32, unclipped near [0,1].
        """
        convolutions = 2 * len(self.blocks) - 1
        check(
            len(styles.vectors) == convolutions + len(self.blocks),
            f"S has {len(styles.vectors)} layers, expected {convolutions + len(self.blocks)}",
        )
        check(
            noise is None or len(noise) == convolutions,
            f"{len(noise or ())} noise pictures, expected {convolutions}",
        )
        given = iter(styles.vectors)
        pictures = iter(noise if noise is not None else [None] * convolutions)
        clamp, count = self.config.clamp, len(styles.vectors[0])
        rgb = styles.vectors[0].new_zeros(count, 3, 2, 2)
        x = self.constant.expand(count, -1, -1, -1) if begin is None else begin
        # Pixels first, channels last: what processors without tensor cores convolve fastest.
        x = x.contiguous(memory_format=torch.channels_last)
        for block in self.levels():
            for layer in block.convolutions():
                x = layer(x, next(given), next(pictures), clamp)
            rgb = double(rgb) + block.color(x, next(given), clamp)
        return (rgb + 1) / 2


class Stylegan(nn.Module):
    """The generator: `mapping` and `synthesis`."""

    def __init__(self, config: StyleganConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or StyleganConfig()
        self.mapping = Mapping(config)
        self.synthesis = Synthesis(config)

    def forward(self, z: Tensor, noise: Noise, psi: float = 1.0) -> Tensor:
        """Draw N pictures from normal vectors z (N,Z), truncated by psi."""
        return self.draw(self.mapping(z).truncated(self.mapping.average, psi), noise)

    def draw(self, point: W | WPlus | Styles, noise: Noise) -> Tensor:
        """Draw N pictures (N,3,S,S), unclipped near [0,1], from a point in W, W+ or S."""
        if isinstance(point, W):
            point = point.broadcast(self.config.layers)
        if isinstance(point, WPlus):
            point = self.synthesis.styles(point)
        answer: Tensor = self.synthesis(point, noise)
        return answer

    def folded(self, dtype: torch.dtype = torch.float32) -> Stylegan:
        """Return a copy for inference whose features are `dtype`.

        Codes, styles, weights and the picture that is summed up stay float32. torch.bfloat16 halves
        the memory that features take and is faster on processors that compute in it.
        """
        folded = deepcopy(self).eval().requires_grad_(False)
        constant = folded.synthesis.constant
        constant.data = constant.data.to(dtype)
        for block in folded.synthesis.levels():
            for layer in block.convolutions():
                layer.freeze()
        return folded
