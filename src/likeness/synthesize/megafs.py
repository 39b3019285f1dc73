"""MegaFS: a swap of two codes in front of StyleGAN2.

Paper: Zhu et al., One Shot Face Swapping on Megapixels (CVPR 2021, arXiv 2105.04932). The
hierarchical representation face encoder (section 3.1) finds a code per layer of the generator, and
a structure that stands in the place of its constant. The face transfer module (section 3.2)
carries the source's codes into all but the first of the target's, layer by layer. The generator
draws what comes out; it is not trained.
Differs: the encoder is e4e's (`nets.inversion`), like the paper's a residual network with a feature
pyramid and a head per code, because generators trained here come with it. The structure is read
from its finest map and added to the constant, from 0 before training. The code's `LeakyReLU(True)`,
which is the identity, is left out.
Input:  rgb (N,3,S,S) in [0,1], the target's aligned crop; source (N,3,S,S), the source's.
Output: rgb (N,3,S,S), unclipped near [0,1]. All of the picture is drawn: it needs a mask.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import ConfigError
from likeness.nets.inversion import Inversion, InversionConfig
from likeness.nets.latents import WPlus
from likeness.synthesize.stylegan import Stylegan, StyleganConfig
from likeness.types import check

_SLOPE = 0.2
_SIDE = 4
"""Of the map that a generator starts from."""


@dataclass(frozen=True)
class MegaFSConfig:
    """Shape of encoder, transfer and generator."""

    faces: StyleganConfig = field(default_factory=StyleganConfig)
    encoder: InversionConfig = field(default_factory=InversionConfig)
    kept: int = 4
    """Codes, the first, that stay the target's; 4 of the paper's 18."""
    cells: int = 3
    """Transfer cells, one after another."""

    def __post_init__(self) -> None:
        layers, told = self.faces.layers, (self.encoder.layers, self.encoder.code)
        if told != (layers, self.faces.code):
            raise ConfigError(
                f"the encoder answers {told[0]} codes of {told[1]}, expected {layers} of "
                f"{self.faces.code} as the generator takes"
            )
        if not 0 <= self.kept < layers or self.cells < 1:
            raise ConfigError(
                f"kept is {self.kept} and cells is {self.cells}; expected 0 to {layers - 1}, and 1 "
                "or more"
            )


class TransferCell(nn.Module):
    """Both sides look at both codes, and choose and shift what they keep of their own."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.choose = nn.ModuleList(_looking(code) for _ in range(2))
        self.shift = nn.ModuleList(_looking(code) for _ in range(2))

    def forward(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Map codes (N,L,D) of source and target to the same shapes."""
        both = torch.cat([source, target], 2)
        moved = [
            own * torch.sigmoid(choose(both)) + torch.tanh(shift(both))
            for own, choose, shift in zip((source, target), self.choose, self.shift, strict=True)
        ]
        return moved[0], moved[1]


class MegaFS(nn.Module):
    """The network; see the head of this file."""

    def __init__(self, config: MegaFSConfig) -> None:
        super().__init__()
        self.config = config
        self.faces = Stylegan(config.faces)
        self.encoder = Inversion(config.encoder)
        code = config.faces.code
        self.structure = nn.Conv2d(code, config.faces.widths[0], 3, padding=1, bias=False)
        nn.init.zeros_(self.structure.weight)
        self.cells = nn.ModuleList(TransferCell(code) for _ in range(config.cells))
        self.weights = nn.Parameter(torch.zeros(1, config.faces.layers - config.kept, code))
        self.faces.requires_grad_(False)

    def forward(self, rgb: Tensor, source: Tensor) -> Tensor:
        """Put the faces of `source` on those in `rgb`; see the head of this file."""
        target, begin = self.encode(rgb)
        found, _ = self.encode(source)
        return self.draw(self.transfer(found, target), begin)

    def encode(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """Map pictures (N,3,S,S) to codes (N,L,D) and what the generator starts from (N,C,4,4).

        Raises:
            ContractError: the crops are of another size.
        """
        expected = (3, self.config.faces.size, self.config.faces.size)
        check(rgb.shape[1:] == expected, f"crops are {tuple(rgb.shape[1:])}, expected {expected}")
        side = self.config.encoder.size
        if rgb.shape[2] != side:
            rgb = functional.interpolate(
                rgb, size=(side, side), mode="bilinear", align_corners=False, antialias=True
            )
        maps = self.encoder.maps(rgb)
        found = self.encoder.read(maps)
        seen = functional.adaptive_avg_pool2d(maps[-1], _SIDE)
        return found.codes, self.faces.synthesis.constant + self.structure(seen)

    def transfer(self, source: Tensor, target: Tensor) -> Tensor:
        """Carry codes (N,L,D) of the source into those of the target."""
        kept = self.config.kept
        one, other = source[:, kept:], target[:, kept:]
        for cell in self.cells:
            one, other = cell(one, other)
        return torch.cat([target[:, :kept], torch.lerp(other, one, torch.sigmoid(self.weights))], 1)

    def draw(self, codes: Tensor, begin: Tensor) -> Tensor:
        """Draw (N,3,S,S) from codes (N,L,D) and what the generator starts from (N,C,4,4)."""
        synthesis = self.faces.synthesis
        drawn: Tensor = synthesis(synthesis.styles(WPlus(codes)), synthesis.fixed_noise(), begin)
        return drawn


def _looking(code: int) -> nn.Module:
    """Three layers, the middle two of a half and a quarter of both codes' numbers."""
    return nn.Sequential(
        nn.Linear(2 * code, code),
        nn.LeakyReLU(_SLOPE),
        nn.Linear(code, max(1, code // 2)),
        nn.LeakyReLU(_SLOPE),
        nn.Linear(max(1, code // 2), code),
    )
