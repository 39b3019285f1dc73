"""Which part of a face is each pixel? BiSeNet with the 19 regions of CelebAMask-HQ.

Paper: Yu et al., BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation (ECCV
2018), sections 3.2 (attention refinement) and 3.3 (feature fusion). Weights: `79999_iter.pth`,
trained on CelebAMask-HQ, for non-commercial research; SimSwap, STIT and many others use them.
Differs from the paper as those weights do: no spatial path of its own, the backbone's maps at 1/8
take its place; gates without ReLU; a ResNet-18 below.
Input:  rgb (N,3,h,w) in [0,1], sides multiples of 32; trained on aligned faces at 512x512.
Output: logits (N,19,h,w) in the order of `REGIONS`; `read` also gives the two auxiliary answers
from ImageNet-normalized input.
At its published size 13.30 M parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import BundleError
from likeness.nets import resnet
from likeness.nets.checkpoints import Shapes, State, renamed, shape_at, shapes_of
from likeness.nets.folding import folded
from likeness.nets.layers import ConvNorm, imagenet_from_rgb, stretch
from likeness.nets.resnet import ResNet, ResNetConfig
from likeness.types import check

REGIONS = (
    "background",
    "skin",
    "left_brow",
    "right_brow",
    "left_eye",
    "right_eye",
    "glasses",
    "left_ear",
    "right_ear",
    "earring",
    "nose",
    "mouth",
    "upper_lip",
    "lower_lip",
    "neck",
    "necklace",
    "cloth",
    "hair",
    "hat",
)
"""What the 19 logits stand for, sides as CelebAMask-HQ names them; mouth is its inside."""

_BACKBONE = "cp.resnet."
_PAIRS = {
    "cp.arm16.conv": "attention16.conv",
    "cp.arm32.conv": "attention32.conv",
    "cp.conv_avg": "context",
    "cp.conv_head16": "refine16",
    "cp.conv_head32": "refine32",
    "ffm.convblk": "fusion.mix",
    "conv_out.conv": "head.conv",
    "conv_out16.conv": "head16.conv",
    "conv_out32.conv": "head32.conv",
}
"""Modules that hold a convolution and its batch norm: `conv` and `bn` there, `norm` here."""
_SINGLES = {
    "cp.arm16.conv_atten": "attention16.gate.conv",
    "cp.arm16.bn_atten": "attention16.gate.norm",
    "cp.arm32.conv_atten": "attention32.gate.conv",
    "cp.arm32.bn_atten": "attention32.gate.norm",
    "ffm.conv1": "fusion.squeeze",
    "ffm.conv2": "fusion.excite",
    "conv_out.conv_out": "head.classify",
    "conv_out16.conv_out": "head16.classify",
    "conv_out32.conv_out": "head32.classify",
}


@dataclass(frozen=True)
class RegionsConfig:
    """Shape of the network."""

    depths: tuple[int, int, int, int] = (2, 2, 2, 2)
    """Blocks per stage of the backbone."""
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    """Channels per stage of the backbone."""
    context: int = 128
    """Channels of the context path."""
    fused: int = 256
    """Channels where both paths are joined, and of the head; a multiple of 4."""
    auxiliary: int = 64
    """Channels of the two heads that only training looks at."""
    regions: int = 19
    """Kinds of regions."""


class Attention(nn.Module):
    """Refine maps and weigh their channels by the whole picture (figure 2b)."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv = ConvNorm(inside, outside)
        self.gate = ConvNorm(outside, outside, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,inside,h,w) to (N,outside,h,w)."""
        x = functional.relu(self.conv(x))
        weights: Tensor = self.gate(x.mean((2, 3), keepdim=True)).sigmoid()
        return x * weights


class Fusion(nn.Module):
    """Join fine and coarse maps, and strengthen the channels that matter (figure 2c)."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.mix = ConvNorm(inside, outside, 1)
        self.squeeze = nn.Conv2d(outside, outside // 4, 1, bias=False)
        self.excite = nn.Conv2d(outside // 4, outside, 1, bias=False)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Map (N,A,h,w) and (N,B,h,w) to (N,outside,h,w)."""
        x = functional.relu(self.mix(torch.cat([fine, coarse], 1)))
        mean = x.mean((2, 3), keepdim=True)
        weights: Tensor = self.excite(functional.relu(self.squeeze(mean))).sigmoid()
        return x + x * weights


class Head(nn.Module):
    """A 3x3 convolution and a classifier of pixels."""

    def __init__(self, inside: int, width: int, regions: int) -> None:
        super().__init__()
        self.conv = ConvNorm(inside, width)
        self.classify = nn.Conv2d(width, regions, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,inside,h,w) to logits (N,regions,h,w)."""
        answer: Tensor = self.classify(functional.relu(self.conv(x)))
        return answer


class RegionNet(nn.Module):
    """The network; see the head of this file."""

    def __init__(self, config: RegionsConfig) -> None:
        super().__init__()
        self.config = config
        widths, context = config.widths, config.context
        self.backbone = ResNet(ResNetConfig(config.depths, widths))
        self.context = ConvNorm(widths[3], context, 1)
        self.attention32 = Attention(widths[3], context)
        self.refine32 = ConvNorm(context, context)
        self.attention16 = Attention(widths[2], context)
        self.refine16 = ConvNorm(context, context)
        self.fusion = Fusion(widths[1] + context, config.fused)
        self.head = Head(config.fused, config.fused, config.regions)
        self.head16 = Head(context, config.auxiliary, config.regions)
        self.head32 = Head(context, config.auxiliary, config.regions)

    def forward(self, rgb: Tensor) -> Tensor:
        """Map RGB (N,3,h,w) in [0,1] to the logits (N,regions,h,w) of each pixel's region."""
        return self.read(imagenet_from_rgb(rgb))[0]

    def read(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map an ImageNet-normalized picture (N,3,h,w) to three answers (N,regions,h,w).

        Returns:
            Logits of the fused maps, and the auxiliary ones of the context path at 1/8 and 1/16,
            all at the size of the picture.

        Raises:
            ContractError: a side of the picture is no multiple of 32.
        """
        size = (x.shape[2], x.shape[3])
        check(
            min(size) > 0 and size[0] % 32 == 0 and size[1] % 32 == 0,
            f"the picture is {size[0]}x{size[1]}, expected multiples of 32; 512x512 is trained for",
        )
        _, maps8, maps16, maps32 = self.backbone.features(x)
        whole = functional.relu(self.context(maps32.mean((2, 3), keepdim=True)))
        coarse = functional.relu(self.refine32(_double(self.attention32(maps32) + whole)))
        fine = functional.relu(self.refine16(_double(self.attention16(maps16) + coarse)))
        answers = (
            self.head(self.fusion(maps8, fine)),
            self.head16(fine),
            self.head32(coarse),
        )
        first, second, third = (stretch(answer, size) for answer in answers)
        return first, second, third

    def folded(self, dtype: torch.dtype = torch.float32) -> RegionNet:
        """Return a copy for inference, its convolutions in `dtype`; logits stay float32.

        Same answer up to rounding; the copy cannot be trained or loaded into.
        """
        return folded(self, {ConvNorm: (("conv", "norm"),)}, dtype)


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="nearest")


def infer(shapes: Shapes) -> RegionsConfig:
    """Read the widths from an official state dict.

    Raises:
        BundleError: it is of another network.
    """
    below = _backbone(shapes)
    depths, widths = below.depths, below.widths
    regions, fused = shape_at(shapes, "conv_out.conv_out.weight", 4)[:2]
    return RegionsConfig(
        depths=(depths[0], depths[1], depths[2], depths[3]),
        widths=(widths[0], widths[1], widths[2], widths[3]),
        context=shape_at(shapes, "cp.conv_avg.conv.weight", 4)[0],
        fused=fused,
        auxiliary=shape_at(shapes, "conv_out16.conv.conv.weight", 4)[0],
        regions=regions,
    )


def rename(state: State) -> dict[str, Tensor]:
    """Give the tensors of an official state dict the names of this module's.

    Raises:
        BundleError: a tensor belongs to another network.
    """
    names = dict(_SINGLES)
    for theirs, ours in _PAIRS.items():
        names |= {f"{theirs}.conv": f"{ours}.conv", f"{theirs}.bn": f"{ours}.norm"}
    below = resnet.modules(_backbone(shapes_of(state)))
    names |= {f"{_BACKBONE}{theirs}": f"backbone.{ours}" for theirs, ours in below.items()}
    return renamed(state, names)


def _backbone(shapes: Shapes) -> ResNetConfig:
    below = {k.removeprefix(_BACKBONE): v for k, v in shapes.items() if k.startswith(_BACKBONE)}
    found = resnet.infer(below)
    if len(found.depths) != 4 or found.bottleneck:
        raise BundleError(
            f"the backbone has depths {found.depths}, expected a ResNet-18 or ResNet-34; "
            "import the file as the kind that it is"
        )
    return found
