"""A compact network that puts any person's face on any other's, small enough for two cores.

No paper's: a U-Net whose bottleneck is SimSwap's identity injection (Chen et al., ACM MM 2020,
section 3.2: convolution, instance norm, scale and shift by the code), with skips that the code
scales and shifts too (Perez et al., FiLM, AAAI 2018), because unmodulated ones would carry the
target's brows and beard into the result. It answers RGB and alpha, so that what lies around the
face stays the target's own pixels; pictures are folded 2x2 into channels at both ends.
Input:  rgb (N,3,S,S) in [0,1], the target's aligned crop; code (N,D), the source's face as the
recognizer it was trained with gives it, of any length.
Output: (N,4,S,S) in [0,1]: the source's face in the target's place, and where it is to be shown.
At its default size 1.73 M parameters and 0.60 GMAC for a crop of 128 pixels.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import convert_conv2d_weight_memory_format

from likeness.errors import ConfigError
from likeness.nets.folding import folded
from likeness.synthesize.simswap import IdentityBlock
from likeness.types import check

_SLOPE = 0.1
_FOLD = 2
_ANSWER = 4
"""Channels of the answer: RGB and alpha."""


@dataclass(frozen=True)
class CompactConfig:
    """Shape of the network."""

    widths: tuple[int, ...] = (32, 64, 128)
    """Channels at half size and after each further halving."""
    blocks: int = 4
    """Identity injection modules."""
    code: int = 128
    """Numbers in the source's code."""

    def __post_init__(self) -> None:
        if len(self.widths) < 2 or min(*self.widths, self.blocks, self.code) < 1:
            raise ConfigError(
                f"widths {self.widths}, blocks {self.blocks}, code {self.code}: expected two or "
                "more widths, and all of them 1 or more"
            )


class Told(nn.Module):
    """Scale and shift of each channel by the code: (1 + s(c)) x + t(c), both linear, at first 0."""

    def __init__(self, width: int, code: int) -> None:
        super().__init__()
        self.style = nn.Linear(code, 2 * width)
        nn.init.zeros_(self.style.weight)
        nn.init.zeros_(self.style.bias)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Map (N,width,h,w) and (N,code) to (N,width,h,w)."""
        scale, shift = self.style(code)[:, :, None, None].chunk(2, 1)
        return torch.addcmul(shift, x, scale + 1)


class Rise(nn.Module):
    """Double the size, join what lies beside, convolve."""

    def __init__(self, inside: int, beside: int, code: int) -> None:
        super().__init__()
        self.skip = Told(beside, code)
        self.conv = nn.Conv2d(inside + beside, beside, 3, padding=1)
        self.told = Told(beside, code)

    def forward(self, x: Tensor, beside: Tensor, code: Tensor) -> Tensor:
        """Map (N,inside,h,w) and (N,beside,2h,2w) to (N,beside,2h,2w)."""
        x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        x = self.conv(torch.cat([x, self.skip(beside, code)], 1))
        return functional.leaky_relu(self.told(x, code), _SLOPE)


class Compact(nn.Module):
    """The network; see the head of this file."""

    center: Tensor
    scale: Tensor

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.register_buffer("center", torch.zeros(config.code))
        self.register_buffer("scale", torch.ones(()))
        self.stem = nn.Conv2d(3 * _FOLD**2, widths[0], 3, padding=1)
        pairs = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, 2, padding=1) for a, b in pairs)
        self.blocks = nn.ModuleList(
            IdentityBlock(widths[-1], config.code) for _ in range(config.blocks)
        )
        self.up = nn.ModuleList(Rise(b, a, config.code) for a, b in reversed(pairs))
        self.head = nn.Conv2d(widths[0], _ANSWER * _FOLD**2, 3, padding=1)
        convert_conv2d_weight_memory_format(self, torch.channels_last)

    @torch.no_grad()
    def count_from(self, center: Tensor, spread: float) -> None:
        """Let codes be counted from a center (D,), in units of `spread`.

        A recognizer's codes have most of their length in common; what tells people apart is small.
        """
        self.center.copy_(center)
        self.scale.fill_(1 / spread)

    def forward(self, rgb: Tensor, code: Tensor) -> Tensor:
        """Put the identity of `code` on the faces in `rgb`; see the head of this file.

        Raises:
            ContractError: pictures and codes do not fit each other or the network.
        """
        rate = _FOLD * 2 ** len(self.down)
        check(
            rgb.shape[2] % rate == 0 and rgb.shape[3] % rate == 0,
            f"the crops are {tuple(rgb.shape[2:])}, expected multiples of {rate}",
        )
        expected = (rgb.shape[0], self.config.code)
        check(code.shape == expected, f"the codes are {tuple(code.shape)}, expected {expected}")
        code = (code - self.center) * self.scale
        x = functional.pixel_unshuffle(rgb * 2 - 1, _FOLD)
        x = x.contiguous(memory_format=torch.channels_last)
        x = functional.leaky_relu(self.stem(x), _SLOPE)
        beside = []
        for step in self.down:
            beside.append(x)
            x = functional.leaky_relu(step(x), _SLOPE)
        for block in self.blocks:
            x = block(x, code)
        for rise in self.up:
            x = rise(x, beside.pop(), code)
        drawn = functional.pixel_shuffle(self.head(x), _FOLD).float()
        # What is drawn is a change of the target: where nothing changes, nothing has to be drawn.
        face = (rgb + torch.tanh(drawn[:, :3])).clamp(0, 1)
        return torch.cat([face, torch.sigmoid(drawn[:, 3:])], 1)

    def folded(self, dtype: torch.dtype = torch.float32) -> Compact:
        """Return a copy for inference, its convolutions in `dtype`; pictures stay float32.

        Same answer up to rounding; the copy cannot be trained or loaded into.
        """
        return folded(self, {}, dtype, exact=("",))


def laid(answer: Tensor, target: Tensor) -> Tensor:
    """Lay an answer (N,4,S,S) over the targets (N,3,S,S): the picture of the swap."""
    return torch.lerp(target, answer[:, :3], answer[:, 3:])
