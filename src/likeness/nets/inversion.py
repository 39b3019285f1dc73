"""From a picture of a face to W+: the code from which a generator draws about the same picture.

Paper: Tov et al., Designing an Encoder for StyleGAN Image Manipulation (e4e, SIGGRAPH 2021),
section 5; the trunk is ArcFace's IR-SE50 (Deng 2019; squeeze and excitation after Hu 2018), the
heads are pSp's (Richardson 2021). One head answers a code for all layers, the others what to add to
it per layer, so that the codes stay close to W, where edits work.
Differs: pictures are [0,1], and the average code is part of the network.
Input: rgb (N,3,S,S) in [0,1], aligned as the generator's pictures are; S is 256 in what was
published. Output: W+ (N,L,D).
At 256 pixels and 18 codes: 267.14 M parameters; 14 codes: 209.45 M.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import BundleError, ConfigError
from likeness.nets.checkpoints import Shapes, State, indices, renamed, shape_at, shapes_of
from likeness.nets.equalized import EqualizedLinear
from likeness.nets.folding import folded
from likeness.nets.latents import WPlus
from likeness.nets.layers import ConvNorm, stretch
from likeness.types import check

_log = logging.getLogger(__name__)

COARSE, MIDDLE = 3, 7
"""Codes below the first are read from the coarsest map, below the second from the middle one."""

_REDUCTION = 16
_HEAD_SLOPE = 0.01


@dataclass(frozen=True, slots=True)
class InversionConfig:
    """Shape of an e4e encoder."""

    size: int = 256
    """Side of the picture in pixels; a power of two of 32 or more."""
    layers: int = 18
    """L: codes that the generator takes."""
    code: int = 512
    """D: numbers of a code, and channels of the three maps that heads read."""
    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels of the four stages, each at half the size of the one before."""
    depths: tuple[int, ...] = (3, 4, 14, 3)
    """Residual units of the four stages."""

    def __post_init__(self) -> None:
        if self.size < 32 or self.size & (self.size - 1):
            raise ConfigError(f"size is {self.size}, expected a power of two of 32 or more")
        if len(self.widths) != 4 or len(self.depths) != 4 or min(*self.widths, *self.depths) < 1:
            raise ConfigError(
                f"widths {self.widths} and depths {self.depths}, expected four numbers each of 1 "
                "or more"
            )
        if self.widths[3] != self.code or min(self.widths) < _REDUCTION or self.layers < 1:
            raise ConfigError(
                f"widths {self.widths}, code {self.code}, layers {self.layers}: expected the last "
                f"width to be the code's, all {_REDUCTION} or more, and at least one layer"
            )

    def head_halvings(self, layer: int) -> int:
        """Return how often a head halves the map that it reads, down to one pixel."""
        coarsest = (self.size // 16).bit_length() - 1
        return coarsest + (layer >= COARSE) + (layer >= MIDDLE)


class Excitation(nn.Module):
    """x * sigmoid(W2 relu(W1 mean(x))): squeeze and excitation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(width, width // _REDUCTION, 1, bias=False)
        self.excite = nn.Conv2d(width // _REDUCTION, width, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,width,h,w) to the same shape."""
        mean = x.mean((2, 3), keepdim=True)
        answer: Tensor = x * torch.sigmoid(self.excite(functional.relu(self.squeeze(mean))))
        return answer


class Unit(nn.Module):
    """Residual unit of IR-SE: norm, conv, PReLU, conv, norm, excitation; plus the shortcut."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inside)
        self.first = nn.Conv2d(inside, outside, 3, padding=1, bias=False)
        self.slope = nn.PReLU(outside)
        self.second = ConvNorm(outside, outside, 3, stride)
        self.excitation = Excitation(outside)
        self.stride = stride
        if inside != outside:
            self.shortcut = ConvNorm(inside, outside, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,inside,h,w) to (N,outside,h/stride,w/stride)."""
        y = self.excitation(self.second(self.slope(self.first(self.norm(x)))))
        if hasattr(self, "shortcut"):
            kept = self.shortcut(x)
        else:
            kept = x[:, :, :: self.stride, :: self.stride]
        answer: Tensor = y + kept
        return answer


class Head(nn.Module):
    """From a map to a code: halve until one pixel is left."""

    def __init__(self, code: int, halvings: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(code, code, 3, stride=2, padding=1) for _ in range(halvings)
        )
        self.linear = EqualizedLinear(code, code)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,D,2^k,2^k) to (N,D)."""
        for conv in self.convs:
            x = functional.leaky_relu(conv(x), _HEAD_SLOPE)
        answer: Tensor = self.linear(x.flatten(1))
        return answer


class Inversion(nn.Module):
    """The network; see the head of this file."""

    average: Tensor

    def __init__(self, config: InversionConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or InversionConfig()
        first = config.widths[0]
        self.stem = ConvNorm(3, first)
        self.slope = nn.PReLU(first)
        stages, inside = [], first
        for width, depth in zip(config.widths, config.depths, strict=True):
            units = [Unit(inside, width, 2), *(Unit(width, width, 1) for _ in range(depth - 1))]
            stages.append(nn.Sequential(*units))
            inside = width
        self.stages = nn.ModuleList(stages)
        self.middle = nn.Conv2d(config.widths[2], config.code, 1)
        self.fine = nn.Conv2d(config.widths[1], config.code, 1)
        self.heads = nn.ModuleList(
            Head(config.code, config.head_halvings(layer)) for layer in range(config.layers)
        )
        self.register_buffer("average", torch.zeros(config.layers, config.code))

    def forward(self, rgb: Tensor) -> WPlus:
        """Invert N pictures (N,3,S,S).

        Raises:
            ContractError: the pictures have another size.
        """
        side = self.config.size
        check(
            tuple(rgb.shape[1:]) == (3, side, side),
            f"pictures have shape {tuple(rgb.shape)}, expected (N, 3, {side}, {side})",
        )
        return self.read(self.maps(rgb))

    def read(self, maps: tuple[Tensor, Tensor, Tensor]) -> WPlus:
        """Read the codes from what `maps` returned."""
        coarse, middle, fine = maps
        codes = []
        for layer, head in enumerate(self.heads):
            codes.append(head(coarse if layer < COARSE else middle if layer < MIDDLE else fine))
        everywhere, *deltas = codes
        rows = [everywhere, *(everywhere + delta for delta in deltas)]
        return WPlus(torch.stack(rows, 1) + self.average)

    def maps(self, rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the heads read: (N,D,S/16,S/16), (N,D,S/8,S/8) and (N,D,S/4,S/4)."""
        x = self.slope(self.stem(rgb * 2 - 1))
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        _, fine, middle, coarse = found
        middle = self._add(coarse, self.middle(middle))
        return coarse, middle, self._add(middle, self.fine(fine))

    def folded(self, dtype: torch.dtype = torch.float32) -> Inversion:
        """Return a copy for inference: see `nets.folding`."""
        return folded(self, {ConvNorm: (("conv", "norm"),)}, dtype)

    @staticmethod
    def _add(coarse: Tensor, lateral: Tensor) -> Tensor:
        return stretch(coarse, (lateral.shape[2], lateral.shape[3])) + lateral


_UNIT = {
    "res_layer.0": "norm",
    "res_layer.1": "first",
    "res_layer.2": "slope",
    "res_layer.3": "second.conv",
    "res_layer.4": "second.norm",
    "res_layer.5.fc1": "excitation.squeeze",
    "res_layer.5.fc2": "excitation.excite",
    "shortcut_layer.0": "shortcut.conv",
    "shortcut_layer.1": "shortcut.norm",
}
_REST = {
    "input_layer.0": "stem.conv",
    "input_layer.1": "stem.norm",
    "input_layer.2": "slope",
    "latlayer1": "middle",
    "latlayer2": "fine",
}


def infer(shapes: Shapes) -> InversionConfig:
    """Read the number of codes, widths and depths from an e4e encoder's tensors.

    Raises:
        BundleError: it is none.
    """
    layers = len(indices(shapes, r"styles\.(\d{1,3})\.linear\.weight"))
    code = shape_at(shapes, "styles.0.linear.weight", 2)[0]
    units = indices(shapes, r"body\.(\d{1,4})\.res_layer\.3\.weight")
    found = [shape_at(shapes, f"body.{unit}.res_layer.3.weight", 4)[0] for unit in units]
    widths = sorted(set(found))
    if len(widths) != 4 or found != sorted(found):
        raise BundleError(
            f"the units' widths are {found}, expected four growing stages as in IR-SE50"
        )
    # The first head halves the coarsest map, 1/16 of the picture, down to one pixel.
    halvings = sum(bool(re.match(r"styles\.0\.convs\.\d+\.weight$", key)) for key in shapes)
    try:
        return InversionConfig(
            size=16 << halvings,
            layers=layers,
            code=code,
            widths=tuple(widths),
            depths=tuple(found.count(width) for width in widths),
        )
    except ConfigError as error:
        raise BundleError(f"the tensors are no e4e encoder: {error}") from error


def rename(state: State) -> dict[str, Tensor]:
    """Turn an official e4e encoder, without its prefix `encoder.`, into `Inversion`'s state.

    The average code lies beside the state dict in official files: give it as `latent_avg`, (D,) or
    (L,D). A file without it answers offsets, as one trained without an average does.

    Raises:
        BundleError: a tensor has no place here, or the average another shape.
    """
    given = dict(state)
    average = given.pop("latent_avg", None)
    config = infer(shapes_of(given))
    answer = renamed(given, modules(config))
    if average is None:
        _log.warning("no latent_avg lies beside the encoder: it will answer offsets, not codes")
        average = torch.zeros(config.layers, config.code)
    if tuple(average.shape) not in ((config.code,), (config.layers, config.code)):
        raise BundleError(
            f"latent_avg has shape {tuple(average.shape)}, expected ({config.layers}, "
            f"{config.code}) or ({config.code},)"
        )
    answer["average"] = average.expand(config.layers, config.code).clone()
    return answer


def modules(config: InversionConfig) -> dict[str, str]:
    """Return our module names by official ones."""
    table = dict(_REST)
    places = [(s, i) for s, depth in enumerate(config.depths) for i in range(depth)]
    for number, (stage, index) in enumerate(places):
        for theirs, ours in _UNIT.items():
            table[f"body.{number}.{theirs}"] = f"stages.{stage}.{index}.{ours}"
    for layer in range(config.layers):
        for conv in range(config.head_halvings(layer)):
            table[f"styles.{layer}.convs.{2 * conv}"] = f"heads.{layer}.convs.{conv}"
        table[f"styles.{layer}.linear"] = f"heads.{layer}.linear"
    return table
