"""Swap networks that only exist as ONNX files: any-to-any ones, and DeepFaceLive's .dfm.

No papers here: what a file is fed stands in its contract (`synthesize.swap_contract`), as public
programs keep it.
any-to-any: rgb (N,3,S,S) in [0,1] and the source: its code (N,D) as the contract's recognizer says
it, or its picture (N,3,s,s) in [0,1]. Where codes are mapped, the file's map is here as `emap`.
.dfm: BGR (N,S,S,3) in [0,1] inside; outputs target mask, swapped BGR, its mask; models trained
with AMP also take how far to go from target to source.
Output of both: RGB in [0,1], and where it shall lie.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.nets.onnx_graph import OnnxGraph, OnnxGraphConfig
from likeness.synthesize.autoencoder import Face
from likeness.synthesize.swap_contract import SwapContract
from likeness.types import check

_CODE = 512


@dataclass(frozen=True)
class OnnxSwapConfig:
    """An any-to-any file."""

    graph: OnnxGraphConfig
    """Inputs are the target's picture and the source; outputs the face and, if any, its mask."""
    contract: SwapContract = field(
        default_factory=lambda: SwapContract("inswapper_128", 128, "arcface_128", form="mapped")
    )
    code: int = _CODE
    """Numbers in the source's code."""


class OnnxSwap(nn.Module):
    """Any-to-any swap; see the head of this file."""

    emap: Tensor

    def __init__(self, config: OnnxSwapConfig) -> None:
        super().__init__()
        self.config = config
        self.graph = OnnxGraph(config.graph)
        if config.contract.form == "mapped":
            self.register_buffer("emap", torch.eye(config.code))

    def forward(self, rgb: Tensor, source: Tensor) -> Tensor:
        """Put the identity of `source` (N,...) on the faces (N,3,S,S)."""
        return self.faces(rgb, source)[0]

    def faces(self, rgb: Tensor, source: Tensor) -> tuple[Tensor, Tensor | None]:
        """Do the same and return the mask (N,1,S,S) in [0,1], too, where the network has one.

        Raises:
            ContractError: pictures and sources do not fit each other.
            BundleError: the network does not answer with pictures.
        """
        contract = self.config.contract
        check(len(rgb) == len(source), f"{len(rgb)} pictures and {len(source)} sources")
        answers = self.graph(contract.entered(rgb), self._told(source))
        face = contract.left(answers[0])
        expected = (len(rgb), 3, contract.size, contract.size)
        check(face.shape == expected, f"the answer is {tuple(face.shape)}, expected {expected}")
        if not contract.mask:
            return face, None
        mask = answers[1].reshape(len(rgb), 1, *answers[1].shape[-2:])
        return face, mask.clamp(0, 1)

    def _told(self, source: Tensor) -> Tensor:
        form = self.config.contract.form
        if self.config.contract.source == "picture":
            return source
        if form == "mapped":
            return functional.normalize(functional.normalize(source) @ self.emap)
        return functional.normalize(source) if form == "unit" else source


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
