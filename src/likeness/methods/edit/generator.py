"""The slot of a face generator: code to picture, picture to code, codes that can be moved.

The method asks nothing else of a generator, so any strong one will do. Codes are (N,L,D): L rows,
coarse ones first, of D numbers; moving one along a direction is adding to it.

Two fillings stand here: StyleGAN2 in W+ with e4e as its way back, and eigenfaces, whose codes are
coefficients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import BundleError
from likeness.nets.inversion import Inversion
from likeness.nets.latents import WPlus
from likeness.networks import build
from likeness.synthesize.eigenfaces import Eigenfaces
from likeness.synthesize.stylegan import Stylegan
from likeness.types import Bundle, Weights

GENERATOR, ENCODER, DIRECTIONS = "generator", "encoder", "directions"
"""Parts of a bundle: the first is needed."""


class FaceGenerator(Protocol):
    """What the method asks of a generator."""

    @property
    def module(self) -> nn.Module:
        """What tuning changes: all that `draw` depends on."""
        ...

    @property
    def size(self) -> int:
        """S: side of the pictures in pixels."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """(L,D) of a code."""
        ...

    def draw(self, codes: Tensor) -> Tensor:
        """Draw (N,3,S,S), unclipped near [0,1], from codes (N,L,D), differentiably."""
        ...

    def encode(self, pictures: Tensor) -> Tensor | None:
        """Return codes (N,L,D) of aligned pictures (N,3,S,S), or None where it has no encoder."""
        ...

    def sample(self, count: int, random: torch.Generator) -> Tensor:
        """Draw codes (N,L,D) of people that don't exist."""
        ...

    def average(self) -> Tensor:
        """Return the code (L,D) of the most average face."""
        ...


@dataclass(frozen=True, eq=False)
class StyleganFaces:
    """StyleGAN2 in W+, its noise pictures fixed; e4e encodes, where the bundle has one."""

    module: Stylegan
    encoder: Inversion | None = None

    @property
    def size(self) -> int:
        """S."""
        return self.module.config.size

    @property
    def shape(self) -> tuple[int, int]:
        """(L,D)."""
        return self.module.config.layers, self.module.config.code

    def draw(self, codes: Tensor) -> Tensor:
        """Draw with the noise that is stored with the weights."""
        return self.module.draw(WPlus(codes), self.module.synthesis.fixed_noise())

    def encode(self, pictures: Tensor) -> Tensor | None:
        """Encode at the encoder's own size."""
        if self.encoder is None:
            return None
        side = self.encoder.config.size
        if side != pictures.shape[2]:
            pictures = functional.interpolate(
                pictures, size=(side, side), mode="bilinear", align_corners=False, antialias=True
            )
        with torch.no_grad():
            found: WPlus = self.encoder(pictures)
        return found.codes

    def sample(self, count: int, random: torch.Generator) -> Tensor:
        """Draw from W, the same code in every row."""
        z = torch.randn((count, self.module.config.latent), generator=random)
        with torch.no_grad():
            codes: WPlus = self.module.mapping(z).broadcast(self.module.config.layers)
        return codes.codes.contiguous()

    def average(self) -> Tensor:
        """The average of W in every row."""
        average: Tensor = self.module.mapping.average
        return average.expand(self.shape).clone()


@dataclass(frozen=True, eq=False)
class EigenfacesFaces:
    """Eigenfaces: codes are coefficients, and encoding is projecting."""

    module: Eigenfaces

    @property
    def size(self) -> int:
        """S."""
        return self.module.config.size

    @property
    def shape(self) -> tuple[int, int]:
        """(1,K)."""
        return 1, self.module.config.components

    def draw(self, codes: Tensor) -> Tensor:
        """Add up."""
        drawn: Tensor = self.module(codes)
        return drawn

    def encode(self, pictures: Tensor) -> Tensor:
        """Project."""
        with torch.no_grad():
            return self.module.project(pictures)

    def sample(self, count: int, random: torch.Generator) -> Tensor:
        """Draw from a normal distribution, narrower than what was learned from."""
        return 0.7 * torch.randn((count, *self.shape), generator=random)

    def average(self) -> Tensor:
        """Zero."""
        return torch.zeros(self.shape)


def open_generator(bundle: Bundle, device: torch.device | str = "cpu") -> FaceGenerator:
    """Build the generator of a bundle, and its encoder if it has one.

    Raises:
        BundleError: the bundle holds no face generator, the weights do not fit, or the encoder is
            another generator's.
    """
    weights = _generator_of(bundle.networks)
    network = build(_wide(weights)).to(device)
    if isinstance(network, Eigenfaces):
        return EigenfacesFaces(network)
    generator = cast(Stylegan, network)
    encoder = None
    for part in bundle.networks.values():
        if part.network == "inversion":
            encoder = cast(Inversion, build(_wide(part))).to(device)
    if encoder is not None:
        found = (encoder.config.layers, encoder.config.code)
        wanted = (generator.config.layers, generator.config.code)
        if found != wanted:
            raise BundleError(
                f"the bundle's encoder answers {found[0]} codes of {found[1]} numbers, its "
                f"generator takes {wanted[0]} of {wanted[1]}; expected two that were trained "
                "together"
            )
    return StyleganFaces(generator, encoder)


def _generator_of(networks: Mapping[str, Weights]) -> Weights:
    for weights in networks.values():
        if weights.network in ("stylegan", "eigenfaces"):
            return weights
    raise BundleError(
        f"the bundle holds {', '.join(w.network for w in networks.values()) or 'nothing'}, "
        "expected a face generator: train one with `likeness train gan`, or import StyleGAN2's "
        "weights with `likeness models import stylegan2`"
    )


def _wide(weights: Weights) -> Weights:
    """Return weights that rest as float16 as they are computed with, in float32."""
    tensors = {
        name: value.float() if value.is_floating_point() else value
        for name, value in weights.tensors.items()
    }
    return Weights(weights.network, weights.config, tensors)
