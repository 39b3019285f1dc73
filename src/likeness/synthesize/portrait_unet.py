"""The network inside the fast portrait: a U-Net at a quarter of the picture's resolution.

Every 4x4 pixels lie in one cell, as channels (space to depth, as in Shi et al., CVPR 2016,
read backward), so that no convolution runs over full or half resolution: what is sharp comes from
keyframes and passes through no convolution at all.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

CELL = 4
"""Side of a cell in pixels of the crop."""


class Residual(nn.Module):
    """x + conv(silu(conv(silu(x)))), starting near the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,width,h,w) to the same shape."""
        answer: Tensor = x + self.second(functional.silu(self.first(functional.silu(x))))
        return answer


class UNet(nn.Module):
    """Cells in, answers per pixel of each cell and corrections per cell out."""

    def __init__(
        self, told: int, widths: tuple[int, ...], code: int, answers: int, corrections: int
    ) -> None:
        """Build it.

        Args:
            told: channels of a cell.
            widths: channels per level, the first at a quarter of the resolution; two or more.
            code: numbers that modulate the two deepest levels.
            answers: per pixel.
            corrections: per cell.
        """
        super().__init__()
        self.widths = widths
        self.stem = nn.Conv2d(told, widths[0], 1)
        pairs = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairs)
        self.encode = nn.ModuleList(Residual(width) for width in widths[1:])
        self.style = nn.Sequential(
            nn.Linear(code, 128), nn.SiLU(), nn.Linear(128, 2 * widths[-1] + 2 * widths[-2])
        )
        self.up = nn.ModuleList(nn.Conv2d(b + a, a, 3, padding=1) for a, b in reversed(pairs))
        self.decode = nn.ModuleList(Residual(width) for width in reversed(widths[:-1]))
        self.flow = nn.Conv2d(widths[0], corrections, 3, padding=1)
        self.head = nn.Conv2d(widths[0], CELL * CELL * answers, 1)
        self._initialize()

    def _initialize(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=0.5)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
            if isinstance(module, Residual):
                module.second.weight.data.mul_(0.1)
        # The first answer is the plain blend of the geometric warps: already a face.
        nn.init.normal_(self.flow.weight, 0, 1e-3)
        nn.init.normal_(self.head.weight, 0, 3e-3)

    def forward(self, x: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Map cells (N,C,q,q) and code (N,D) to (N,16A,q,q) answers and (N,F,q,q) corrections."""
        h = self.stem(x.contiguous(memory_format=torch.channels_last))
        a, b = self.widths[-1], self.widths[-2]
        scale_a, shift_a, scale_b, shift_b = self.style(code)[..., None, None].split(
            [a, a, b, b], 1
        )
        skips = [h]
        for level, (down, encode) in enumerate(zip(self.down, self.encode, strict=True)):
            h = encode(down(functional.silu(h)) if level == 0 else down(h))
            if level == len(self.down) - 2:
                h = h * (1 + scale_b) + shift_b
            skips.append(h)
        h = skips.pop() * (1 + scale_a) + shift_a
        for up, decode in zip(self.up, self.decode, strict=True):
            h = functional.interpolate(h, scale_factor=2, mode="nearest")
            h = decode(up(torch.cat([h, skips.pop()], 1)))
        h = functional.silu(h)
        return self.head(h), self.flow(h)
