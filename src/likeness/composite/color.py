"""Bringing a drawn face to the colors of the picture that it is laid into."""

from __future__ import annotations

import torch
from torch.nn import functional

_EPSILON = 0.02


def low_pass(rgb: torch.Tensor, like: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Multiply a picture by the ratio of two low passes, so that its light is the other's.

    answer = rgb (B(w like) + e) / (B(w rgb) + e), B a wide blur and w where both are known.

    Args:
        rgb: (N,3,h,w) in [0,1].
        like: (N,3,h,w) in [0,1].
        weight: (N,1,h,w) in [0,1]: where both show a face.

    Returns:
        (N,3,h,w) in [0,1].
    """
    known = torch.cat([rgb * weight, like * weight, weight], 1)
    size = (known.shape[2], known.shape[3])
    small = functional.interpolate(known, size=(32, 32), mode="bilinear", antialias=True)
    for _ in range(3):
        small = functional.avg_pool2d(small, 7, 1, 3, count_include_pad=False)
    share = small[:, 6:].clamp_min(1e-3)
    own, theirs = small[:, :3] / share, small[:, 3:6] / share
    ratio = ((theirs + _EPSILON) / (own + _EPSILON)).clamp(0.25, 4)
    ratio = functional.interpolate(ratio, size=size, mode="bilinear", align_corners=False)
    return (rgb * ratio).clamp(0, 1)
