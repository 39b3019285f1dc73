"""Blending two pictures band by band, so that no seam shows (Burt and Adelson 1983)."""

from __future__ import annotations

import torch
from torch.nn import functional

from likeness.types import check


def pyramid_blend(
    under: torch.Tensor, over: torch.Tensor, alpha: torch.Tensor, levels: int = 4
) -> torch.Tensor:
    """Lay one picture over another: each band of both is mixed by the equally blurred alpha.

    answer = sum_l (1 - G_l(a)) L_l(under) + G_l(a) L_l(over), L the Laplacian and G the Gaussian
    pyramid. Coarse bands mix over a wide border, fine ones over a narrow one.

    Args:
        under, over: (N,3,h,w) RGB in [0,1].
        alpha: (N,1,h,w) in [0,1].
        levels: bands; fewer where the picture is small.

    Returns:
        (N,3,h,w) in [0,1].
    """
    check(under.shape == over.shape, f"pictures of {under.shape} and {over.shape} don't match")
    stack = torch.cat([under, over, alpha], 1)
    bands, masks = [], []
    for _ in range(levels):
        if min(stack.shape[-2:]) < 8:
            break
        smaller = _reduce(stack)
        fine = stack - _expand(smaller, stack.shape[-2:])
        bands.append((fine[:, :3], fine[:, 3:6]))
        masks.append(stack[:, 6:])
        stack = smaller
    answer = torch.lerp(stack[:, :3], stack[:, 3:6], stack[:, 6:])
    for (below, above), mask in zip(reversed(bands), reversed(masks), strict=True):
        answer = _expand(answer, below.shape[-2:]) + torch.lerp(below, above, mask)
    return answer.clamp(0, 1)


def _reduce(picture: torch.Tensor) -> torch.Tensor:
    """Halve after the binomial filter [1 4 6 4 1]/16."""
    channels = picture.shape[1]
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=picture.dtype, device=picture.device) / 16
    kernel = (taps[:, None] * taps).expand(channels, 1, 5, 5)
    padded = functional.pad(picture, (2, 2, 2, 2), mode="replicate")
    return functional.conv2d(padded, kernel, stride=2, groups=channels)


def _expand(picture: torch.Tensor, size: torch.Size) -> torch.Tensor:
    return functional.interpolate(picture, size=tuple(size), mode="bilinear", align_corners=False)
