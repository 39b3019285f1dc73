"""The fast portrait: keyframes of the target, warped onto the wanted face, blended and completed.

Ours. The idea that a face is best drawn from real pixels of the same face is as old as video
rewriting; the guides are those of Deep Video Portraits (Kim 2018), section 5.1; learned correction
of a geometric warp follows motion-transfer networks such as First Order Motion (Siarohin 2019).
Unlike the paper's renderer nothing has to be remembered that a keyframe shows: a small U-Net at a
quarter of the resolution (`portrait_unet`) answers, per pixel, how much of each warped keyframe and
of the background plate to take and what to add, and per 4x4 pixels how to correct each warp.

Keyframes are layers, color times coverage and coverage: what moves is the person alone, over a
plate that stands still.

Input: keyframes (N,K,4,S,S) uint8, or floats in [0,1]; maps (N,9+3K,S/2,S/2), guides, then per
keyframe flow x, y and validity; code (N,D) expression, pose and gaze. Output: rgb (N,3,S,S),
unclipped near [0,1].
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.synthesize.portrait_unet import CELL, UNet
from likeness.types import check

GUIDES = 9
FLOW_UNIT = 1 / 256
"""Unit of corrections in sides of the crop: a pixel at 256, and as far on the face at any size."""
FLOW_LIMIT = 8.0
"""Units that a warp may be corrected by: more than any error of the fit, less than a nose."""

FLOW_RATE = 0.25
"""Units per one of the network's answer; slows corrections down against everything else."""
PLATE_MOST, PLATE_LEAST = 5.0, -9.0
"""Logarithms of what the bare plate weighs where nothing else was ever seen, and elsewhere: there
even a keyframe that did not see the place is the better guess."""
FADE = 0.25
"""Share of fine detail that may be taken away: a network that can't tell where hair lies would blur
it all, and layers that stand over a plate are sharp already."""
OUTLINE = 1.0
"""Logarithm of how much more the keyframe that lends the body weighs where coverages are apart."""
REACH = 1 / 16
"""Sides of the crop: where all warps come from farther away, stillness is not to be trusted."""


@dataclass(frozen=True)
class PortraitConfig:
    """Shape of the network."""

    size: int = 256
    """Side of the crop in pixels; a multiple of 32."""
    keyframes: int = 4
    """Warped keyframes per frame."""
    code: int = 96
    """Numbers that describe the wanted face beside the pictures."""
    widths: tuple[int, ...] = (32, 64, 96, 128)
    """Channels per level, the first at a quarter of the resolution."""
    canvas: int = 16
    """Channels of the learned picture that remembers what stands still, one pixel per cell."""
    decision: float = 3.0
    """How much more decidedly fine detail is taken from one picture than coarse color; 1 blends
    both alike, which blurs where two warps disagree by a pixel."""

    @property
    def told(self) -> int:
        """Channels per cell that the network is told, in the order of `Portrait.tell`."""
        pixels = 3 * self.keyframes + 3 + 1
        return pixels * CELL**2 + self.keyframes + 4 * GUIDES + self.canvas

    @property
    def parting(self) -> slice:
        """Those of the channels that tell how far coverages are apart, pixel by pixel."""
        return slice(self.told - self.canvas - CELL**2, self.told - self.canvas)

    def limited(self, wish: Tensor) -> Tensor:
        """Return corrections in crop pixels from wished ones in FLOW_UNIT."""
        reach = FLOW_LIMIT * FLOW_UNIT * self.size
        return reach * torch.tanh(wish / FLOW_LIMIT)


class Portrait(nn.Module):
    """The network; see the head of this file."""

    plate: Tensor
    still: Tensor

    def __init__(self, config: PortraitConfig) -> None:
        super().__init__()
        check(config.size % 32 == 0, f"portrait size is {config.size}, expected a multiple of 32")
        self.config = config
        self.precision = torch.bfloat16
        k, cells = config.keyframes, config.size // CELL
        self.register_buffer("plate", torch.zeros(1, 3, config.size, config.size))
        self.register_buffer("still", torch.zeros(1, 1, config.size, config.size))
        self.canvas = nn.Parameter(torch.zeros(1, config.canvas, cells, cells))
        self.unet = UNet(config.told, config.widths, config.code, k + 5, 2 * k)

    def exact(self) -> Portrait:
        """Return a copy that computes in float32 throughout: for export and for comparison."""
        copy = deepcopy(self).eval().requires_grad_(False)
        copy.precision = torch.float32
        return copy

    def forward(self, keyframes: Tensor, maps: Tensor, code: Tensor) -> Tensor:
        """Draw N frames; see the head of this file for shapes."""
        return self.draw(keyframes, maps, code)[0]

    def draw(
        self, keyframes: Tensor, maps: Tensor, code: Tensor, told: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw N frames, and tell how far the warps wanted to be corrected.

        Args:
            keyframes: as `forward`, like maps and code.
            maps: see keyframes.
            code: see keyframes.
            told: what `tell` answers or `PortraitCPU.tell`, which needs no network and can be made
                ahead; the canvas in it is replaced.

        Returns:
            rgb (N,3,S,S), and the corrections (N,2K,q,q) in FLOW_UNIT before they are limited.
            Training keeps them small: a limited correction that has run to its limit passes no
            gradient back, and all warps would stay wrong forever.
        """
        n, k = keyframes.shape[:2]
        size = self.config.size
        motion = maps[:, GUIDES:].unflatten(1, (k, 3))
        flow, valid = motion[:, :, :2].flatten(0, 1), motion[:, :, 2]
        pictures = _floats(keyframes).flatten(0, 1)
        full = functional.interpolate(flow, size=(size, size), mode="bilinear")
        if told is None:
            told = self.tell(keyframes, maps)
        canvas = self.canvas.expand(n, -1, -1, -1)
        seen = torch.cat([told[:, : self.config.told - self.config.canvas], canvas], 1)
        answer, correction = self.infer(seen, code)
        wish = correction.float() * FLOW_RATE
        correction = functional.interpolate(
            self.config.limited(wish), size=(size, size), mode="bilinear"
        )
        corrected = sample_layers(pictures, full + correction.reshape(n * k, 2, size, size))
        corrected = self.over_plate(corrected)
        answer = antialias(functional.pixel_shuffle(answer.float(), CELL))
        scores, residual, gain = answer.split([k + 1, 3, 1], 1)
        gain = torch.where(gain < 0, FADE * torch.tanh(gain / FADE), gain)
        # A pixel that a keyframe never saw starts with hardly any weight; the plate with little,
        # but with nearly all where nothing ever moved: there it is exact and cannot swim. A head
        # that goes farther than any keyframe's gets to places where nothing had moved before.
        seen_well = functional.interpolate(valid, size=(size, size), mode="bilinear")
        still = self.still * trusted(full.unflatten(0, (n, k)))
        plate = PLATE_LEAST + (PLATE_MOST - PLATE_LEAST) * still
        prior = torch.cat([torch.log(seen_well + 1e-3), plate], 1)
        # Two outlines blended are two outlines seen. Where one keyframe has the person and another
        # the wall, the one that lends the body, which seldom changes, draws the line at first.
        apart = functional.pixel_shuffle(told[:, self.config.parting], CELL)
        prior = prior + OUTLINE * apart * self.drawer
        blended = self._blend(corrected.unflatten(0, (n, k)), 4 * scores, prior, gain, apart)
        return blended + residual, wish

    @property
    def drawer(self) -> Tensor:
        """(1,K+1,1,1): 1 for the keyframe that lends the body, the last before the plate."""
        k = self.config.keyframes
        chosen = torch.arange(k + 1, device=self.plate.device) == k - 1
        return chosen.to(self.plate.dtype)[None, :, None, None]

    def tell(self, keyframes: Tensor, maps: Tensor) -> Tensor:
        """Lay out what the network is told, (N,told,q,q), each cell's pixels as channels."""
        n, k = keyframes.shape[:2]
        size = self.config.size
        motion = maps[:, GUIDES:].unflatten(1, (k, 3))
        with torch.no_grad():
            full = functional.interpolate(
                motion[:, :, :2].flatten(0, 1), size=(size, size), mode="bilinear"
            )
            layers = sample_layers(_floats(keyframes).flatten(0, 1), full)
            warped, coverage = self.over_plate(layers), layers[:, 3].unflatten(0, (n, k))
            apart = coverage.amax(1, keepdim=True) - coverage.amin(1, keepdim=True)
            return torch.cat(
                [
                    functional.pixel_unshuffle((warped * 2 - 1).reshape(n, -1, size, size), CELL),
                    functional.avg_pool2d(motion[:, :, 2], 2),
                    functional.pixel_unshuffle(self.plate * 2 - 1, CELL).expand(n, -1, -1, -1),
                    functional.pixel_unshuffle(maps[:, :GUIDES] * 2 - 1, 2),
                    functional.pixel_unshuffle(apart, CELL),
                    self.canvas.expand(n, -1, -1, -1),
                ],
                1,
            )

    def over_plate(self, layers: Tensor) -> Tensor:
        """Lay (M,4,S,S) color times coverage and coverage over the plate: (M,3,S,S)."""
        return layers[:, :3] + (1 - layers[:, 3:]) * self.plate

    def _blend(
        self, pictures: Tensor, scores: Tensor, prior: Tensor, gain: Tensor, apart: Tensor
    ) -> Tensor:
        """Blend K pictures x_k and the plate in two bands, as Burt and Adelson's spline does.

        coarse = B(sum_k w_k x_k), w = softmax(c s + p); fine = (1 + g) (1 - B)(sum_k v_k x_k),
        v = softmax(decision * s + p), with B a blur; answer = coarse + fine. c is 1, but grows to
        `decision` where coverages are apart: an outline is in one place or in another.
        """
        n = pictures.shape[0]
        candidates = torch.cat([pictures, self.plate.expand(n, -1, -1, -1)[:, None]], 1)
        blends = []
        decision = self.config.decision
        for sharpness in (1 + (decision - 1) * apart, decision):
            weights = (sharpness * scores + prior).softmax(1)
            blends.append((weights[:, :, None] * candidates).sum(1))
        decided = blends[1]
        low_coarse, low_decided = _blur(torch.cat(blends, 1)).split(3, 1)
        answer: Tensor = low_coarse + (1 + gain) * (decided - low_decided)
        return answer

    def infer(self, x: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Run the U-Net alone.

        Args:
            x: (N,C,q,q) everything it is told, a cell of 4x4 pixels per place.
            code: (N,D).

        Returns:
            (N,16(K+5),q,q) scores, residual and gain of each pixel of a cell, and (N,2K,q,q)
            corrections before rate and limit.
        """
        # Half precision where the time goes; positions and colors stay float32.
        narrow = self.precision is not torch.float32
        with torch.autocast(x.device.type, self.precision, enabled=narrow):
            answer: tuple[Tensor, Tensor] = self.unet(x, code)
            return answer


def trusted(flow: Tensor) -> Tensor:
    """How far to trust that a place is still, (N,1,S,S) in [0,1], from flow (N,K,2,S,S) in pixels.

    1 - min_k |way_k| / (REACH S), not below 0: nothing new happens where one keyframe already fits.
    """
    nearest = flow.square().sum(2).amin(1, keepdim=True).sqrt()
    trust: Tensor = (1 - nearest / (REACH * flow.shape[-1])).clamp(min=0)
    return trust


def antialias(pixels: Tensor) -> Tensor:
    """Smooth (N,C,S,S) by [1 2 2 2 1]/8 along both axes, edges repeated.

    The filter passes no pattern that repeats from cell to cell or within one. Without it the loss
    of local contrast is served by dots along outlines that cannot be placed.
    """
    padded = functional.pad(pixels, (2, 2, 2, 2), mode="replicate")
    return functional.avg_pool2d(functional.avg_pool2d(padded, CELL, 1), 2, 1)


def at_size(weights: Mapping[str, Tensor], size: int) -> dict[str, Tensor]:
    """Return the weights of a trained portrait for another size of the crop.

    Convolutions stay as they are; plate, stillness and canvas, which are pictures, are resampled.

    Args:
        weights: state of a `Portrait`.
        size: side of the crop; a multiple of 32.
    """
    sides = {"plate": size, "still": size, "canvas": size // CELL}
    resized = dict(weights)
    for name, side in sides.items():
        resized[name] = functional.interpolate(
            weights[name], size=(side, side), mode="bilinear", align_corners=False, antialias=True
        )
    return resized


def outdated(weights: Mapping[str, Tensor]) -> str | None:
    """Say in words why weights can't be those of a portrait of today; None where they can."""
    if "unet.stem.weight" in weights:
        return None
    return (
        "the portrait was trained by an earlier version, whose network worked at half of the "
        "resolution; expected one at a quarter of it. Train the portrait again with `likeness "
        "train reenact`"
    )


def _floats(keyframes: Tensor) -> Tensor:
    """Return keyframes in [0,1]: levels of eight bits become that, floats are."""
    return keyframes.float() / 255 if keyframes.dtype is torch.uint8 else keyframes


def _blur(pictures: Tensor) -> Tensor:
    """Mean over 5x5 pixels, edges repeated."""
    return functional.avg_pool2d(functional.pad(pictures, (2, 2, 2, 2), mode="replicate"), 5, 1)


def sample_layers(layers: Tensor, flow: Tensor) -> Tensor:
    """Sample (M,4,S,S) layers as `sample` does; above the upper edge there is nobody.

    At the lower edge a body goes on, and to repeat the edge is right. Hair that touches the upper
    one would be drawn out into streaks, which stay behind when the head goes down.
    """
    rows = torch.arange(layers.shape[-1], dtype=flow.dtype, device=flow.device)[:, None]
    return sample(layers, flow) * (flow[:, 1:] + rows + 1).clamp(0, 1)


def sample(pictures: Tensor, flow: Tensor) -> Tensor:
    """Sample (M,C,S,S) pictures at each pixel's position plus its flow (M,2,S,S) in pixels."""
    size = pictures.shape[-1]
    centers = torch.arange(size, dtype=flow.dtype, device=flow.device) + 0.5
    x, y = flow[:, 0] + centers, flow[:, 1] + centers[:, None]
    grid = torch.stack([x, y], -1) * (2 / size) - 1
    return functional.grid_sample(
        pictures, grid, mode="bilinear", padding_mode="border", align_corners=False
    )
