"""Whose face is it? The recognizer that SimSwap was trained with.

Papers: Deng et al., ArcFace (CVPR 2019), and for the gates Hu et al., Squeeze-and-Excitation
Networks (CVPR 2018); SimSwap's file `arcface_checkpoint.tar`, which holds a network of its own kind
and not InsightFace's (`identity_iresnet`): no padding in the stem, max pooling, one slope per
activation, gates, the first stage at full rate, and an activation after each sum. Non-commercial.
Differs: depth, widths, gates and size are settings, because the published file does not state them;
dropout is left out, it does nothing when the network is used.
Input:  rgb (N,3,112,112) in [0,1]; `recognition_crop` makes it from the source's crop.
Output: code (N,512) of length 1; `describe` gives it raw, from ImageNet-normalized input.
At depths (3,4,23,3) with gates 52.19 M parameters, at (2,2,2,2) 21.79 M.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import BundleError, ConfigError
from likeness.nets.checkpoints import (
    Shapes,
    State,
    renamed,
    shape_at,
    shapes_of,
    stage_depths,
    stage_modules,
)
from likeness.nets.folding import Pairs, folded
from likeness.nets.layers import ConvNorm, imagenet_from_rgb
from likeness.types import check

_BLOCK = {
    "bn0": "enter",
    "conv1": "first",
    "bn1": "middle",
    "prelu": "slope",
    "conv2": "second",
    "bn2": "leave",
    "se.fc.0": "gate.squeeze",
    "se.fc.1": "gate.slope",
    "se.fc.2": "gate.excite",
    "downsample.0": "shortcut.conv",
    "downsample.1": "shortcut.norm",
}
_AROUND = {
    "conv1": "stem",
    "bn1": "enter",
    "prelu": "slope",
    "bn2": "leave",
    "fc": "project",
    "bn3": "code",
}
_UNPADDED = 2
"""Pixels that the stem takes off each side of the picture, both edges together."""


@dataclass(frozen=True)
class SimSwapIdentityConfig:
    """Shape of the recognizer."""

    depths: tuple[int, ...] = (3, 4, 23, 3)
    """Blocks per stage; the first block of every stage but the first halves the picture."""
    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels per stage; the stem has the first's."""
    squeeze: int = 16
    """Channels that share one number inside a gate; 0 leaves the gates out."""
    code: int = 512
    """Numbers that describe a face."""
    size: int = 112
    """Side of the crop in pixels."""

    def __post_init__(self) -> None:
        if not 0 < len(self.depths) == len(self.widths) or min(self.depths) < 1:
            raise ConfigError(
                f"depths {self.depths} and widths {self.widths}: expected as many of one as of the "
                "other, and no stage without blocks"
            )
        if self.squeeze < 0 or (self.squeeze and any(w % self.squeeze for w in self.widths)):
            raise ConfigError(
                f"squeeze is {self.squeeze}, expected 0 or a divisor of the widths {self.widths}"
            )
        if self.side < 1:
            raise ConfigError(f"size is {self.size}, too small for {len(self.depths)} stages")

    @property
    def side(self) -> int:
        """Side of the last stage's maps: 7 at 112 pixels."""
        side = (self.size - _UNPADDED) // 2
        for _ in self.depths[1:]:
            side = (side + 1) // 2
        return side


class Gate(nn.Module):
    """Weigh channels by what all of the map shows (squeeze and excitation)."""

    def __init__(self, width: int, squeeze: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(width, width // squeeze)
        self.slope = nn.PReLU()
        self.excite = nn.Linear(width // squeeze, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,width,h,w) to the same shape."""
        # In float32 whatever the maps are: these are few numbers, and they scale whole channels.
        # Pooling over the whole map is the mean, several times faster.
        mean = functional.avg_pool2d(x, x.shape[2:]).flatten(1).float()
        inside = self.excite(self.slope(self.squeeze(mean)))
        answer: Tensor = x * inside.sigmoid()[:, :, None, None].to(x.dtype)
        return answer


class Block(nn.Module):
    """PReLU(x + gate(BN(conv(PReLU(BN(conv(BN(x)))))))), both activations with the same slope."""

    def __init__(self, inside: int, outside: int, stride: int, squeeze: int) -> None:
        super().__init__()
        self.enter = nn.BatchNorm2d(inside)
        self.first = nn.Conv2d(inside, inside, 3, padding=1, bias=False)
        self.middle = nn.BatchNorm2d(inside)
        self.slope = nn.PReLU()
        self.second = nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False)
        self.leave = nn.BatchNorm2d(outside)
        self.gate = Gate(outside, squeeze) if squeeze else nn.Identity()
        same = stride == 1 and inside == outside
        self.shortcut = nn.Identity() if same else ConvNorm(inside, outside, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,inside,h,w) to (N,outside,h/stride,w/stride), rounded up."""
        y = self.slope(self.middle(self.first(self.enter(x))))
        y = self.gate(self.leave(self.second(y)))
        answer: Tensor = self.slope(y + self.shortcut(x))
        return answer


class SimSwapIdentity(nn.Module):
    """The recognizer; see the head of this file."""

    def __init__(self, config: SimSwapIdentityConfig) -> None:
        super().__init__()
        self.config = config
        inside = config.widths[0]
        self.stem = nn.Conv2d(3, inside, 3, bias=False)
        self.enter = nn.BatchNorm2d(inside)
        self.slope = nn.PReLU()
        self.stages = nn.ModuleList()
        for stage, (depth, width) in enumerate(zip(config.depths, config.widths, strict=True)):
            blocks = [Block(inside, width, 2 if stage else 1, config.squeeze)]
            blocks += [Block(width, width, 1, config.squeeze) for _ in range(depth - 1)]
            self.stages.append(nn.Sequential(*blocks))
            inside = width
        self.leave = nn.BatchNorm2d(inside)
        self.project = nn.Linear(inside * config.side**2, config.code)
        self.code = nn.BatchNorm1d(config.code)

    def forward(self, rgb: Tensor) -> Tensor:
        """Map aligned RGB crops (N,3,size,size) in [0,1] to codes (N,code) of length 1."""
        return functional.normalize(self.describe(imagenet_from_rgb(rgb)))

    def describe(self, x: Tensor) -> Tensor:
        """Map ImageNet-normalized crops (N,3,size,size) to raw codes (N,code).

        Raises:
            ContractError: the crops are of another size.
        """
        expected = (3, self.config.size, self.config.size)
        check(x.shape[1:] == expected, f"crops are {tuple(x.shape[1:])}, expected {expected}")
        x = functional.max_pool2d(self.slope(self.enter(self.stem(x))), 2)
        for stage in self.stages:
            x = stage(x)
        answer: Tensor = self.code(self.project(self.leave(x).flatten(1).float()))
        return answer

    def folded(self, dtype: torch.dtype = torch.float32) -> SimSwapIdentity:
        """Return a copy for inference, its convolutions in `dtype`; codes stay float32.

        Same answer up to rounding; the copy cannot be trained or loaded into.
        """
        return folded(self, _PAIRS, dtype, dtype)


_PAIRS: Pairs = {
    SimSwapIdentity: (("stem", "enter"),),
    Block: (("first", "middle"), ("second", "leave")),
    ConvNorm: (("conv", "norm"),),
}


def recognition_crop(rgb: Tensor, size: int = 112) -> Tensor:
    """Shrink SimSwap's aligned crops (N,3,h,w) to the recognizer's (N,3,size,size).

    Nearest pixels, without averaging: so SimSwap was trained, and smoother crops give other codes.
    """
    return functional.interpolate(rgb, size=(size, size), mode="nearest")


def infer(shapes: Shapes) -> SimSwapIdentityConfig:
    """Read depth, widths and gates from an official state dict.

    Raises:
        BundleError: it is of another network.
        ConfigError: its shapes do not belong together.
    """
    depths = stage_depths(shapes)
    widths = tuple(
        shape_at(shapes, f"layer{stage + 1}.0.conv2.weight", 4)[0] for stage in range(len(depths))
    )
    squeeze = 0
    if "layer1.0.se.fc.0.weight" in shapes:
        narrow, wide = shape_at(shapes, "layer1.0.se.fc.0.weight", 2)
        squeeze = wide // narrow
    code, inputs = shape_at(shapes, "fc.weight", 2)
    side = round((inputs / widths[-1]) ** 0.5)
    # Maps of s pixels come from any of 2**stages sizes; the published 112 is the only one in use.
    config = SimSwapIdentityConfig(depths, widths, squeeze, code, side << len(depths))
    if config.side**2 * widths[-1] != inputs:
        raise BundleError(
            f"fc.weight reads {inputs} numbers, expected a square of {widths[-1]} channels"
        )
    return config


def rename(state: State) -> dict[str, Tensor]:
    """Give the tensors of an official state dict the names of this module's.

    Raises:
        BundleError: a tensor belongs to another network.
    """
    config = infer(shapes_of(state))
    return renamed(state, {**_AROUND, **stage_modules(config.depths, _BLOCK)})
