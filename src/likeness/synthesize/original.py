"""The first face swap by autoencoders: one encoder for two people, and a decoder for each.

Program: deepfakes/faceswap (2017), model `original`; no paper. Each decoder is trained to draw its
own person from what the encoder tells of a warped picture; the swap decodes the target's picture
with the source's decoder.
Differs: the picture may be larger than 64 pixels, and the layer between is then as much wider; a
mask is always drawn, by a second branch of each decoder; RGB in and out.
Input: rgb (N,3,S,S) in [0,1], an aligned face. Output: `Face`, rgb (N,3,S,S) and mask (N,1,S,S).
At 64 pixels the encoder has 69.66 M parameters and the picture's branch of a decoder 6.20 M.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from likeness.errors import ConfigError
from likeness.nets.folding import folded
from likeness.synthesize.autoencoder import Doubling, Face, Halving, initialize, leaky
from likeness.types import check


@dataclass(frozen=True, slots=True)
class OriginalConfig:
    """Shape of an original network."""

    size: int = 64
    """Side of the face picture in pixels; a multiple of 16."""
    width: int = 128
    """Channels of the encoder's first layer; they double per layer."""
    inter: int = 1024
    """Numbers between encoder and decoder."""
    mask: int = 16
    """Channels of the last layer that draws the mask; the picture's has `width` / 2."""

    def __post_init__(self) -> None:
        if self.size < 16 or self.size % 16:
            raise ConfigError(f"size is {self.size}, expected a multiple of 16")
        if self.width < 2 or self.width % 2 or min(self.inter, self.mask) < 1:
            raise ConfigError(
                f"width, inter and mask are {self.width}, {self.inter} and {self.mask}, expected "
                "an even width and at least 1 each"
            )


class _AsMap(nn.Module):
    """Lay numbers (N,C*s*s) out as a map (N,C,s,s)."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.shape = (-1, channels, side, side)

    def forward(self, flat: Tensor) -> Tensor:
        """Return the map."""
        return flat.reshape(self.shape)


class OriginalDecoder(nn.Module):
    """From a map (N,4w,S/8,S/8) to a face and its mask, on two branches."""

    def __init__(self, config: OriginalConfig) -> None:
        super().__init__()
        inside = 4 * config.width
        self.picture = _branch(inside, config.width // 2, 3)
        self.mask = _branch(inside, config.mask, 1)

    def forward(self, code: Tensor) -> Face:
        """Draw a face."""
        return Face(torch.sigmoid(self.picture(code)), torch.sigmoid(self.mask(code)))


class Original(nn.Module):
    """The network; see the head of this file. Person 0 is the source, 1 the target."""

    def __init__(self, config: OriginalConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or OriginalConfig()
        w, side = config.width, config.size // 16
        widths = [3, w, 2 * w, 4 * w, 8 * w]
        self.encoder = nn.Sequential(
            *(Halving(i, o, leaky) for i, o in pairwise(widths)),
            nn.Flatten(),
            nn.Linear(8 * w * side**2, config.inter),
            nn.Linear(config.inter, 8 * w * side**2),
            _AsMap(8 * w, side),
            Doubling(8 * w, 4 * w, leaky),
        )
        self.decoder_source = OriginalDecoder(config)
        self.decoder_target = OriginalDecoder(config)
        self.apply(initialize)

    def forward(self, rgb: Tensor) -> Face:
        """Swap: give the person in (N,3,S,S) the face of the source, with the same expression."""
        return self.draw(self.encode(rgb), 0)

    def reconstruct_target(self, rgb: Tensor) -> Face:
        """Draw the target's own face again."""
        return self.draw(self.encode(rgb), 1)

    def encode(self, rgb: Tensor) -> Tensor:
        """Map (N,3,S,S) in [0,1] to the code (N,4w,S/8,S/8) that both decoders read.

        Raises:
            ContractError: the pictures have another size.
        """
        side = self.config.size
        check(
            tuple(rgb.shape[1:]) == (3, side, side),
            f"faces have shape {tuple(rgb.shape)}, expected (N, 3, {side}, {side})",
        )
        code: Tensor = self.encoder(rgb)
        return code

    def draw(self, code: Tensor, person: int) -> Face:
        """Decode as the source (0) or the target (1)."""
        face: Face = (self.decoder_source, self.decoder_target)[person](code)
        return face

    def folded(self, dtype: torch.dtype = torch.float32) -> Original:
        """Return a copy for inference: see `nets.folding`; there is no norm to merge."""
        return folded(self, {}, dtype)


def _branch(inside: int, last: int, channels: int) -> nn.Sequential:
    widths = [inside, 4 * last, 2 * last, last]
    doublings = [Doubling(i, o, leaky) for i, o in pairwise(widths)]
    return nn.Sequential(*doublings, nn.Conv2d(last, channels, 5, padding=2))
