"""What a file's coding explains by itself, so that no signal takes it for somebody's doing.

Coders that cut the picture into blocks leave traces that repeat after 4 or 8 pixels: peaks at
multiples of an eighth of a cycle per pixel, and not everywhere alike, because a coder spends its
bits where it sees fit. Palettes and their dithering leave regular patterns of any kind, and flicker
where a color lies between two entries. Coders that predict over time freeze what moves little.
A sign that the coding explains counts for `MOST` at the most, and the coding is named.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from likeness.types import Bools, Clip

MOST = 0.5
"""Largest score of what a coding explains: a weak sign, short of a clear one."""
_EIGHTH = 8
"""Grid lines lie at multiples of this part of a cycle per pixel."""
_COLORS = 256
_NAMES = {
    "mjpeg": "Motion JPEG",
    "jpg": "JPEG",
    "jpeg": "JPEG",
    "webp": "WebP",
    "h264": "H.264",
    "hevc": "HEVC",
    "av1": "AV1",
    "libdav1d": "AV1",
    "vp8": "VP8",
    "vp9": "VP9",
    "mpeg1video": "MPEG-1",
    "mpeg2video": "MPEG-2",
    "mpeg4": "MPEG-4",
    "prores": "ProRes",
    "dnxhd": "DNxHD",
    "dvvideo": "DV",
    "theora": "Theora",
    "flv": "Flash video",
    "wmv1": "Windows Media",
    "wmv2": "Windows Media",
    "jpeg2000": "JPEG 2000",
    "gif": "GIF",
}
_LOSSLESS = frozenset(
    [
        "ffv1",
        "huffyuv",
        "ffvhuff",
        "utvideo",
        "rawvideo",
        "v210",
        "v410",
        "r210",
        "png",
        "apng",
        "tif",
        "tiff",
        "bmp",
        "dpx",
        "exr",
        "qtrle",
        "magicyuv",
        "lagarith",
        "zlib",
        "flashsv2",
        "tscc",
    ]
)
"""Coders that give back what they got."""
_PALETTES = frozenset(["gif", "msvideo1", "smc", "8bps", "msrle", "cinepak"])
"""Coders with few colors, or few patterns, to choose from."""


@dataclass(frozen=True)
class Coding:
    """How a clip is coded, as far as signals must know it."""

    name: str
    """For people."""
    blocks: bool
    """It cuts the picture into blocks, and loses something in each."""
    palette: bool
    """It has few colors, so that what lies between is dithered."""

    @property
    def lossy(self) -> bool:
        """Tell whether anything of the coding can be in the picture."""
        return self.blocks or self.palette


def coding_of(clip: Clip) -> Coding:
    """Return what is known of a clip's coding; an unknown one explains nothing.

    >>> from fractions import Fraction
    >>> from pathlib import Path
    >>> facts = (Path("a.gif"), "", (2, 2), np.arange(1), Fraction(1), 1)
    >>> coding_of(Clip(*facts, codec="gif"))
    Coding(name='GIF', blocks=False, palette=True)
    """
    codec = clip.codec.lower()
    name = _NAMES.get(codec, codec or "an unknown coder")
    if codec in _PALETTES:
        return Coding(name, False, True)
    return Coding(name, bool(codec) and codec not in _LOSSLESS, False)


class ColorCount:
    """Counts the colors of a clip's first frame: a palette shows through any lossless coder."""

    def __init__(self) -> None:
        self.few = False
        self._looked = False

    def look(self, frames: torch.Tensor) -> None:
        """Take in (n,3,H,W) frames; only the first of all is counted. Gray is no palette."""
        if self._looked or not len(frames):
            return
        self._looked = True
        pixels = (frames[0] * 255 + 0.5).to(torch.int32).clamp(0, 255)
        if bool((pixels[0] == pixels[1]).all() and (pixels[1] == pixels[2]).all()):
            return
        colors = pixels[0] << 16 | pixels[1] << 8 | pixels[2]
        self.few = len(torch.unique(colors)) <= _COLORS


def on_grid(side: int) -> Bools:
    """Tell which bins (side,side) of a centered spectrum a block coder may leave peaks at.

    Multiples of an eighth of a cycle in both directions; `side` is a multiple of 8.
    """
    there = (np.arange(side) - side // 2) % (side // _EIGHTH) == 0
    return np.outer(there, there)
