"""How near a picture is to the real one: PSNR, SSIM, sharpness.

Pictures are (n,3,h,w) RGB in [0,1]; answers are one number per picture, (n,) float32, NaN where a
mask is empty.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from likeness.metrics.regions import shrink
from likeness.types import Bools, Floats, check

PSNR_CEILING = 100.0
"""dB given to a perfect copy, so that means stay finite."""
_LUMA = (0.299, 0.587, 0.114)
_BORDER = 2
_REACH = 5


def psnr(result: Tensor, real: Tensor, mask: Bools | None = None) -> Floats:
    """Peak signal-to-noise ratio, 10 log10(1 / mean squared error), in dB.

    Args:
        result, real: (n,3,h,w) in [0,1].
        mask: (n,h,w) pixels that count; all of them when None.

    Returns:
        (n,) dB, at most PSNR_CEILING; NaN where the mask is empty.

    Raises:
        ContractError: the pictures differ in shape.
    """
    _check_pair(result, real)
    # Frame by frame: a window of large frames in double would fill the memory.
    mean = np.full(len(real), np.nan)
    for index, (a, b) in enumerate(zip(result, real, strict=True)):
        error = (a.double() - b.double()).square_().mean(0).numpy()
        if mask is not None:
            error = error[mask[index]]
        if error.size:
            mean[index] = error.mean()
    answer: Floats = -10 * np.log10(np.maximum(mean, 10 ** (-PSNR_CEILING / 10)))
    return answer.astype(np.float32)


def ssim(result: Tensor, real: Tensor) -> Floats:
    """Structural similarity (Wang et al. 2004, equation 13), mean over channels and pixels.

    Gaussian window 11x11 of sigma 1.5, K1 = 0.01, K2 = 0.03, windows that lie wholly inside.

    Returns:
        (n,) in [-1,1].

    Raises:
        ContractError: the pictures differ in shape or are smaller than the window.
    """
    _check_pair(result, real)
    check(min(real.shape[-2:]) >= 11, f"SSIM needs 11x11 pixels, found {tuple(real.shape[-2:])}")
    c1, c2 = 0.01**2, 0.03**2
    answer = np.empty((len(real), 3))
    for index in np.ndindex(*answer.shape):
        # The variances are small differences of large numbers: double keeps their digits.
        x, y = (pictures[index].double().numpy() for pictures in (result, real))
        mx, my, xx, yy, xy = (_gaussian(plane) for plane in (x, y, x * x, y * y, x * y))
        luminance = (2 * mx * my + c1) / (mx * mx + my * my + c1)
        structure = (2 * (xy - mx * my) + c2) / (xx - mx * mx + yy - my * my + c2)
        answer[index] = (luminance * structure).mean()
    similarity: Floats = answer.mean(1).astype(np.float32)
    return similarity


def detail_energies(result: Tensor, real: Tensor, hull: Bools) -> Floats:
    """Detail inside the face, of either picture and of both: mean products of Laplacians.

    Args:
        result, real: (n,3,h,w) in [0,1].
        hull: (n,h,w) from `face_hull`; shrunk here by 2 pixels, so that its border doesn't count.

    Returns:
        (n,3) mean over luma of result squared, real squared, result times real; NaN where the hull
        is empty.
    """
    _check_pair(result, real)
    a, b = _laplacian(result), _laplacian(real)
    inside = shrink(hull, _BORDER)
    count = inside.sum((1, 2))
    sums = [
        np.where(inside, product, 0).sum((1, 2), dtype=np.float64)
        for product in (a * a, b * b, a * b)
    ]
    means = np.stack(sums, -1) / np.maximum(count, 1)[:, None]
    answer: Floats = np.where(count[:, None] > 0, means, np.nan).astype(np.float32)
    return answer


def sharpness(result: Tensor, real: Tensor, hull: Bools) -> Floats:
    """Root of the ratio of Laplacian energies, result over real, inside the face.

    Returns:
        (n,); 1 is as sharp as real, below is blurred, above is over-sharpened or noisy.
    """
    energies = detail_energies(result, real, hull)
    answer: Floats = np.sqrt(energies[:, 0] / np.maximum(energies[:, 1], 1e-12))
    return answer


def _laplacian(pictures: Tensor) -> Floats:
    gray = functional.pad(luma(pictures)[:, None], (1, 1, 1, 1), mode="replicate")
    kernel = gray.new_tensor([[0, 1, 0], [1, -4, 1], [0, 1, 0]]).view(1, 1, 3, 3)
    answer: Floats = functional.conv2d(gray, kernel)[:, 0].numpy()
    return answer


def luma(pictures: Tensor) -> Tensor:
    """Return (n,h,w) BT.601 luma of (n,3,h,w) RGB."""
    return (pictures * pictures.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(1)


def _gaussian(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Filter (h,w) along both axes and keep the (h-10,w-10) where the window fits."""
    steps = np.arange(-_REACH, _REACH + 1)
    taps = np.exp(-(steps**2) / (2 * 1.5**2))
    taps /= taps.sum()
    blurred: NDArray[np.float64] = ndimage.correlate1d(
        ndimage.correlate1d(plane, taps, 0)[_REACH:-_REACH], taps, 1
    )[:, _REACH:-_REACH]
    return blurred


def _check_pair(result: Tensor, real: Tensor) -> None:
    check(
        result.shape == real.shape and real.ndim == 4 and real.shape[1] == 3,
        f"result {tuple(result.shape)} and real {tuple(real.shape)} must both be (n, 3, h, w)",
    )
