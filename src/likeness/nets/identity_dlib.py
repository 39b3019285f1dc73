"""Whose face is it? dlib's recognizer: a small residual network, 128 numbers per face.

After He et al., Deep Residual Learning for Image Recognition (CVPR 2016): the ResNet-34 with fewer
layers and half the channels, 29 convolutions, trained by Davis King with a metric loss. Weights:
`dlib_face_recognition_resnet_model_v1.dat`, dedicated to the public (CC0).
Differs: the affine layers, which were batch norms in training, are part of the convolutions before
them. Shortcuts have no weights: where a block halves the picture, its input is averaged over 2x2,
and what it lacks in channels, or the block's result in rows and columns, counts as 0.
Input:  rgb (N,3,150,150) in [0,1], the face chip of `condition.align.TEMPLATES["dlib_150"]`.
Output: code (N,128), not of length 1: two faces are one person's below a distance of 0.6.
5.57 M parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import ConfigError
from likeness.nets.folding import folded
from likeness.types import check

MEAN = (122.782, 117.001, 104.298)
"""Of red, green and blue in [0,255]."""
_SCALE = 256.0


@dataclass(frozen=True)
class DlibIdentityConfig:
    """Shape of the recognizer."""

    depths: tuple[int, ...] = (3, 4, 3, 3, 1)
    """Blocks per stage; the first block of every stage but the first halves the picture."""
    widths: tuple[int, ...] = (32, 64, 128, 256, 256)
    """Channels per stage; the stem has the first's."""
    code: int = 128
    """Numbers that describe a face."""
    size: int = 150
    """Side of the chip in pixels."""

    def __post_init__(self) -> None:
        if not 0 < len(self.depths) == len(self.widths) or min(self.depths) < 1:
            raise ConfigError(
                f"depths {self.depths} and widths {self.widths}: expected as many of one as of the "
                "other, and no stage without blocks"
            )
        if min(*self.widths, self.code) < 1 or list(self.widths) != sorted(self.widths):
            raise ConfigError(
                f"widths are {self.widths} and code is {self.code}, expected 1 or more and no "
                "stage narrower than the one before"
            )
        if not self._fits():
            raise ConfigError(f"size is {self.size}, too small for {len(self.depths)} stages")

    def _fits(self) -> bool:
        """Tell whether no unpadded kernel is larger than the maps that it meets."""
        if self.size < 11:  # less, and the stem's 7x7 kernel leaves too little for its pooling
            return False
        side = ((self.size - 7) // 2 + 1 - 3) // 2 + 1
        for _ in self.depths[1:]:
            if side < 3:
                return False
            side //= 2  # the average of 2x2; the convolution never leaves more
        return True


class Block(nn.Module):
    """ReLU(x + conv(ReLU(conv(x)))); `halve` gives the first convolution stride 2, unpadded."""

    def __init__(self, inside: int, outside: int, halve: bool) -> None:
        super().__init__()
        self.halve = halve
        self.first = nn.Conv2d(inside, outside, 3, 2 if halve else 1, padding=0 if halve else 1)
        self.second = nn.Conv2d(outside, outside, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,inside,h,w) to (N,outside,h,w), or to half of h and w, rounded down."""
        y = self.second(functional.relu(self.first(x)))
        if self.halve:
            x = functional.avg_pool2d(x, 2)
        rows, columns = max(x.shape[2], y.shape[2]), max(x.shape[3], y.shape[3])
        return functional.relu(_grown(x, y.shape[1], rows, columns) + _grown(y, 0, rows, columns))


def _grown(x: Tensor, channels: int, rows: int, columns: int) -> Tensor:
    """Append zeros to channels, rows and columns until there are so many of them."""
    missing = (columns - x.shape[3], rows - x.shape[2], max(channels - x.shape[1], 0))
    if not any(missing):
        return x
    return functional.pad(x, (0, missing[0], 0, missing[1], 0, missing[2]))


def stem_and_stages(
    depths: Sequence[int], widths: Sequence[int]
) -> tuple[nn.Conv2d, nn.ModuleList]:
    """Build the first convolution and the stages of so many blocks and channels each."""
    inside, stages = widths[0], nn.ModuleList()
    stem = nn.Conv2d(3, inside, 7, 2)
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        blocks = [Block(inside, width, stage > 0)]
        blocks += [Block(width, width, False) for _ in range(depth - 1)]
        stages.append(nn.Sequential(*blocks))
        inside = width
    return stem, stages


class DlibIdentity(nn.Module):
    """The recognizer; see the head of this file."""

    def __init__(self, config: DlibIdentityConfig) -> None:
        super().__init__()
        self.config = config
        self.stem, self.stages = stem_and_stages(config.depths, config.widths)
        self.project = nn.Linear(config.widths[-1], config.code, bias=False)

    def forward(self, rgb: Tensor) -> Tensor:
        """Map aligned RGB chips (N,3,size,size) in [0,1] to codes (N,code)."""
        mean = torch.tensor(MEAN, dtype=rgb.dtype, device=rgb.device).view(3, 1, 1)
        return self.describe((rgb * 255 - mean) / _SCALE)

    def describe(self, x: Tensor) -> Tensor:
        """Map chips (N,3,size,size), mean taken off and divided by 256, to codes (N,code).

        Raises:
            ContractError: the chips are of another size.
        """
        expected = (3, self.config.size, self.config.size)
        check(x.shape[1:] == expected, f"crops are {tuple(x.shape[1:])}, expected {expected}")
        x = functional.max_pool2d(functional.relu(self.stem(x)), 3, 2)
        for stage in self.stages:
            x = stage(x)
        answer: Tensor = self.project(x.float().mean((2, 3)))
        return answer

    def folded(self, dtype: torch.dtype = torch.float32) -> DlibIdentity:
        """Return a copy for inference, its convolutions in `dtype`; codes stay float32.

        Same answer up to rounding; the copy cannot be trained or loaded into.
        """
        return folded(self, {}, dtype, dtype)
