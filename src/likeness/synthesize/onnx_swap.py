"""Swap networks that only exist as ONNX files: inswapper's kind, and DeepFaceLive's .dfm.

No paper. Contracts as InsightFace's and DeepFaceLive's public programs keep them.
inswapper: rgb (N,3,128,128) in [0,1] and the raw or unit ArcFace code (N,512); the file's last
initializer, here `emap`, turns the unit code into the graph's own, which has length 1 again.
.dfm: BGR (N,S,S,3) in [0,1] inside; outputs target mask, swapped BGR, its mask; models trained
with AMP also take how far to go from target to source.
Output of both: as SimSwap's and the one-to-one network's, RGB in [0,1].
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.nets.onnx_graph import OnnxGraph, OnnxGraphConfig
from likeness.synthesize.autoencoder import Face

_CODE = 512


@dataclass(frozen=True)
class OnnxSwapConfig:
    """An inswapper-type file."""

    graph: OnnxGraphConfig
    code: int = _CODE
    """Numbers in the source's code."""


class OnnxSwap(nn.Module):
    """Any-to-any swap; see the head of this file."""

    emap: Tensor

    def __init__(self, config: OnnxSwapConfig) -> None:
        super().__init__()
        self.config = config
        self.graph = OnnxGraph(config.graph)
        self.register_buffer("emap", torch.eye(config.code))

    def forward(self, rgb: Tensor, code: Tensor) -> Tensor:
        """Put the identity of `code` (N,512) on the faces (N,3,128,128)."""
        latent = functional.normalize(functional.normalize(code) @ self.emap)
        return self.graph(rgb, latent)[0].clamp(0, 1)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class OnnxOneToOneConfig:
    """A .dfm file."""

    graph: OnnxGraphConfig
    size: int
    """Side of the face picture in pixels."""
    morph: float | None = None
    """AMP models: how far to go toward the source, 0 to 1; None where the graph does not ask."""


class OnnxOneToOne(nn.Module):
    """One-to-one swap; see the head of this file."""

    def __init__(self, config: OnnxOneToOneConfig) -> None:
        super().__init__()
        self.config = config
        self.graph = OnnxGraph(config.graph)

    def forward(self, rgb: Tensor) -> Face:
        """Give the person in (N,3,S,S) the face of the source, with the same expression."""
        return self.faces(rgb)[0]

    def faces(self, rgb: Tensor) -> tuple[Face, Tensor]:
        """Return the swapped face, and the mask (N,1,S,S) of the target's own."""
        given = [rgb.flip(1).permute(0, 2, 3, 1).contiguous()]
        if self.config.morph is not None:
            given.append(torch.full((len(rgb),), self.config.morph))
        target, face, mask = (x.permute(0, 3, 1, 2) for x in self.graph(*given))
        return Face(face.flip(1), mask), target
