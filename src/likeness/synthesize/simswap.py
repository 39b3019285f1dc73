"""SimSwap: one generator for everybody; the source's code is injected into the target's features.

Paper: Chen et al., SimSwap: An Efficient Framework For High Fidelity Face Swapping (ACM MM 2020,
arXiv 2106.06340), section 3.2: encoder, nine identity injection modules, decoder. Weights: the
authors', CC BY-NC 4.0 (non-commercial).
Differs: widths and depth are settings, so that one class is the 224, the 512-beta and the deeper
network of the later training code, and small ones can be trained.
Input:  rgb (N,3,S,S) in [0,1], the target's aligned crop; code (N,512) of length 1, the source's
face as `nets.identity_simswap` sees it.
Output: rgb (N,3,S,S), the crop with the source's identity; in [0,1] for `unit`, near it for
`imagenet`. What the network itself reads and answers is its `Space`.
At 224 55.05 M parameters, 512-beta 55.08 M, deeper 59.77 M.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import BundleError, ConfigError
from likeness.nets.checkpoints import Shapes, State, indices, renamed, shape_at, shapes_of
from likeness.nets.folding import folded
from likeness.nets.layers import imagenet_from_rgb, rgb_from_imagenet
from likeness.synthesize.swap_contract import SwapContract
from likeness.types import check

_log = logging.getLogger(__name__)
_SHALLOW = 4
"""Sizes of the networks for 224 pixels; those for 512 have more."""
_TURNED = tuple(
    f"simswap_{name}_224" for name in ("left_profile", "left", "right", "right_profile")
)
_EPSILON = 1e-8
"""Of the instance norm; 1e-5, the usual one, is visibly another network."""


class Space(Protocol):
    """In which numbers a generator sees pictures and answers."""

    def enter(self, rgb: Tensor) -> Tensor:
        """Map RGB in [0,1] to what the network reads."""
        ...

    def finish(self, features: Tensor) -> Tensor:
        """Map the last convolution to the network's answer."""
        ...

    def leave(self, answer: Tensor) -> Tensor:
        """Map the network's answer to RGB."""
        ...


class UnitSpace:
    """The released generators: RGB in [0,1] goes in as it is, and tanh leads back into [0,1]."""

    def enter(self, rgb: Tensor) -> Tensor:
        """Return `rgb`."""
        return rgb

    def finish(self, features: Tensor) -> Tensor:
        """Return (tanh + 1) / 2."""
        return (torch.tanh(features) + 1) / 2

    def leave(self, answer: Tensor) -> Tensor:
        """Return `answer`."""
        return answer


class ImageNetSpace:
    """The later training code: ImageNet-normalized in, linear and ImageNet-normalized out."""

    def enter(self, rgb: Tensor) -> Tensor:
        """Normalize by ImageNet's mean and deviation."""
        return imagenet_from_rgb(rgb)

    def finish(self, features: Tensor) -> Tensor:
        """Return `features`."""
        return features

    def leave(self, answer: Tensor) -> Tensor:
        """Undo `enter`; the answer may leave [0,1] a little."""
        return rgb_from_imagenet(answer)


SPACES: Mapping[str, Space] = {"unit": UnitSpace(), "imagenet": ImageNetSpace()}
"""Every space by the name that configs carry."""


@dataclass(frozen=True)
class SimSwapConfig:
    """Shape of the generator; the default is the released network for 224 pixels."""

    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels at full size and after each halving."""
    blocks: int = 9
    """Identity injection modules."""
    code: int = 512
    """Numbers in the source's code."""
    space: Literal["unit", "imagenet"] = "unit"
    """Key of SPACES. The state dict does not tell: a file belongs to the code that trained it."""

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or min(*self.widths, self.blocks, self.code) < 1:
            raise ConfigError(
                f"widths {self.widths}, blocks {self.blocks}, code {self.code}: expected two or "
                "more widths, and all of them 1 or more"
            )
        if self.space not in SPACES:
            raise ConfigError(f"space is {self.space!r}, expected one of {', '.join(SPACES)}")


class Injection(nn.Module):
    """conv, instance norm, then scale and shift by the code (adaptive instance norm).

    AdaIN(x, v) = (1 + s(v)) (x - mean(x)) / deviation(x) + t(v), with s and t linear.
    """

    def __init__(self, width: int, code: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect")
        self.style = nn.Linear(code, 2 * width)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Map (N,width,h,w) and (N,code) to (N,width,h,w)."""
        x = self.conv(x)
        x = x - x.mean((2, 3), keepdim=True)
        scale, shift = self.style(code)[:, :, None, None].chunk(2, 1)
        factor = (scale + 1) * torch.rsqrt(x.square().mean((2, 3), keepdim=True) + _EPSILON)
        return torch.addcmul(shift, x, factor)


class IdentityBlock(nn.Module):
    """The identity injection module: x + second(relu(first(x)))."""

    def __init__(self, width: int, code: int) -> None:
        super().__init__()
        self.first = Injection(width, code)
        self.second = Injection(width, code)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Map (N,width,h,w) and (N,code) to (N,width,h,w)."""
        answer: Tensor = x + self.second(functional.relu(self.first(x, code)), code)
        return answer


class Step(nn.Module):
    """conv, batch norm, ReLU; after doubling the size where the step leads up."""

    def __init__(self, conv: nn.Conv2d, doubles: bool) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm2d(conv.out_channels)
        self.doubles = doubles

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,A,h,w) to (N,B,h',w')."""
        if self.doubles:
            x = functional.interpolate(x, scale_factor=2, mode="bilinear")
        return functional.relu(self.norm(self.conv(x)))


class SimSwap(nn.Module):
    """The generator; see the head of this file."""

    def __init__(self, config: SimSwapConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        pairs = list(itertools.pairwise(widths))
        self.stem = Step(nn.Conv2d(3, widths[0], 7, padding=3, padding_mode="reflect"), False)
        self.down = nn.ModuleList(
            Step(nn.Conv2d(wide, narrow, 3, 2, padding=1), False) for wide, narrow in pairs
        )
        self.blocks = nn.ModuleList(
            IdentityBlock(widths[-1], config.code) for _ in range(config.blocks)
        )
        self.up = nn.ModuleList(
            Step(nn.Conv2d(narrow, wide, 3, padding=1), True) for wide, narrow in reversed(pairs)
        )
        self.head = nn.Conv2d(widths[0], 3, 7, padding=3, padding_mode="reflect")

    def forward(self, rgb: Tensor, code: Tensor) -> Tensor:
        """Put the identity of `code` on the faces in `rgb`; see the head of this file."""
        space = SPACES[self.config.space]
        return space.leave(self.generate(space.enter(rgb), code))

    def generate(self, x: Tensor, code: Tensor) -> Tensor:
        """Do the same in the network's own space.

        Args:
            x: (N,3,S,S), S a multiple of 2**(widths - 1).
            code: (N,code) of length 1, one for each picture.

        Returns:
            (N,3,S,S).

        Raises:
            ContractError: pictures and codes do not fit each other or the network.
        """
        rate = 2 ** len(self.down)
        check(
            x.shape[2] % rate == 0 and x.shape[3] % rate == 0,
            f"the crops are {tuple(x.shape[2:])}, expected multiples of {rate}",
        )
        expected = (x.shape[0], self.config.code)
        check(code.shape == expected, f"the codes are {tuple(code.shape)}, expected {expected}")
        x = self.stem(x)
        for step in self.down:
            x = step(x)
        for block in self.blocks:
            x = block(x, code)
        for step in self.up:
            x = step(x)
        return SPACES[self.config.space].finish(self.head(x))

    def folded(self, dtype: torch.dtype = torch.float32) -> SimSwap:
        """Return a copy for inference, its convolutions in `dtype`; pictures stay float32.

        Same answer up to rounding; the copy cannot be trained or loaded into.
        """
        return folded(self, {Step: (("conv", "norm"),)}, dtype)


def contract_of(config: SimSwapConfig) -> SwapContract:
    """Say how a published network of this shape is called; its space is its own business."""
    if len(config.widths) > _SHALLOW:
        return SwapContract("simswap", 512, "ffhq_512", space="simswap", converter="simswap")
    return SwapContract(
        "simswap", 224, "simswap_224", space="simswap", converter="simswap", turned=_TURNED
    )


def infer(shapes: Shapes) -> SimSwapConfig:
    """Read widths and depth from an official state dict.

    The space is a guess from the depth: only the later training code builds a fourth halving below
    full width (`down4`). Its shallow networks have the keys of the released ones; whoever trained
    one must say so (`dataclasses.replace(config, space="imagenet")`).

    Raises:
        BundleError: it is of another network.
    """
    levels = _levels(shapes)
    keys = ["first_layer.1.weight", *(f"down{level}.0.weight" for level in levels)]
    return SimSwapConfig(
        widths=tuple(shape_at(shapes, key, 4)[0] for key in keys),
        blocks=len(indices(shapes, r"BottleNeck\.(\d{1,4})\.")),
        code=shape_at(shapes, "BottleNeck.0.style1.linear.weight", 2)[1],
        space="imagenet" if levels[-1] > 3 else "unit",
    )


def rename(state: State) -> dict[str, Tensor]:
    """Give the tensors of an official state dict the names of this module's.

    Tensors that no generator has are left out and logged: the official loader skips them too.

    Raises:
        BundleError: it is of another network.
    """
    shapes = shapes_of(state)
    levels, blocks = _levels(shapes), infer(shapes).blocks
    names = {"first_layer.1": "stem.conv", "first_layer.2": "stem.norm", "last_layer.1": "head"}
    for index, level in enumerate(levels):
        names |= {f"down{level}.0": f"down.{index}.conv", f"down{level}.1": f"down.{index}.norm"}
    for index, level in enumerate(reversed(levels)):
        names |= {f"up{level}.1": f"up.{index}.conv", f"up{level}.2": f"up.{index}.norm"}
    for index in range(blocks):
        for number, ours in (("1", "first"), ("2", "second")):
            theirs = f"BottleNeck.{index}"
            names[f"{theirs}.conv{number}.1"] = f"blocks.{index}.{ours}.conv"
            names[f"{theirs}.style{number}.linear"] = f"blocks.{index}.{ours}.style"
    known = {key: value for key, value in state.items() if key.rpartition(".")[0] in names}
    for key in state.keys() - known.keys():
        _log.warning("left out %s, which no SimSwap generator has", key)
    return renamed(known, names)


def _levels(shapes: Shapes) -> tuple[int, ...]:
    """Return the numbers of the official steps down: 1 to 3, 0 to 3 (512-beta), 1 to 4 (deeper)."""
    levels = indices(shapes, r"down(\d)\.0\.")
    if not levels or levels[0] > 1:
        raise BundleError(
            f"the steps down are numbered {list(levels)}, expected 1 to 3, 0 to 3 or 1 to 4; "
            "import the file as the kind that it is"
        )
    return levels
