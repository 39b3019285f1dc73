"""Residual networks as torchvision trains them: features for face regions and for FaceShifter.

Paper: He et al., Deep Residual Learning for Image Recognition (CVPR 2016), section 3.3, figure 5;
the stride lies on the 3x3 convolution of a bottleneck, as in all published weights.
Differs: widths are settings, and the head is optional.
Input:  x (N,3,h,w), normalized as the weights want it.
Output: `features` gives the maps of every stage, at 1/4, 1/8, 1/16 ... of the size; `forward` what
the head makes of the last one's mean.
At depths (2,2,2,2) 11.69 M parameters with 1000 outputs, as bottlenecks at (3,4,23,3) 44.55 M.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import ConfigError
from likeness.nets.checkpoints import Shapes, shape_at, stage_depths, stage_modules
from likeness.nets.layers import ConvNorm

_WIDENING = 4
"""How many times wider than its inner convolutions a bottleneck's output is."""


@dataclass(frozen=True)
class ResNetConfig:
    """Shape of the network."""

    depths: tuple[int, ...] = (2, 2, 2, 2)
    """Blocks per stage; the first block of every stage but the first halves the maps."""
    widths: tuple[int, ...] = (64, 128, 256, 512)
    """Channels inside the blocks of each stage; the stem has the first's."""
    bottleneck: bool = False
    """Blocks of 1x1, 3x3 and 1x1 convolutions, four times wider outside, in place of two 3x3."""
    outputs: int = 0
    """Numbers that the head answers; 0 leaves the head out."""

    def __post_init__(self) -> None:
        if not 0 < len(self.depths) == len(self.widths) or min(self.depths) < 1:
            raise ConfigError(
                f"depths {self.depths} and widths {self.widths}: expected as many of one as of the "
                "other, and no stage without blocks"
            )

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of each stage's maps."""
        return tuple(width * (_WIDENING if self.bottleneck else 1) for width in self.widths)


class Block(nn.Module):
    """relu(x + layers(x)), with ReLU between the layers."""

    def __init__(self, inside: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        outside = width * _WIDENING if bottleneck else width
        if bottleneck:
            layers = [
                ConvNorm(inside, width, 1),
                ConvNorm(width, width, 3, stride),
                ConvNorm(width, outside, 1),
            ]
        else:
            layers = [ConvNorm(inside, width, 3, stride), ConvNorm(width, width, 3)]
        self.layers = nn.ModuleList(layers)
        same = stride == 1 and inside == outside
        self.shortcut = nn.Identity() if same else ConvNorm(inside, outside, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,inside,h,w) to (N,outside,h/stride,w/stride)."""
        y = x
        for index, layer in enumerate(self.layers):
            y = layer(functional.relu(y) if index else y)
        return functional.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    """The network; see the head of this file."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = ConvNorm(3, config.widths[0], 7, 2)
        self.stages = nn.ModuleList()
        inside = config.widths[0]
        for stage, (depth, width) in enumerate(zip(config.depths, config.widths, strict=True)):
            blocks = []
            for index in range(depth):
                stride = 2 if stage and not index else 1
                blocks.append(Block(inside, width, stride, config.bottleneck))
                inside = config.channels[stage]
            self.stages.append(nn.Sequential(*blocks))
        self.head = nn.Linear(inside, config.outputs) if config.outputs else None

    def features(self, x: Tensor) -> Iterator[Tensor]:
        """Yield the maps of each stage, fine to coarse."""
        x = functional.max_pool2d(functional.relu(self.stem(x)), 3, 2, padding=1)
        for stage in self.stages:
            x = stage(x)
            yield x

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,3,h,w) to (N,outputs), or to the mean of the last maps where there is no head."""
        *_, last = self.features(x)
        mean = last.mean((2, 3)).float()
        return mean if self.head is None else self.head(mean)


def infer(shapes: Shapes) -> ResNetConfig:
    """Read depth, widths and kind of block from an official state dict.

    Raises:
        BundleError: it is of another network.
    """
    depths = stage_depths(shapes)
    widths = tuple(
        shape_at(shapes, f"layer{stage + 1}.0.conv1.weight", 4)[0] for stage in range(len(depths))
    )
    outputs = shape_at(shapes, "fc.weight", 2)[0] if "fc.weight" in shapes else 0
    return ResNetConfig(depths, widths, "layer1.0.conv3.weight" in shapes, outputs)


def modules(config: ResNetConfig) -> dict[str, str]:
    """Name the modules of this network by torchvision's names."""
    block = {"downsample.0": "shortcut.conv", "downsample.1": "shortcut.norm"}
    for index in range(3 if config.bottleneck else 2):
        block |= {
            f"conv{index + 1}": f"layers.{index}.conv",
            f"bn{index + 1}": f"layers.{index}.norm",
        }
    around = {"conv1": "stem.conv", "bn1": "stem.norm", "fc": "head"}
    return {**around, **stage_modules(config.depths, block)}
