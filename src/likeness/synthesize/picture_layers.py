"""Layers of which networks are made that are told of a source by its picture."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import ConfigError
from likeness.types import check

SLOPE = 0.2
LEAST = 4
"""Side of the coarsest maps."""
FOLD = 2
"""Side of the blocks of pixels that are folded into channels."""


class Down(nn.Module):
    """A 4x4 convolution of stride 2, norm of all channels but for the first, leaky ReLU."""

    def __init__(self, inside: int, outside: int, norm: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, 4, 2, padding=1)
        self.norm = nn.GroupNorm(1, outside) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,inside,h,w) to (N,outside,h/2,w/2)."""
        return functional.leaky_relu(self.norm(self.conv(x)), SLOPE)


class Up(nn.Module):
    """Resizing to double, what lies beside, a 3x3 convolution, norm of all channels, leaky ReLU."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, 3, padding=1)
        self.norm = nn.GroupNorm(1, outside)

    def forward(self, x: Tensor, beside: Tensor | None = None) -> Tensor:
        """Map (N,A,h,w) and, if any, (N,B,2h,2w) to (N,outside,2h,2w), A + B being `inside`."""
        x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        if beside is not None:
            x = torch.cat([x, beside], 1)
        return functional.leaky_relu(self.norm(self.conv(x)), SLOPE)


class Unfold(nn.Module):
    """A 3x3 convolution whose channels unfold into blocks of 2x2, norm of all channels, leaky ReLU.

    Resizing smooths, and a picture made of few numbers would have to learn its edges against that.
    """

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, outside * FOLD**2, 3, padding=1)
        self.norm = nn.GroupNorm(1, outside)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,inside,h,w) to (N,outside,2h,2w)."""
        x = functional.pixel_shuffle(self.conv(x), FOLD)
        return functional.leaky_relu(self.norm(x), SLOPE)


class Encoder(nn.Module):
    """Halvings down to 4x4, and numbers of what is left."""

    def __init__(self, inside: int, widths: tuple[int, ...], numbers: int) -> None:
        super().__init__()
        pairs = itertools.pairwise((inside, *widths))
        self.down = nn.ModuleList(Down(a, b, index > 0) for index, (a, b) in enumerate(pairs))
        self.told = nn.Linear(widths[-1] * LEAST**2, numbers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,inside,S,S) to (N,numbers)."""
        for step in self.down:
            x = step(x)
        numbers: Tensor = self.told(x.flatten(1))
        return numbers


class Decoder(nn.Module):
    """A picture of numbers; the last doubling unfolds channels into blocks of 2x2 pixels.

    The others resize their maps, or unfold as well.
    """

    def __init__(
        self, numbers: int, widths: tuple[int, ...], outside: int, unfolds: bool = False
    ) -> None:
        super().__init__()
        self.first = nn.Linear(numbers, widths[-1] * LEAST**2)
        pairs = itertools.pairwise(widths[::-1])
        self.up = nn.ModuleList(Unfold(a, b) if unfolds else Up(a, b) for a, b in pairs)
        self.head = nn.Conv2d(widths[0], outside * FOLD**2, 3, padding=1)

    def forward(self, numbers: Tensor) -> Tensor:
        """Map (N,numbers) to logits (N,outside,S,S)."""
        x = self.first(numbers).reshape(len(numbers), -1, LEAST, LEAST)
        for step in self.up:
            x = step(x)
        return functional.pixel_shuffle(self.head(x), FOLD)


class UNet(nn.Module):
    """Halvings, further numbers at the coarsest maps, and back with what lies beside.

    At both ends blocks of 2x2 pixels are folded into channels: no convolution runs over all pixels.
    """

    def __init__(self, inside: int, widths: tuple[int, ...], outside: int, told: int = 0) -> None:
        super().__init__()
        pairs = itertools.pairwise((inside, *widths))
        self.down = nn.ModuleList(Down(a, b, index > 0) for index, (a, b) in enumerate(pairs))
        ins = (widths[-1] + told, *widths[-2:0:-1])
        self.up = nn.ModuleList(Up(a + b, b) for a, b in zip(ins, widths[-2::-1], strict=True))
        self.head = nn.Conv2d(widths[0] + inside * FOLD**2, outside * FOLD**2, 3, padding=1)

    def forward(self, x: Tensor, told: Tensor | None = None) -> Tensor:
        """Map (N,inside,S,S) and, if any, (N,told) to logits (N,outside,S,S)."""
        whole, beside = x, []
        for step in self.down:
            x = step(x)
            beside.append(x)
        x = beside.pop()
        if told is not None:
            x = torch.cat([x, told[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)
        for step in self.up:
            x = step(x, beside.pop())
        x = torch.cat([x, functional.pixel_unshuffle(whole, FOLD)], 1)
        return functional.pixel_shuffle(self.head(x), FOLD)


def prove_widths(size: int, widths: tuple[int, ...], *others: int) -> None:
    """Refuse shapes that cannot be.

    Raises:
        ConfigError: the halvings do not lead from `size` to 4x4, or a number is below 1.
    """
    if len(widths) < 2 or min(*widths, *others, 1) < 1:
        raise ConfigError(
            f"widths {widths}, numbers {others}: expected two or more widths, and 1 or more each"
        )
    if size != LEAST * 2 ** len(widths):
        raise ConfigError(
            f"size is {size} with {len(widths)} widths, expected {LEAST * 2 ** len(widths)}: each "
            "halves the picture, down to 4x4"
        )


def check_faces(rgb: Tensor, points: Tensor, size: int) -> None:
    """Refuse pictures and landmarks that do not belong together.

    Raises:
        ContractError: pictures are not (N,3,size,size), or points not (N,478,3).
    """
    expected = (3, size, size)
    check(rgb.shape[1:] == expected, f"crops are {tuple(rgb.shape[1:])}, expected {expected}")
    wanted = (len(rgb), 478, 3)
    check(points.shape == wanted, f"points are {tuple(points.shape)}, expected {wanted}")
