"""The fast portrait on a CPU: what `Portrait.draw` does around its network, as two compiled loops.

In torch, sampling and blending five keyframes twice touches every pixel some forty times and takes
longer than the network. Here each pixel is visited once before the network and once after it, row
by row, so that what a row needs stays near.
`Portrait.forward` is the reference; answers differ by what half precision and skipped candidates of
hardly any weight make out, less than one step of eight bits. The loops hold no lock and use one
thread: windows are drawn side by side.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from likeness.synthesize.portrait import FLOW_RATE, GUIDES, Portrait
from likeness.synthesize.portrait_loops import complete, interleave, mix, shuffle, tell
from likeness.synthesize.portrait_unet import CELL
from likeness.types import Floats

_UNDOTTED = np.array([1, 2, 2, 2, 1], np.float32) / 8
"""The filter of `portrait.antialias` along one axis."""
_TOLD_BYTES = 48 * 2**20
"""Most memory for what the network is told at once: eight frames at 256, two at 512."""


class PortraitCPU:
    """Draws what a trained portrait draws, faster."""

    def __init__(self, portrait: Portrait) -> None:
        self.portrait = portrait
        with torch.inference_mode():
            plate = functional.pixel_unshuffle(portrait.plate * 2 - 1, CELL)
            fixed = torch.cat([plate, portrait.canvas], 1)[0].permute(1, 2, 0)
        self._fixed = fixed.contiguous().numpy()
        """(q,q,48+canvas) what every frame is told alike, plate then canvas."""
        self._plate = np.ascontiguousarray(portrait.plate[0].permute(1, 2, 0).numpy())
        self._still = portrait.still[0, 0].contiguous().numpy()
        self._size = portrait.config.size
        self._cells = self._size // CELL

    def __call__(self, keyframes: Tensor, maps: Tensor, code: Tensor) -> Tensor:
        """Draw N frames; shapes as `Portrait.forward`."""
        # Large portraits in small parts: what the network is told takes most of the memory.
        part = max(1, _TOLD_BYTES // (4 * self.portrait.config.told * self._cells**2))
        if len(keyframes) <= part:
            return self._draw(keyframes, maps, code)
        pieces = zip(keyframes.split(part), maps.split(part), code.split(part), strict=True)
        return torch.cat([self._draw(*piece) for piece in pieces])

    def tell(self, keyframes: Tensor, maps: Tensor) -> Tensor:
        """Lay out what the network is told, (N,told,q,q); shapes as `Portrait.forward`."""
        told, _ = self._tell(keyframes, maps)
        return torch.from_numpy(told).permute(0, 3, 1, 2)

    def _tell(self, keyframes: Tensor, maps: Tensor) -> tuple[Floats, Floats]:
        """(N,q,q,told) what the network is told, and (N,K,S,S,4) the keyframes it was told of."""
        n, k = keyframes.shape[:2]
        size, cells = self._size, self._cells
        planes = keyframes.contiguous().numpy()
        # Four numbers a pixel lie together: they are read and weighed at once.
        pictures = np.empty((n, k, size, size, 4), np.float32)
        guides = maps[:, :GUIDES].permute(0, 2, 3, 1).contiguous().numpy()
        flow, valid = _motion(maps, k)
        told = np.empty((n, cells, cells, self.portrait.config.told), np.float32)
        same = (self._plate, self._fixed)
        for i in range(n):
            interleave(planes[i], pictures[i])
            tell(pictures[i], flow[i], valid[i], guides[i], same, told[i])
        return told, pictures

    def _draw(self, keyframes: Tensor, maps: Tensor, code: Tensor) -> Tensor:
        n, k = keyframes.shape[:2]
        told, pictures = self._tell(keyframes, maps)
        flow, valid = _motion(maps, k)
        answer = np.empty((n, self._size, self._size, 3), np.float32)
        with torch.inference_mode():
            shown = torch.from_numpy(told).permute(0, 3, 1, 2)
            wanted, correction = self.portrait.infer(shown, code)
            moved = self.portrait.config.limited(correction.float() * FLOW_RATE)
            moves = moved.unflatten(1, (k, 2)).contiguous().numpy()
            scores = wanted.float().permute(0, 2, 3, 1).contiguous().numpy()
        for i in range(n):
            parting = told[i, :, :, self.portrait.config.parting]
            warps = (flow[i], moves[i], valid[i])
            answer[i] = self._blend(pictures[i], warps, scores[i], parting)
        return torch.from_numpy(answer).permute(0, 3, 1, 2)

    def _blend(
        self,
        pictures: Floats,
        warps: tuple[Floats, Floats, Floats],
        scores: Floats,
        parting: Floats,
    ) -> Floats:
        """(S,S,3): both bands blended, sharpened by the gain, completed by the residual."""
        import cv2

        size = self._size
        coarse = np.empty((size, size, 3), np.float32)
        decided = np.empty((size, size, 3), np.float32)
        wanted = np.empty((size, size, scores.shape[2] // CELL**2), np.float32)
        shuffle(scores, wanted)
        edge = cv2.BORDER_REPLICATE
        cv2.sepFilter2D(wanted, -1, _UNDOTTED, _UNDOTTED, wanted, borderType=edge)
        decision = self.portrait.config.decision
        fixed = (self._plate, self._still, parting)
        mix(pictures, *warps, wanted, fixed, decision, coarse, decided)
        low = np.asarray(cv2.blur(decided, (5, 5), borderType=edge), np.float32)
        answer = np.asarray(cv2.blur(coarse, (5, 5), borderType=edge), np.float32)
        complete(decided, low, wanted, answer)
        return answer


def _motion(maps: Tensor, keyframes: int) -> tuple[Floats, Floats]:
    """(N,K,2,h,w) flow and (N,K,h,w) validity."""
    motion = maps[:, GUIDES:].unflatten(1, (keyframes, 3))
    return motion[:, :, :2].contiguous().numpy(), motion[:, :, 2].contiguous().numpy()
