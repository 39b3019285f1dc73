"""A mouth from many: per-pixel medians of candidate pictures, with sharp teeth from one of them.

Paper: Suwajanakorn, Seitz, Kemelmacher-Shlizerman, Synthesizing Obama (ACM TOG 36(4), 2017),
section 4.2 and 4.3: the n frames whose mouth shapes are nearest, a weighted median, teeth detail
added from a proxy frame. No network, nothing learned.
Differs: values are [0,1]; thresholds of the teeth are those of a public re-implementation divided
by 255; the high-pass filter's width follows the texture's size.
Input: candidates (n,3,h,w) in [0,1], weights (n,). Output: (3,h,w) in [0,1].
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from likeness.types import Floats, Ints, check

TEETH_VALUE, TEETH_SATURATION = 60 / 255, 150 / 255
"""Teeth are brighter than the first and paler than the second (HSV)."""
_SHARPEN, _SHARPEN_SIGMA = 0.5, 1.0


def weighted_median(values: Tensor, weights: Tensor) -> Tensor:
    """Find the value below which half of the weight lies, element by element.

    Args:
        values: (n,...).
        weights: (n,...) broadcastable to the values, not negative.

    Returns:
        (...): one of the n values each, the first at which the sum of weights, in increasing order
        of value, reaches half of the total. A weight above half decides alone.
    """
    check(len(values) == len(weights) > 0, f"{len(values)} values, {len(weights)} weights")
    ordered, order = values.sort(0)
    weight = weights.expand_as(values).gather(0, order).cumsum(0)
    reached = (weight >= 0.5 * weight[-1:]).float().argmax(0, keepdim=True)
    return ordered.gather(0, reached)[0]


def nearest_weights(distances: Floats, count: int, share: float = 0.9) -> tuple[Ints, Floats]:
    """Choose the nearest candidates and weigh them: w_i = exp(-d_i / (2 sigma^2)).

    Sigma is found by bisection so that the `count` nearest hold `share` of all weight.

    Args:
        distances: (G,) to every candidate.
        count: candidates to keep.
        share: of the weight.

    Returns:
        (count,) indices, nearest first, and (count,) weights of sum one.
    """
    order = np.argsort(distances, kind="stable")
    ordered = np.asarray(distances[order] - distances[order[0]], np.float64)
    kept = min(count, len(order))
    # In t = log(1 / (2 sigma^2)) the share held by the nearest grows from count / G to 1.
    low, high = -20.0, 20.0
    for _ in range(50):
        middle = (low + high) / 2
        weight = np.exp(-ordered * np.exp(middle))
        low, high = (middle, high) if weight[:kept].sum() < share * weight.sum() else (low, middle)
    weight = np.exp(-ordered[:kept] * np.exp(high))
    return order[:kept].astype(np.int64), (weight / weight.sum()).astype(np.float32)


def teeth_mask(texture: Tensor, between: Tensor) -> Tensor:
    """Find teeth: bright and pale pixels between the lips.

    Args:
        texture: (N,3,h,w) in [0,1].
        between: (N,1,h,w) 1 between the inner lip lines.

    Returns:
        (N,1,h,w) in [0,1], soft by a pixel.
    """
    value = texture.amax(1, keepdim=True)
    saturation = 1 - texture.amin(1, keepdim=True) / value.clamp_min(1e-4)
    teeth = (value >= TEETH_VALUE) & (saturation <= TEETH_SATURATION)
    return blur(teeth.float() * between, 0.8)


def high_pass(proxy: Tensor, sigma: float) -> Tensor:
    """Return what a blurred copy of (N,3,h,w) lacks, plus a half: grey where there is no detail."""
    return (proxy - blur(proxy, sigma) + 0.5).clamp(0, 1)


def overlay(texture: Tensor, detail: Tensor) -> Tensor:
    """Overlay detail: 2 h I where h < 1/2, else 1 - 2 (1 - h)(1 - I); grey changes nothing."""
    dark, light = 2 * detail * texture, 1 - 2 * (1 - detail) * (1 - texture)
    return torch.where(detail < 0.5, dark, light)


def sharpen(texture: Tensor) -> Tensor:
    """Unsharp mask: I + k (I - G * I)."""
    return (texture + _SHARPEN * (texture - blur(texture, _SHARPEN_SIGMA))).clamp(0, 1)


def blur(picture: Tensor, sigma: float) -> Tensor:
    """Gaussian of (N,C,h,w), borders repeated."""
    reach = min(max(1, int(np.ceil(3 * sigma))), min(picture.shape[-2:]) - 1)
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma).square())
    taps = (taps / taps.sum()).to(picture.device)
    channels = picture.shape[1]
    along = taps.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    across = taps.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    padded = functional.pad(picture, (reach,) * 4, mode="replicate")
    return functional.conv2d(
        functional.conv2d(padded, across, groups=channels), along, groups=channels
    )
