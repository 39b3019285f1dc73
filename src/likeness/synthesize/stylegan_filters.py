"""Up, down and blur with StyleGAN2's filter, without inserting zeros.

Papers: Zhang, Making Convolutional Networks Shift-Invariant Again (ICML 2019) for the filter;
Karras et al., StyleGAN2 (CVPR 2020), appendix B, for where it stands.
Every operation is "insert zeros, pad, convolve, drop" (`resample_reference`, the definition). The
fast ones skip the inserted zeros: doubling is one convolution per output phase, and pixel shuffle
puts the four phases beside each other.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

TAPS = (1.0, 3.0, 3.0, 1.0)


def kernel(like: Tensor, gain: float = 1.0) -> Tensor:
    """The (4,4) outer product of [1,3,3,1] with itself, summing to `gain`."""
    line = torch.tensor(TAPS, dtype=torch.float32, device=like.device)
    square = line[:, None] * line
    return (square * (gain / square.sum())).to(like.dtype)


def resample_reference(
    x: Tensor, *, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)
) -> Tensor:
    """Put up - 1 zeros behind every pixel, pad, filter with gain up^2, keep every down-th pixel.

    Args:
        x: (N,C,H,W).
        up: pixels per pixel and axis before the filter.
        down: pixels per kept pixel and axis after it.
        pad: zeros before and after, on both axes.

    Returns:
        (N,C,(H*up + sum(pad) - 3) // down rounded up, and so for W).
    """
    n, c, h, w = x.shape
    spread = x.new_zeros(n, c, h, up, w, up)
    spread[:, :, :, 0, :, 0] = x
    padded = functional.pad(spread.reshape(n, c, h * up, w * up), (*pad, *pad))
    flipped = kernel(x, up**2).flip(0, 1)
    filtered = functional.conv2d(padded.reshape(n * c, 1, *padded.shape[2:]), flipped[None, None])
    return filtered.reshape(n, c, *filtered.shape[2:])[:, :, ::down, ::down]


def blur(
    x: Tensor, pad: int, *, gain: float = 1.0, stride: int = 1, bias: Tensor | None = None
) -> Tensor:
    """Filter (N,C,H,W) after padding `pad` zeros on all sides; keep every `stride`-th pixel.

    One depthwise 4x4 convolution: on CPUs faster than two with 4x1 taps, as memory is the limit;
    a bias (C,) comes along for nothing.
    """
    channels = x.shape[1]
    weight = kernel(x, gain).expand(channels, 1, 4, 4)
    return functional.conv2d(x, weight, bias, padding=pad, stride=stride, groups=channels)


def double(x: Tensor) -> Tensor:
    """Double (N,C,H,W) to (N,C,2H,2W): the reference with up 2 and pad (2,1).

    Even pixels see taps 1 and 3 of their left and own pixel, odd ones 3 and 1 of their own and
    right one; outside the picture is zero.
    """
    n, c, h, w = x.shape
    line = torch.tensor([[1.0, 3.0, 0.0], [0.0, 3.0, 1.0]], dtype=x.dtype, device=x.device) / 4
    phases = torch.einsum("ai,bj->abij", line, line).reshape(4, 1, 3, 3)
    answer = functional.conv2d(x.reshape(n * c, 1, h, w), phases, padding=1)
    return functional.pixel_shuffle(answer, 2).reshape(n, c, 2 * h, 2 * w)
