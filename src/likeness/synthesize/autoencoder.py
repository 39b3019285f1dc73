"""One-to-one face swapping: one encoder for two people, and what belongs to each of them alone.

Paper: Perov et al., DeepFaceLab (2020; arXiv 2005.05535), sections 3.2 and 3.3: DF shares encoder
and inter-layer and has a decoder per person; LIAE shares encoder and decoder and mixes two
inter-layers. Options, as DeepFaceLab's SAEHD trainer names them: `u` normalizes the code, `d` draws
at twice the decoder's resolution, `t` is deeper, `c` replaces leaky ReLU by x cos(x).
Differs: RGB in and out, and PyTorch's pixel shuffle; official weights are reordered once when they
are imported.
Input: rgb (N,3,S,S) in [0,1], an aligned face. Output: `Face`, rgb (N,3,S,S) and mask (N,1,S,S).
DF with u and d at 128 pixels, ae 256, e 64, d 64, mask 22: 54.47 M parameters; LIAE 82.38 M.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import ConfigError
from likeness.nets.folding import folded
from likeness.types import check

_EPSILON = 1e-6

Activation = Callable[[Tensor, float], Tensor]
"""(x, slope) to the same shape."""


@dataclass(frozen=True, slots=True)
class AutoencoderConfig:
    """Shape of a one-to-one network; the letters are SAEHD's."""

    layout: Literal["df", "liae"] = "df"
    """Whether each person has a decoder (DF) or an inter-layer of their own (LIAE)."""
    size: int = 128
    """Side of the face picture in pixels; a multiple of 16, or 32 with `doubled`."""
    normalized: bool = False
    """Option u: the code is divided by its root mean square."""
    doubled: bool = False
    """Option d: each decoded pixel becomes four."""
    deep: bool = False
    """Option t: one more halving and doubling, with residual blocks in the encoder."""
    cosine: bool = False
    """Option c: x cos(x) as the activation."""
    inter: int = 256
    """Numbers between encoder and decoder (ae_dims)."""
    encoder: int = 64
    """Channels of the encoder's first layer (e_dims)."""
    decoder: int = 64
    """Channels of the decoder's last layer, halved (d_dims)."""
    mask: int = 22
    """The same for the branch that draws the mask (d_mask_dims)."""

    def __post_init__(self) -> None:
        if self.layout not in ("df", "liae"):
            raise ConfigError(f"layout is {self.layout!r}, expected df or liae")
        multiple = 32 if self.doubled else 16
        if self.size < multiple or self.size % multiple:
            raise ConfigError(f"size is {self.size}, expected a multiple of {multiple}")
        if min(self.inter, self.encoder, self.decoder, self.mask) < 1:
            raise ConfigError(
                f"inter, encoder, decoder and mask are {self.inter}, {self.encoder}, "
                f"{self.decoder} and {self.mask}, expected at least 1 each"
            )

    @property
    def side(self) -> int:
        """Side of the inter-layer's smallest map in pixels."""
        return self.size // (32 if self.doubled else 16)

    @property
    def halvings(self) -> int:
        """Halvings in the encoder."""
        return 5 if self.deep else 4

    @property
    def flat(self) -> int:
        """Numbers that the encoder answers."""
        side = -((-self.size) >> self.halvings)
        return 8 * self.encoder * side * side

    @property
    def inter_width(self) -> int:
        """Channels of one inter-layer's map."""
        return self.inter * (1 if self.layout == "df" else 2)

    @property
    def steps(self) -> tuple[int, ...]:
        """Multiples of a branch's width after each doubling."""
        return (8, 8, 4, 2) if self.deep else (8, 4, 2)


class Face(NamedTuple):
    """A decoded face."""

    rgb: Tensor
    """(N,3,S,S) in [0,1]."""
    mask: Tensor
    """(N,1,S,S) in [0,1]: where the face is."""


def leaky(x: Tensor, slope: float) -> Tensor:
    """Leaky ReLU."""
    return functional.leaky_relu(x, slope)


def cosine(x: Tensor, slope: float) -> Tensor:
    """Option c: x cos(x), whatever the slope."""
    return x * torch.cos(x)


class Halving(nn.Module):
    """Convolution 5x5 of stride 2 and activation."""

    def __init__(self, inside: int, outside: int, activation: Activation) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, 5, stride=2, padding=2)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,inside,h,w) to (N,outside,h/2,w/2), rounded up."""
        return self.activation(self.conv(x), 0.1)


class Doubling(nn.Module):
    """Convolution 3x3 to four times the channels, activation, and four channels become a square."""

    def __init__(self, inside: int, outside: int, activation: Activation) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, 4 * outside, 3, padding=1)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,inside,h,w) to (N,outside,2h,2w)."""
        return functional.pixel_shuffle(self.activation(self.conv(x), 0.1), 2)


class Residual(nn.Module):
    """act(x + conv(act(conv(x))))."""

    def __init__(self, width: int, activation: Activation) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,width,h,w) to the same shape."""
        return self.activation(x + self.second(self.activation(self.first(x), 0.2)), 0.2)


class Encoder(nn.Module):
    """From a face to numbers: halvings, with a residual block after the first and last if deep."""

    def __init__(self, config: AutoencoderConfig, activation: Activation) -> None:
        super().__init__()
        e = config.encoder
        widths = [e, 2 * e, 4 * e, 8 * e, 8 * e][: config.halvings]
        layers: list[nn.Module] = []
        inside = 3
        for level, width in enumerate(widths):
            layers.append(Halving(inside, width, activation))
            if config.deep and level in (0, config.halvings - 1):
                layers.append(Residual(width, activation))
            inside = width
        self.layers = nn.Sequential(*layers)
        self.normalized = config.normalized

    def forward(self, rgb: Tensor) -> Tensor:
        """Map (N,3,S,S) in [0,1] to (N,`config.flat`)."""
        flat: Tensor = self.layers(rgb).flatten(1)
        if self.normalized:
            flat = flat * torch.rsqrt(flat.square().mean(1, keepdim=True) + _EPSILON)
        return flat


class Inter(nn.Module):
    """From the encoder's numbers through few (`config.inter`) back to a small map."""

    def __init__(self, config: AutoencoderConfig, activation: Activation) -> None:
        super().__init__()
        self.shape = (config.inter_width, config.side, config.side)
        self.narrow = nn.Linear(config.flat, config.inter)
        self.widen = nn.Linear(config.inter, config.inter_width * config.side**2)
        self.up = (
            nn.Identity()
            if config.deep
            else Doubling(config.inter_width, config.inter_width, activation)
        )

    def forward(self, flat: Tensor) -> Tensor:
        """Map (N,`config.flat`) to (N,`config.inter_width`,s,s)."""
        answer: Tensor = self.up(self.widen(self.narrow(flat)).reshape(-1, *self.shape))
        return answer


class Decoder(nn.Module):
    """From a small map to a face and its mask, on two branches that share nothing."""

    def __init__(self, config: AutoencoderConfig, activation: Activation) -> None:
        super().__init__()
        inside = config.inter_width * (1 if config.layout == "df" else 2)
        layers: list[nn.Module] = []
        width = inside
        for step in config.steps:
            layers.append(Doubling(width, step * config.decoder, activation))
            width = step * config.decoder
            layers.append(Residual(width, activation))
        self.layers = nn.Sequential(*layers)
        # With d, four pictures that are woven into one of twice the size.
        kernels = (1, 3, 3, 3) if config.doubled else (1,)
        self.colors = nn.ModuleList(nn.Conv2d(width, 3, k, padding=k // 2) for k in kernels)
        steps = [step * config.mask for step in config.steps]
        steps += [config.mask] if config.doubled else []
        branch = [
            Doubling(before, after, activation) for before, after in pairwise([inside, *steps])
        ]
        self.mask_layers = nn.Sequential(*branch)
        self.mask = nn.Conv2d(steps[-1], 1, 1)

    def forward(self, code: Tensor) -> Face:
        """Map a code (N,C,s,s) to a face."""
        x = self.layers(code)
        rgb = torch.stack([color(x) for color in self.colors], 2).flatten(1, 2)
        if len(self.colors) > 1:
            rgb = functional.pixel_shuffle(rgb, 2)
        mask = self.mask(self.mask_layers(code))
        return Face(torch.sigmoid(rgb), torch.sigmoid(mask))


def initialize(module: nn.Module) -> None:
    """Begin a layer's weights: He for convolutions, Glorot for the others, zero biases."""
    # PyTorch's own start is so small that both people begin as one gray code.
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight)
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


class Autoencoder(nn.Module):
    """The network; see the head of this file.

    DF has `inter`, `decoder_source` and `decoder_target`; LIAE has `inter_shared` (AB),
    `inter_target` (B) and `decoder`.
    """

    def __init__(self, config: AutoencoderConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or AutoencoderConfig()
        activation = cosine if config.cosine else leaky
        self.encoder = Encoder(config, activation)
        if config.layout == "df":
            self.inter = Inter(config, activation)
            self.decoder_source = Decoder(config, activation)
            self.decoder_target = Decoder(config, activation)
        else:
            self.inter_shared = Inter(config, activation)
            self.inter_target = Inter(config, activation)
            self.decoder = Decoder(config, activation)
        self.apply(initialize)

    def forward(self, rgb: Tensor) -> Face:
        """Swap: give the person in (N,3,S,S) the face of the source, with the same expression."""
        return self.decode_source(self.source_code(self.encode(rgb)))

    def reconstruct_target(self, rgb: Tensor) -> Face:
        """Draw the target's own face again; training, and the mask of what is there now."""
        return self.decode_target(self.target_code(self.encode(rgb)))

    def encode(self, rgb: Tensor) -> Tensor:
        """Map (N,3,S,S) in [0,1] to the encoder's numbers (N,`config.flat`).

        Raises:
            ContractError: the pictures have another size.
        """
        side = self.config.size
        check(
            tuple(rgb.shape[1:]) == (3, side, side),
            f"faces have shape {tuple(rgb.shape)}, expected (N, 3, {side}, {side})",
        )
        flat: Tensor = self.encoder(rgb)
        return flat

    def numbers(self, flat: Tensor) -> Tensor:
        """Return the few numbers (N,`config.inter`) that both people's faces pass through."""
        inter = self.inter if self.config.layout == "df" else self.inter_shared
        few: Tensor = inter.narrow(flat)
        return few

    def source_code(self, flat: Tensor) -> Tensor:
        """Return the code (N,C,s,s) that is decoded to the source's face."""
        if self.config.layout == "df":
            code: Tensor = self.inter(flat)
            return code
        shared = self.inter_shared(flat)
        return torch.cat([shared, shared], 1)

    def target_code(self, flat: Tensor) -> Tensor:
        """Return the code (N,C,s,s) that is decoded to the target's face."""
        if self.config.layout == "df":
            code: Tensor = self.inter(flat)
            return code
        return torch.cat([self.inter_target(flat), self.inter_shared(flat)], 1)

    def draw(self, flat: Tensor, person: int) -> Face:
        """Draw from the encoder's numbers (N,`config.flat`) as the source (0) or the target (1)."""
        if person == 0:
            return self.decode_source(self.source_code(flat))
        return self.decode_target(self.target_code(flat))

    def decode_source(self, code: Tensor) -> Face:
        """Decode as the source."""
        decoder = self.decoder_source if self.config.layout == "df" else self.decoder
        face: Face = decoder(code)
        return face

    def decode_target(self, code: Tensor) -> Face:
        """Decode as the target."""
        decoder = self.decoder_target if self.config.layout == "df" else self.decoder
        face: Face = decoder(code)
        return face

    def folded(self, dtype: torch.dtype = torch.float32) -> Autoencoder:
        """Return a copy for inference: see `nets.folding`; there is no norm to merge."""
        return folded(self, {}, dtype)
