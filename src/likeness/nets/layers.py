"""Small layers and color spaces that several published networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class ConvNorm(nn.Module):
    """A convolution without bias, padded to keep the size at stride 1, and batch norm."""

    def __init__(self, inside: int, outside: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outside)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,inside,h,w) to (N,outside,h/stride,w/stride), rounded up."""
        answer: Tensor = self.norm(self.conv(x))
        return answer


def begin(network: nn.Module, slope: float) -> None:
    """Let convolutions begin such that leaky rectifiers of this slope pass signals on undiminished.

    He et al., Delving Deep into Rectifiers (ICCV 2015): normal weights of variance
    2 / ((1 + slope^2) inputs), biases of 0. It is for networks that norm nothing between.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=slope)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def stretch(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (N,C,h,w) bilinearly so that the centers of the corner pixels stay corner pixels.

    Everywhere else positions have their origin at the corner of the picture. Some published
    networks were trained with this other resizing inside, and compute something else without it.
    """
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=True)


def imagenet_from_rgb(rgb: Tensor) -> Tensor:
    """Map RGB (N,3,h,w) in [0,1] to ImageNet's mean 0 and deviation 1 per channel."""
    mean, deviation = _imagenet(rgb)
    return (rgb - mean) / deviation


def rgb_from_imagenet(x: Tensor) -> Tensor:
    """Undo `imagenet_from_rgb`; not clipped."""
    mean, deviation = _imagenet(x)
    return x * deviation + mean


def _imagenet(like: Tensor) -> tuple[Tensor, Tensor]:
    pair = torch.tensor((IMAGENET_MEAN, IMAGENET_DEVIATION), dtype=like.dtype, device=like.device)
    return pair[0].view(3, 1, 1), pair[1].view(3, 1, 1)
