"""The portrait's U-Net for one picture at a time on a CPU.

The same sums as `UNet.forward`, arranged for speed: weights are converted and packed once, what
follows a convolution is done before its answer leaves the processor, channels that are alike in
every frame are multiplied once, and doubling a map and then convolving it is one transposed
convolution with sixteen products where there were thirty-six.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.nets.packing import Packed, Plain, can_pack, packed
from likeness.synthesize.portrait_unet import Residual, UNet

Layer = Packed | Plain


class FastUNet:
    """Runs a trained `UNet` on cells of which some channels never change."""

    def __init__(self, unet: UNet, fixed: Tensor, order: Tensor, dtype: torch.dtype) -> None:
        """Convert and pack.

        Args:
            unet: the network, in float32.
            fixed: (1,F,q,q) the channels that never change.
            order: (C) indices of the network's channels: the C - F that change, in the order in
                which they will come, then the fixed.
            dtype: of weights and of what lies between them; float32 where the processor's library
                has no other.
        """
        probe = nn.Conv2d(1, 1, 1).to(dtype)
        self.dtype = dtype if can_pack(probe) else torch.float32
        self._style, self._widths = unet.style, unet.widths
        cells = fixed.shape[-1]
        sides = [cells >> level for level in range(len(unet.widths))]
        changing = len(order) - fixed.shape[1]
        weight = unet.stem.weight[:, order]
        stem = nn.Conv2d(changing, unet.widths[0], 1)
        stem.weight, stem.bias = nn.Parameter(weight[:, :changing]), unet.stem.bias
        self._stem = self._packed(stem, cells)
        self._same = self._laid(functional.conv2d(fixed, weight[:, changing:]))
        down = zip(unet.down, sides[:-1], strict=True)
        self._down = [self._packed(conv, side) for conv, side in down]
        self._encode = [self._residual(*pair) for pair in zip(unet.encode, sides[1:], strict=True)]
        back = sides[-2::-1]
        self._up = [self._doubling(*pair) for pair in zip(unet.up, back, strict=True)]
        self._decode = [self._residual(*pair) for pair in zip(unet.decode, back, strict=True)]
        self._flow, self._head = self._packed(unet.flow, cells), self._packed(unet.head, cells)

    def __call__(self, x: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Run it.

        Args:
            x: (N,C-F,q,q) the channels that change, in `dtype`, channels last.
            code: (N,D) float32.

        Returns:
            As `UNet.forward`, in `dtype`, channels last.
        """
        h = self._stem.plus(x, self._same.expand(len(x), -1, -1, -1))
        a, b = self._widths[-1], self._widths[-2]
        style = self._style(code).to(self.dtype)[..., None, None]
        scale_a, shift_a, scale_b, shift_b = style.split([a, a, b, b], 1)
        skips = [h]
        for level, (down, encode) in enumerate(zip(self._down, self._encode, strict=True)):
            h = self._added(encode, down(functional.silu(h) if level == 0 else h))
            if level == len(self._down) - 2:
                h = h * (1 + scale_b) + shift_b
            skips.append(h)
        h = skips.pop() * (1 + scale_a) + shift_a
        for (up, beside), decode in zip(self._up, self._decode, strict=True):
            h = self._added(decode, beside.plus(skips.pop(), up(h)))
        h = functional.silu(h)
        return self._head(h), self._flow(h)

    @staticmethod
    def _added(pair: tuple[Layer, Layer], x: Tensor) -> Tensor:
        """x + second(silu(first(silu(x))))."""
        first, second = pair
        return second.plus(first(functional.silu(x)), x)

    def _laid(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.dtype).contiguous(memory_format=torch.channels_last)

    def _packed(
        self, conv: nn.Module | nn.Conv2d | nn.ConvTranspose2d, side: int, *, silu: bool = False
    ) -> Layer:
        """Pack a convolution for pictures of (side, side)."""
        if not isinstance(conv, nn.Conv2d | nn.ConvTranspose2d):
            raise TypeError(f"found {type(conv).__name__}, expected a convolution")
        kind = type(conv)
        same = kind(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,  # type: ignore[arg-type]
            conv.stride,  # type: ignore[arg-type]
            conv.padding,  # type: ignore[arg-type]
            bias=conv.bias is not None,
        )
        same.load_state_dict(conv.state_dict())
        narrow = same.requires_grad_(False).to(self.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        like = torch.zeros(1, conv.in_channels, side, side)
        return packed(narrow, self._laid(like), silu=silu)

    def _residual(self, block: nn.Module, side: int) -> tuple[Layer, Layer]:
        if not isinstance(block, Residual):
            raise TypeError(f"found {type(block).__name__}, expected a residual block")
        return self._packed(block.first, side, silu=True), self._packed(block.second, side)

    def _doubling(self, conv: nn.Module, side: int) -> tuple[Layer, Layer]:
        """Split a convolution of a doubled map beside another into one for each.

        conv(cat(double(h), s)) = doubled(h) + beside(s), the former transposed with stride two: a
        pixel of h reaches 2x2 places, from which 3x3 weights reach 4x4.
        """
        if not isinstance(conv, nn.Conv2d):
            raise TypeError(f"found {type(conv).__name__}, expected a convolution")
        weight, out = conv.weight.detach(), conv.out_channels
        below = conv.in_channels - _skipped(conv)
        beside = nn.Conv2d(conv.in_channels - below, out, 3, padding=1)
        beside.weight = nn.Parameter(weight[:, below:])
        beside.bias = nn.Parameter(conv.bias.detach()) if conv.bias is not None else None
        doubled = nn.ConvTranspose2d(below, out, 4, 2, 1, bias=False)
        # Transposed, weights lie mirrored; each is added at the 2x2 places that a pixel fills.
        mirrored = weight[:, :below].transpose(0, 1).flip(2, 3)
        spread = functional.pad(mirrored, (1, 1, 1, 1))
        total = (
            spread[..., 1:, 1:]
            + spread[..., :-1, 1:]
            + spread[..., 1:, :-1]
            + spread[..., :-1, :-1]
        )
        doubled.weight = nn.Parameter(total)
        return self._packed(doubled, side // 2), self._packed(beside, side)


def _skipped(conv: nn.Conv2d) -> int:
    """Channels that come beside the doubled ones: as many as go out."""
    return conv.out_channels
