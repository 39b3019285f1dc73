"""Losses: pure functions from tensors to one number, each with its equation.

Pictures are (N,3,h,w) in [0,1]; weights broadcast against them, (N,1,h,w) as a rule; logits have
any shape. Every function returns a float32 scalar and adds in float32, also under autocast.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from likeness.types import check

_EPSILON = 1e-6


def l1(result: Tensor, real: Tensor, weight: Tensor | None = None) -> Tensor:
    """Weighted mean absolute error.

    E = sum_i w_i |x_i - y_i| / sum_i w_i, over pixels and channels; w = 1 where not given. A 0/1
    weight is a mask. (Deep Video Portraits, E_l1.)
    """
    return _mean((result.float() - real.float()).abs(), weight)


def charbonnier(
    result: Tensor, real: Tensor, weight: Tensor | None = None, epsilon: float = 1e-3
) -> Tensor:
    """Smooth absolute error: E = mean_w( sqrt(d^2 + epsilon^2) - epsilon ), d = x - y."""
    difference = result.float() - real.float()
    return _mean((difference.square() + epsilon**2).sqrt() - epsilon, weight)


def gradient(result: Tensor, real: Tensor, weight: Tensor | None = None) -> Tensor:
    """Absolute error of neighbor differences along x and y.

    E = mean_w |D_x (x - y)| + mean_w |D_y (x - y)|, D_x f(u,v) = f(u+1,v) - f(u,v).
    """
    d = result.float() - real.float()
    across = (d[..., :, 1:] - d[..., :, :-1]).abs()
    along = (d[..., 1:, :] - d[..., :-1, :]).abs()
    if weight is None:
        return across.mean() + along.mean()
    weight = weight.expand(*weight.shape[:-2], *d.shape[-2:])
    return _mean(across, weight[..., :, 1:]) + _mean(along, weight[..., 1:, :])


def laplacian_pyramid(
    result: Tensor, real: Tensor, weight: Tensor | None = None, levels: int = 3
) -> Tensor:
    """Absolute error band by band, the finest counting as much as the coarsest.

    E = 1/L sum_l mean_w |B_l (x - y)|, with B_l the bands of Burt and Adelson's pyramid (5-tap
    binomial filter, halving) without the low-pass rest. Linear, so the bands of the difference are
    the difference of the bands.

    Raises:
        ContractError: the picture is too small for so many levels.
    """
    d = result.float() - real.float()
    check(
        levels >= 1 and min(d.shape[-2:]) >= 2 ** (levels + 1),
        f"{levels} levels of a {tuple(d.shape[-2:])} picture, expected 1 or more and sides of at "
        f"least {2 ** (levels + 1)}",
    )
    total = torch.zeros((), device=d.device)
    for _ in range(levels):
        low = _blur(d)
        total = total + _mean((d - low).abs(), weight)
        d = low[..., ::2, ::2]
        weight = None if weight is None else functional.avg_pool2d(weight, 2, ceil_mode=True)
    return total / levels


def texture(result: Tensor, real: Tensor, weight: Tensor | None = None, patch: int = 8) -> Tensor:
    """Absolute error of local contrast: how much fine detail there is, wherever it lies.

    E = mean_w | P|D x| - P|D y| |, with D the 3x3 Laplacian and P the mean over overlapping
    patches. Unlike a pixel error it does not reward blur where detail cannot be placed exactly.
    """
    error = (_contrast(result.float(), patch) - _contrast(real.float(), patch)).abs()
    if weight is not None:
        weight = functional.avg_pool2d(weight.expand(-1, 1, -1, -1), patch, patch // 2)
    return _mean(error, weight)


def _contrast(picture: Tensor, patch: int) -> Tensor:
    inner = picture[..., 1:-1, 1:-1] * 4
    around = picture[..., :-2, 1:-1] + picture[..., 2:, 1:-1]
    across = picture[..., 1:-1, :-2] + picture[..., 1:-1, 2:]
    detail = (inner - around - across).abs().mean(1, keepdim=True)
    return functional.avg_pool2d(functional.pad(detail, (1, 1, 1, 1)), patch, patch // 2)


def dssim(result: Tensor, real: Tensor, window: int = 11) -> Tensor:
    """Structural dissimilarity, (1 - SSIM) / 2: 0 for equal pictures.

    SSIM of Wang et al. (2004), equation 13, with a Gaussian of deviation 1.5 cut to `window` pixels
    (also an even number of them), where it lies wholly inside; k1 = 0.01, k2 = 0.03.

    Args:
        result, real: (N,C,h,w) in [0,1].
        window: side of the window in pixels.

    Raises:
        ContractError: the picture is smaller than the window.
    """
    x, y = result.float(), real.float()
    side = min(x.shape[-2:])
    check(1 <= window <= side, f"a window of {window} on a side of {side}, expected one that fits")
    # One filter over all of them, each channel by itself.
    means = _windowed(torch.cat([x, y, x * x + y * y, x * y], 1), window)
    mean_x, mean_y, squares, product = means.chunk(4, 1)
    shift, both = mean_x * mean_y, mean_x.square() + mean_y.square()
    luminance = (2 * shift + 1e-4) / (both + 1e-4)
    structure = (2 * (product - shift) + 9e-4) / (squares - both + 9e-4)
    return (1 - (luminance * structure).mean()) / 2


def _windowed(picture: Tensor, window: int) -> Tensor:
    """Weighted means over a Gaussian of deviation 1.5, window by window."""
    channels = picture.shape[1]
    places = torch.arange(window, dtype=torch.float32, device=picture.device) - (window - 1) / 2
    taps = torch.softmax(-places.square() / (2 * 1.5**2), 0)
    across = taps.view(1, 1, 1, -1).expand(channels, 1, 1, window)
    along = taps.view(1, 1, -1, 1).expand(channels, 1, window, 1)
    return functional.conv2d(
        functional.conv2d(picture, across, groups=channels), along, groups=channels
    )


def discriminator_log(real: Tensor, fake: Tensor) -> Tensor:
    """Cross entropy of the discriminator, halved as in pix2pix.

    E = 1/2 ( mean -log s(real) + mean -log(1 - s(fake)) ), s the logistic function. Chance level is
    log 2. (Goodfellow et al. 2014, equation 1.)
    """
    answer = functional.softplus(-real.float()).mean() + functional.softplus(fake.float()).mean()
    return 0.5 * answer


def generator_log(fake: Tensor) -> Tensor:
    """Non-saturating generator loss: E = mean -log s(fake)."""
    return functional.softplus(-fake.float()).mean()


def discriminator_hinge(real: Tensor, fake: Tensor) -> Tensor:
    """Hinge loss of the discriminator (Lim and Ye 2017).

    E = mean max(0, 1 - real) + mean max(0, 1 + fake); 2 for an undecided discriminator.
    """
    return functional.relu(1 - real.float()).mean() + functional.relu(1 + fake.float()).mean()


def generator_hinge(fake: Tensor) -> Tensor:
    """Generator's side of the hinge loss: E = -mean fake."""
    return -fake.float().mean()


def feature_matching(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Distance of discriminator activations (Wang et al., pix2pixHD, CVPR 2018, equation 4).

    E = 1/L sum_l mean |D_l(x) - D_l(y)|. The real side gets no gradient; the last entry of
    `PatchDiscriminator.features`, the logits, belongs to the adversarial loss: leave it out.

    Raises:
        ContractError: the lists are empty or differ in length.
    """
    check(
        len(real) == len(fake) > 0,
        f"{len(real)} real and {len(fake)} result layers, expected equally many, one at least",
    )
    parts = [(f.float() - r.detach().float()).abs().mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(parts).mean()


def _mean(error: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return error.mean()
    weight = weight.float().expand_as(error)
    return (error * weight).sum() / weight.sum().clamp_min(_EPSILON)


def _blur(picture: Tensor) -> Tensor:
    """Binomial filter [1 4 6 4 1]/16 along both axes, borders reflected."""
    channels = picture.shape[1]
    taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=picture.device) / 16
    across = taps.view(1, 1, 1, 5).expand(channels, 1, 1, 5)
    along = taps.view(1, 1, 5, 1).expand(channels, 1, 5, 1)
    padded = functional.pad(picture, (2, 2, 2, 2), mode="reflect")
    return functional.conv2d(
        functional.conv2d(padded, across, groups=channels), along, groups=channels
    )
