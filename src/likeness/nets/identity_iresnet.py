"""Whose face is it? InsightFace's recognizer: an improved residual network, one code per face.

Paper: Deng et al., ArcFace: Additive Angular Margin Loss for Deep Face Recognition (CVPR 2019),
section 3.1: blocks BN-conv-BN-PReLU-conv-BN and the head BN-dropout-FC-BN after Duta et al.,
Improved Residual Networks (ICPR 2020). Weights: InsightFace's `backbone.pth` (w600k_r50,
glint360k_r100, ms1mv3_r100 ...), for non-commercial research.
Differs: widths, depths and size are settings; dropout is left out, the published weights use none.
Input:  rgb (N,3,112,112) in [0,1], aligned by five points to the 112 template (docs/networks.md).
Output: code (N,512) of length 1; `describe` gives it raw, from input in [-1,1].
At depths (3,4,14,3) 43.59 M parameters, at (3,13,30,3) 65.16 M.
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
from likeness.nets.layers import ConvNorm
from likeness.types import check

_BLOCK = {
    "bn1": "enter",
    "conv1": "first",
    "bn2": "middle",
    "prelu": "slope",
    "conv2": "second",
    "bn3": "leave",
    "downsample.0": "shortcut.conv",
    "downsample.1": "shortcut.norm",
}
_AROUND = {
    "conv1": "stem.conv",
    "bn1": "stem.norm",
    "prelu": "slope",
    "bn2": "leave",
    "fc": "project",
    "features": "code",
}


@dataclass(frozen=True)
class IResNetConfig:
    """Shape of the recognizer."""

    depths: tuple[int, ...] = (3, 4, 14, 3)
    """Blocks per stage; the first block of each stage halves the picture."""
    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels per stage; the stem has the first's."""
    code: int = 512
    """Numbers that describe a face."""
    size: int = 112
    """Side of the crop in pixels; a multiple of 2**stages."""

    def __post_init__(self) -> None:
        stages = len(self.depths)
        if not 0 < stages == len(self.widths) or min(self.depths) < 1:
            raise ConfigError(
                f"depths {self.depths} and widths {self.widths}: expected as many of one as of the "
                "other, and no stage without blocks"
            )
        if self.size < 1 or self.size % 2**stages:
            raise ConfigError(
                f"size is {self.size}, expected a multiple of {2**stages} for {stages} stages"
            )


class Block(nn.Module):
    """x + BN(conv(PReLU(BN(conv(BN(x)))))); the second convolution carries the stride."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.enter = nn.BatchNorm2d(inside)
        self.first = nn.Conv2d(inside, outside, 3, padding=1, bias=False)
        self.middle = nn.BatchNorm2d(outside)
        self.slope = nn.PReLU(outside)
        self.second = nn.Conv2d(outside, outside, 3, stride, padding=1, bias=False)
        self.leave = nn.BatchNorm2d(outside)
        same = stride == 1 and inside == outside
        self.shortcut = nn.Identity() if same else ConvNorm(inside, outside, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,inside,h,w) to (N,outside,h/stride,w/stride)."""
        y = self.slope(self.middle(self.first(self.enter(x))))
        answer: Tensor = self.leave(self.second(y)) + self.shortcut(x)
        return answer


_PAIRS: Pairs = {
    Block: (("first", "middle"), ("second", "leave")),
    ConvNorm: (("conv", "norm"),),
}


class IResNet(nn.Module):
    """The recognizer; see the head of this file."""

    def __init__(self, config: IResNetConfig) -> None:
        super().__init__()
        self.config = config
        inside = config.widths[0]
        self.stem = ConvNorm(3, inside)
        self.slope = nn.PReLU(inside)
        self.stages = nn.ModuleList()
        for depth, width in zip(config.depths, config.widths, strict=True):
            blocks = [Block(inside, width, 2), *(Block(width, width, 1) for _ in range(depth - 1))]
            self.stages.append(nn.Sequential(*blocks))
            inside = width
        side = config.size >> len(config.depths)
        self.leave = nn.BatchNorm2d(inside)
        self.project = nn.Linear(inside * side * side, config.code)
        self.code = nn.BatchNorm1d(config.code)

    def forward(self, rgb: Tensor) -> Tensor:
        """Map aligned RGB crops (N,3,size,size) in [0,1] to codes (N,code) of length 1."""
        return functional.normalize(self.describe(rgb * 2 - 1))

    def describe(self, x: Tensor) -> Tensor:
        """Map aligned crops (N,3,size,size) in [-1,1] to raw codes (N,code).

        Raises:
            ContractError: the crops are of another size.
        """
        expected = (3, self.config.size, self.config.size)
        check(x.shape[1:] == expected, f"crops are {tuple(x.shape[1:])}, expected {expected}")
        x = self.slope(self.stem(x))
        for stage in self.stages:
            x = stage(x)
        answer: Tensor = self.code(self.project(self.leave(x).flatten(1).float()))
        return answer

    def folded(self, dtype: torch.dtype = torch.float32) -> IResNet:
        """Return a copy for inference, its convolutions in `dtype`; codes stay float32.

        Same answer up to rounding; the copy cannot be trained or loaded into.
        """
        return folded(self, _PAIRS, dtype, dtype)


def infer(shapes: Shapes) -> IResNetConfig:
    """Read depth and widths from an official state dict.

    Raises:
        BundleError: it is of another network.
        ConfigError: its shapes do not belong together.
    """
    depths = stage_depths(shapes)
    widths = tuple(
        shape_at(shapes, f"layer{stage + 1}.0.conv2.weight", 4)[0] for stage in range(len(depths))
    )
    code, inputs = shape_at(shapes, "fc.weight", 2)
    side = round((inputs / widths[-1]) ** 0.5)
    if side * side * widths[-1] != inputs:
        raise BundleError(
            f"fc.weight reads {inputs} numbers, expected a square of {widths[-1]} channels"
        )
    return IResNetConfig(depths, widths, code, side << len(depths))


def rename(state: State) -> dict[str, Tensor]:
    """Give the tensors of an official state dict the names of this module's.

    Raises:
        BundleError: a tensor belongs to another network.
    """
    config = infer(shapes_of(state))
    return renamed(state, {**_AROUND, **stage_modules(config.depths, _BLOCK)})
