"""Whose face is it? The identity encoder that comes inside FaceShifter checkpoints.

Paper: Li et al., FaceShifter (arXiv 1912.13457), section 3.1, which leaves the recognizer open. The
public port of MINDsLab trains a ResNet-101 (He et al. 2016, `resnet`) with ArcFace's loss; its
weights are the `Z.` part of the checkpoint.
Differs from the paper: codes of 256 numbers.
Input:  rgb (N,3,h,w) in [0,1], the whole aligned picture of the source; shrunk to 112 pixels here.
Output: code (N,256) of length 1; `describe` gives it raw, from 112 pixels.
At its published size 43.02 M parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import BundleError
from likeness.nets import resnet
from likeness.nets.checkpoints import Shapes, State, renamed, shapes_of
from likeness.nets.folding import folded
from likeness.nets.layers import ConvNorm
from likeness.nets.resnet import ResNet, ResNetConfig

_SIZE = 112


@dataclass(frozen=True)
class FaceShifterIdentityConfig:
    """Shape of the encoder."""

    depths: tuple[int, ...] = (3, 4, 23, 3)
    """Blocks per stage."""
    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels inside the blocks of each stage."""
    code: int = 256
    """Numbers that describe a face."""


class FaceShifterIdentity(nn.Module):
    """The encoder; see the head of this file."""

    def __init__(self, config: FaceShifterIdentityConfig) -> None:
        super().__init__()
        self.config = config
        shape = ResNetConfig(config.depths, config.widths, bottleneck=True, outputs=config.code)
        self.network = ResNet(shape)

    def forward(self, rgb: Tensor) -> Tensor:
        """Map RGB crops (N,3,h,w) in [0,1] to codes (N,code) of length 1."""
        small = functional.interpolate(rgb, size=(_SIZE, _SIZE), mode="bilinear")
        return functional.normalize(self.describe(small))

    def describe(self, x: Tensor) -> Tensor:
        """Map RGB crops (N,3,112,112) in [0,1] to raw codes (N,code)."""
        answer: Tensor = self.network(x)
        return answer

    def folded(self, dtype: torch.dtype = torch.float32) -> FaceShifterIdentity:
        """Return a copy for inference, its convolutions in `dtype`; codes stay float32.

        Same answer up to rounding; the copy cannot be trained or loaded into.
        """
        return folded(self, {ConvNorm: (("conv", "norm"),)}, dtype, dtype)


def infer(shapes: Shapes) -> FaceShifterIdentityConfig:
    """Read depth and widths from an official state dict, its `Z.` taken off.

    Raises:
        BundleError: it is of another network.
    """
    found = _shape(shapes)
    return FaceShifterIdentityConfig(found.depths, found.widths, found.outputs)


def rename(state: State) -> dict[str, Tensor]:
    """Give the tensors of an official state dict the names of this module's.

    Raises:
        BundleError: a tensor belongs to another network.
    """
    names = resnet.modules(_shape(shapes_of(state)))
    return renamed(state, {theirs: f"network.{ours}" for theirs, ours in names.items()})


def _shape(shapes: Shapes) -> ResNetConfig:
    found = resnet.infer(shapes)
    if not found.bottleneck or not found.outputs:
        raise BundleError(
            "the residual network has no bottlenecks or no head, expected a ResNet-101 with codes; "
            "import the whole FaceShifter checkpoint"
        )
    return found
