"""The fast portrait on a CPU: what `Portrait.draw` does, in compiled loops and a packed network.

In torch, sampling and blending five keyframes twice touches every pixel some forty times and takes
longer than the network. Here rows are worked on one after the other, before the network and after
it, frame by frame, so that what a frame needs stays near; memory is used again.
`Portrait.forward` is the reference; answers differ by what half precision makes out, less than one
step of eight bits. Nothing here holds a lock or more than one thread: windows are drawn side by
side.
"""

from __future__ import annotations

import threading
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from likeness.synthesize.portrait import FLOW_RATE, Portrait
from likeness.synthesize.portrait_blend import complete, mix, unfold, unfold_narrow
from likeness.synthesize.portrait_loops import Levels, tell, tell_narrow
from likeness.synthesize.portrait_unet import CELL
from likeness.synthesize.portrait_unet_cpu import FastUNet
from likeness.types import Floats

_MOST, _LARGE = 4, 256
"""Frames that the network is given at once, and sides of the crop above which it is one: a call has
its cost, and so has what no longer stays near the core."""


class _Room(threading.local):
    """Memory of one thread, used again for every frame."""

    def __init__(self, portrait: PortraitCPU) -> None:
        size, cells, k = portrait.size, portrait.size // CELL, portrait.portrait.config.keyframes
        kind = np.uint16 if portrait.narrow else np.float32
        self.told = np.empty((portrait.at_once, cells, cells, portrait.changing), kind)
        self.apart = np.empty((portrait.at_once, size, size), np.float32)
        self.planes = np.empty((k + 5, size, size), np.float32)
        self.coarse = np.empty((3, size, size), np.float32)
        self.decided = np.empty((3, size, size), np.float32)


class PortraitCPU:
    """Draws what a trained portrait draws, faster."""

    def __init__(self, portrait: Portrait) -> None:
        self.portrait, config = portrait, portrait.config
        self.size = config.size
        # Large portraits one by one: what the network is told takes most of the memory.
        self.at_once = _MOST if self.size <= _LARGE else 1
        plate = portrait.plate[0].permute(1, 0, 2).contiguous()
        self._plate, self._walls = plate.numpy(), (2 * plate).numpy()
        """(S,3,S) row by row, and twice that."""
        self._still = portrait.still[0, 0].contiguous().numpy()
        warps, pixels = 3 * CELL**2 * config.keyframes + config.keyframes, 3 * CELL**2
        rest = config.told - config.canvas - warps - pixels
        self.changing = warps + rest
        """Channels of a cell that differ from frame to frame."""
        every = torch.arange(config.told)
        parts = every.split([warps, pixels, rest, config.canvas])
        order = torch.cat([parts[0], parts[2], parts[1], parts[3]])
        with torch.inference_mode():
            told_plate = functional.pixel_unshuffle(portrait.plate * 2 - 1, CELL)
            self._fixed = torch.cat([told_plate, portrait.canvas], 1)
        self._order, self._split = order, (warps, pixels)

    @cached_property
    def network(self) -> FastUNet:
        """The network as its weights are when it is first asked."""
        with torch.inference_mode():
            return FastUNet(self.portrait.unet, self._fixed, self._order, self.portrait.precision)

    @property
    def narrow(self) -> bool:
        """Whether it computes in bfloat16."""
        return self.network.dtype is torch.bfloat16

    @cached_property
    def _room(self) -> _Room:
        return _Room(self)

    def __call__(self, keyframes: Tensor, maps: Tensor, code: Tensor) -> Tensor:
        """Draw N frames; shapes as `Portrait.forward`, keyframes also as levels of uint8."""
        answer = np.empty((len(maps), 3, self.size, self.size), np.float32)
        pictures, planes = _interleaved(keyframes), maps.contiguous().numpy()
        with torch.inference_mode():
            for start in range(0, len(maps), self.at_once):
                run = slice(start, start + self.at_once)
                self._draw(pictures[run], planes[run], code[run], answer[run])
        return torch.from_numpy(answer)

    def tell(self, keyframes: Tensor, maps: Tensor) -> Tensor:
        """Lay out what the network is told, (N,told,q,q); shapes as `Portrait.forward`."""
        cells = self.size // CELL
        pictures, apart = _interleaved(keyframes), np.empty((self.size, self.size), np.float32)
        told = np.empty((len(maps), cells, cells, self.changing), np.float32)
        planes = maps.contiguous().numpy()
        for n in range(len(maps)):
            tell(pictures[n], planes[n], self._walls, told[n], apart)
        changing, (warps, pixels) = torch.from_numpy(told).permute(0, 3, 1, 2), self._split
        fixed = self._fixed.expand(len(maps), -1, -1, -1)
        return torch.cat(
            [changing[:, :warps], fixed[:, :pixels], changing[:, warps:], fixed[:, pixels:]], 1
        )

    def _draw(self, pictures: Levels, maps: Floats, code: Tensor, answer: Floats) -> None:
        room, config, count = self._room, self.portrait.config, len(maps)
        inform, lay_out = (tell_narrow, unfold_narrow) if self.narrow else (tell, unfold)
        for n in range(count):
            inform(pictures[n], maps[n], self._walls, room.told[n], room.apart[n])
        cells = _tensor(room.told[:count]).permute(0, 3, 1, 2)
        wanted, correction = self.network(cells, code)
        moved = config.limited(correction.float() * FLOW_RATE)
        moves = moved.unflatten(1, (config.keyframes, 2)).contiguous().numpy()
        answers = _array(wanted.permute(0, 2, 3, 1))
        blends = (room.coarse, room.decided)
        for n in range(count):
            lay_out(answers[n], room.planes)
            fixed = (self._plate, self._still, room.apart[n])
            mix(pictures[n], maps[n], moves[n], room.planes, fixed, config.decision, *blends)
            complete(*blends, room.planes, answer[n])


def _tensor(array: Any) -> Tensor:
    """View float32, or bfloat16 by its bits, as a tensor."""
    if array.dtype == np.float32:
        return torch.from_numpy(array)
    return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)


def _array(tensor: Tensor) -> Any:
    """View a float32 tensor, or one of bfloat16 by its bits, as an array."""
    if tensor.dtype is torch.float32:
        return tensor.numpy()
    return tensor.view(torch.int16).numpy().view(np.uint16)


def _interleaved(keyframes: Tensor) -> Levels:
    """(N,K,S,S,4) uint8 from (N,K,4,S,S), levels or floats in [0,1]: a pixel's numbers together."""
    if keyframes.dtype is not torch.uint8:
        keyframes = (keyframes * 255 + 0.5).clamp_(0, 255).to(torch.uint8)
    levels: Levels = keyframes.permute(0, 1, 3, 4, 2).contiguous().numpy()
    return levels
