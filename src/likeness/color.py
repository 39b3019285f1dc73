"""Color vocabulary: what the H.273 code points of a clip mean, and the sums behind them.

Convention:
    RGB is float32 in [0,1] in the clip's own transfer and primaries: no gamut or tone mapping is
    done anywhere. Matrices follow ITU-T H.273 table 4, ranges its equations 26 to 31.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import torch

from likeness.errors import MediaError
from likeness.types import ColorTags

log = logging.getLogger(__name__)

UNSPECIFIED = 2
RGB_MATRIX = 0
BT709_MATRIX = 1
BT601_MATRIX = 6
LINEAR_TRANSFER = 8
SRGB_TRANSFER = 13

MATRIX_NAMES = {
    0: "RGB",
    1: "BT.709",
    2: "unspecified",
    4: "FCC",
    5: "BT.601 (625 lines)",
    6: "BT.601 (525 lines)",
    7: "SMPTE 240M",
    9: "BT.2020",
}
PRIMARIES_NAMES = {
    1: "BT.709",
    2: "unspecified",
    4: "BT.470 M",
    5: "BT.601 (625 lines)",
    6: "BT.601 (525 lines)",
    7: "SMPTE 240M",
    8: "film",
    9: "BT.2020",
    10: "XYZ",
    11: "DCI-P3",
    12: "Display P3",
    22: "EBU 3213",
}
TRANSFER_NAMES = {
    1: "BT.709",
    2: "unspecified",
    4: "gamma 2.2",
    5: "gamma 2.8",
    6: "BT.601",
    7: "SMPTE 240M",
    8: "linear",
    11: "xvYCC",
    13: "sRGB",
    14: "BT.2020 (10 bit)",
    15: "BT.2020 (12 bit)",
    16: "PQ",
    17: "SMPTE 428",
    18: "HLG",
}

_LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
"""Weights of red and blue in luma, by matrix code point."""


def describe(tags: ColorTags) -> str:
    """Say what `tags` mean, for people."""
    return (
        f"{PRIMARIES_NAMES.get(tags.primaries, tags.primaries)} primaries, "
        f"{TRANSFER_NAMES.get(tags.transfer, tags.transfer)} transfer, "
        f"{MATRIX_NAMES.get(tags.matrix, tags.matrix)} matrix, "
        f"{'full' if tags.full_range else 'limited'} range"
    )


def coded_tags(tags: ColorTags, lines: int) -> ColorTags:
    """Return tags whose matrix can code luma and chroma, guessing what is not specified.

    The guess is the one that players make: BT.709 for 720 lines and more, BT.601 below. RGB
    (pictures) becomes luma and chroma of the same matrix in limited range.

    Args:
        tags: As read from a clip.
        lines: Rows of the coded picture.

    Raises:
        MediaError: The matrix is one that this program has no sums for.
    """
    guess = BT709_MATRIX if lines >= 720 else BT601_MATRIX
    if tags.matrix == RGB_MATRIX:
        return replace(tags, matrix=guess, full_range=False)
    if tags.matrix == UNSPECIFIED:
        log.info("no color matrix is specified; %s is assumed", MATRIX_NAMES[guess])
        return replace(tags, matrix=guess)
    if tags.matrix not in _LUMA_WEIGHTS:
        raise MediaError(
            f"color matrix {tags.matrix} of H.273 was found, expected one of "
            f"{sorted(_LUMA_WEIGHTS)}; convert the clip to BT.709 or BT.2020 first"
        )
    return tags


def _swing(full_range: bool, bits: int) -> tuple[float, float, float, float]:
    """Return black level, luma swing, chroma zero and chroma swing in code values."""
    step = float(1 << (bits - 8))
    if full_range:
        top = float((1 << bits) - 1)
        return 0.0, top, 128 * step, top
    return 16 * step, 219 * step, 128 * step, 224 * step


def rgb_from_yuv(yuv: torch.Tensor, tags: ColorTags, bits: int) -> torch.Tensor:
    """Turn code values into RGB, H.273 equations 20 to 31 inverted.

    Args:
        yuv: (3,H,W) float32 code values of `bits` bits: luma, blue and red difference.
        tags: With a specified matrix (see `coded_tags`).
        bits: Depth of a code value, 8 to 16.

    Returns:
        (3,H,W) float32 RGB clamped to [0,1].
    """
    red, blue = _LUMA_WEIGHTS[tags.matrix]
    green = 1 - red - blue
    black, luma_swing, zero, chroma_swing = _swing(tags.full_range, bits)
    y = (yuv[0] - black) * (1 / luma_swing)
    u = (yuv[1] - zero) * (1 / chroma_swing)
    v = (yuv[2] - zero) * (1 / chroma_swing)
    rgb = torch.stack([y, y, y])
    rgb[0].add_(v, alpha=2 * (1 - red))
    rgb[1].sub_(v, alpha=2 * (1 - red) * red / green)
    rgb[1].sub_(u, alpha=2 * (1 - blue) * blue / green)
    rgb[2].add_(u, alpha=2 * (1 - blue))
    return rgb.clamp_(0, 1)


def luma_from_rgb(rgb: torch.Tensor, tags: ColorTags, bits: int) -> torch.Tensor:
    """Return (H,W) luma code values, not rounded, of (3,H,W) RGB; see `yuv_from_rgb`."""
    red, blue = _LUMA_WEIGHTS[tags.matrix]
    black, swing, _, _ = _swing(tags.full_range, bits)
    y = rgb[0] * (red * swing)
    return (
        y.add_(rgb[1], alpha=(1 - red - blue) * swing).add_(rgb[2], alpha=blue * swing).add_(black)
    )


def yuv_from_rgb(rgb: torch.Tensor, tags: ColorTags, bits: int) -> torch.Tensor:
    """Turn RGB into code values, not rounded: the inverse of `rgb_from_yuv`.

    Args:
        rgb: (3,H,W) float32 in [0,1].
        tags: With a specified matrix (see `coded_tags`).
        bits: Depth of a code value, 8 to 16.

    Returns:
        (3,H,W) float32 luma, blue and red difference.
    """
    red, blue = _LUMA_WEIGHTS[tags.matrix]
    black, luma_swing, zero, chroma_swing = _swing(tags.full_range, bits)
    y = rgb[0] * red
    y.add_(rgb[1], alpha=1 - red - blue).add_(rgb[2], alpha=blue)
    u = (rgb[2] - y).mul_(chroma_swing / (2 * (1 - blue))).add_(zero)
    v = (rgb[0] - y).mul_(chroma_swing / (2 * (1 - red))).add_(zero)
    return torch.stack([y.mul_(luma_swing).add_(black), u, v])


def halve(rgb: torch.Tensor, left: bool) -> torch.Tensor:
    """Filter RGB down to the grid of 4:2:0 chroma (H.273 figure 10).

    Args:
        rgb: (3,H,W) with even or odd sizes; edges are repeated.
        left: Samples lie on even columns, between rows (type 0, MPEG-2 and later); else in the
            middle of four pixels (type 1, JPEG and MPEG-1).

    Returns:
        (3,ceil(H/2),ceil(W/2)).
    """
    height, width = rgb.shape[1:]
    if height % 2:
        rgb = torch.cat([rgb, rgb[:, -1:]], 1)
    rows = rgb[:, ::2] + rgb[:, 1::2]
    if width % 2:
        rows = torch.cat([rows, rows[:, :, -1:]], 2)
    even, odd = rows[:, :, ::2], rows[:, :, 1::2]
    if not left:
        return (even + odd).mul_(0.25)
    before = torch.cat([even[:, :, :1], odd[:, :, :-1]], 2)
    return (even * 2).add_(odd).add_(before).mul_(0.125)


def srgb_from_linear(linear: torch.Tensor) -> torch.Tensor:
    """Apply the sRGB curve (IEC 61966-2-1) to linear light in [0,1]; any shape."""
    safe = linear.clamp(min=0.0031308)
    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * safe.pow(1 / 2.4) - 0.055)


def linear_from_srgb(srgb: torch.Tensor) -> torch.Tensor:
    """Undo the sRGB curve: values in [0,1] to linear light; any shape."""
    return torch.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055).pow(2.4))
