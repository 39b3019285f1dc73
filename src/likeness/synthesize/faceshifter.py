"""FaceShifter's AEI-Net: identity and attributes, weighed against each other pixel by pixel.

Paper: Li et al., FaceShifter: Towards High Fidelity And Occlusion Aware Face Swapping (arXiv
1912.13457), section 3.1: the multi-level attribute encoder (equation 1) and the generator of
adaptive attentional denormalization (AAD) layers (equations 2 to 4). There are no official weights;
those of MINDsLab's port (code BSD-3, trained on CelebA-HQ, FFHQ and VGGFace) fit this file.
Differs as that port does: codes of 256 numbers, batch norm for instance norm, 3x3 convolutions of
the attributes, a mask per channel, a sigmoid at the end, resizing with corner pixels kept.
Input:  rgb (N,3,256,256) in [0,1], the target's aligned crop; code (N,256) of length 1, the
source's face as `nets.identity_faceshifter` sees it.
Output: rgb (N,3,256,256) in [0,1], the crop with the source's identity.
At its published size 439.31 M parameters, 372 M of them in the generator.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import BundleError, ConfigError
from likeness.nets.checkpoints import Shapes, State, indices, renamed, shape_at, shapes_of
from likeness.nets.folding import folded
from likeness.nets.layers import stretch
from likeness.types import check

_SLOPE = 0.1
_PARTS = {
    "BNorm": "norm",
    "conv_f": "mask",
    "fc_1": "identity_scale",
    "fc_2": "identity_shift",
    "conv1": "attribute_scale",
    "conv2": "attribute_shift",
}
_STEPS = {"1": "first", "2": "second", "3": "shortcut"}


@dataclass(frozen=True)
class AEIConfig:
    """Shape of encoder and generator; the default is the published one."""

    encoder: tuple[int, ...] = (32, 64, 128, 256, 512, 1024, 1024)
    """Channels after each halving of the target; maps come back up with as many as lie beside."""
    generator: tuple[int, ...] = (1024, 1024, 1024, 1024, 512, 256, 128, 64)
    """Channels that enter each block, coarse to fine: one block more than halvings."""
    code: int = 256
    """Numbers in the source's code."""

    def __post_init__(self) -> None:
        if len(self.encoder) < 2 or len(self.generator) != len(self.encoder) + 1:
            raise ConfigError(
                f"encoder {self.encoder} and generator {self.generator}: expected two halvings or "
                "more, and one block more than halvings"
            )

    @property
    def attributes(self) -> tuple[int, ...]:
        """Channels of the attribute maps, coarse to fine; z_1 to z_8 of the paper."""
        beside = [2 * width for width in reversed(self.encoder[:-1])]
        return (self.encoder[-1], *beside, beside[-1])

    @property
    def size(self) -> int:
        """Side of the crop in pixels: the coarsest maps have two."""
        return int(2 ** (len(self.encoder) + 1))


class Resample(nn.Module):
    """A convolution (or transposed one) of 4x4 and stride 2, batch norm, leaky ReLU."""

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm2d(conv.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N,A,h,w) to (N,B,h/2,w/2), or twice the size."""
        return functional.leaky_relu(self.norm(self.conv(x)), _SLOPE)


class AttributeEncoder(nn.Module):
    """A U-Net whose way up is the answer: what of the target shall stay, at every resolution."""

    def __init__(self, config: AEIConfig) -> None:
        super().__init__()
        down = itertools.pairwise((3, *config.encoder))
        ups = zip(config.attributes[:-2], reversed(config.encoder[:-1]), strict=True)
        self.down = nn.ModuleList(Resample(nn.Conv2d(a, b, 4, 2, 1)) for a, b in down)
        self.up = nn.ModuleList(Resample(nn.ConvTranspose2d(a, b, 4, 2, 1)) for a, b in ups)

    def forward(self, rgb: Tensor) -> tuple[Tensor, ...]:
        """Map the target (N,3,S,S) to its attribute maps, coarse to fine (equation 1)."""
        beside = [rgb]
        for step in self.down:
            beside.append(step(beside[-1]))
        x = beside.pop()
        maps = [x]
        for step in self.up:
            x = torch.cat([step(x), beside.pop()], 1)
            maps.append(x)
        maps.append(_double(x))
        return tuple(maps)


class AAD(nn.Module):
    """Adaptive attentional denormalization, ReLU and a convolution."""

    def __init__(self, inside: int, outside: int, attribute: int, code: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inside)
        self.mask = nn.Conv2d(inside, inside, 3, padding=1)
        self.identity_scale = nn.Linear(code, inside)
        self.identity_shift = nn.Linear(code, inside)
        self.attribute_scale = nn.Conv2d(attribute, inside, 3, padding=1)
        self.attribute_shift = nn.Conv2d(attribute, inside, 3, padding=1)
        self.conv = nn.Conv2d(inside, outside, 3, padding=1)

    def forward(self, h: Tensor, attribute: Tensor, code: Tensor) -> Tensor:
        """Map h (N,inside,h,w), attribute (N,A,h,w) and code (N,D) to (N,outside,h,w)."""
        h = self.norm(h)
        # Equations 2 and 3: what the target's attributes and what the source's identity make of h.
        attributes = self.attribute_scale(attribute) * h + self.attribute_shift(attribute)
        scale, shift = self.identity_scale(code), self.identity_shift(code)
        identity = scale[:, :, None, None] * h + shift[:, :, None, None]
        # Equation 4: the mask says where which of them speaks.
        answer = torch.lerp(attributes, identity, torch.sigmoid(self.mask(h)))
        convolved: Tensor = self.conv(functional.relu(answer))
        return convolved


class AADBlock(nn.Module):
    """Two AAD layers beside a shortcut, which has one where the number of channels changes."""

    def __init__(self, inside: int, outside: int, attribute: int, code: int) -> None:
        super().__init__()
        self.first = AAD(inside, inside, attribute, code)
        self.second = AAD(inside, outside, attribute, code)
        self.shortcut = AAD(inside, outside, attribute, code) if inside != outside else None

    def forward(self, h: Tensor, attribute: Tensor, code: Tensor) -> Tensor:
        """Map h (N,inside,h,w), attribute (N,A,h,w) and code (N,D) to (N,outside,h,w)."""
        x = self.second(self.first(h, attribute, code), attribute, code)
        beside = h if self.shortcut is None else self.shortcut(h, attribute, code)
        answer: Tensor = x + beside
        return answer


class AEINet(nn.Module):
    """Encoder and generator; see the head of this file."""

    def __init__(self, config: AEIConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = AttributeEncoder(config)
        self.seed = nn.ConvTranspose2d(config.code, config.generator[0], 2)
        pairs = itertools.pairwise((*config.generator, 3))
        self.blocks = nn.ModuleList(
            AADBlock(inside, outside, attribute, config.code)
            for (inside, outside), attribute in zip(pairs, config.attributes, strict=True)
        )

    def forward(self, rgb: Tensor, code: Tensor) -> Tensor:
        """Put the identity of `code` on the faces in `rgb`; see the head of this file."""
        return self.generate(self.attributes(rgb), code)

    def attributes(self, rgb: Tensor) -> tuple[Tensor, ...]:
        """Map the target (N,3,S,S) in [0,1] to its attribute maps z_1, z_2, ..., coarse to fine.

        Raises:
            ContractError: the crops are of another size.
        """
        expected = (3, self.config.size, self.config.size)
        check(rgb.shape[1:] == expected, f"crops are {tuple(rgb.shape[1:])}, expected {expected}")
        answer: tuple[Tensor, ...] = self.encoder(rgb)
        return answer

    def generate(self, attributes: tuple[Tensor, ...], code: Tensor) -> Tensor:
        """Draw faces (N,3,S,S) in [0,1] from attribute maps and codes (N,code).

        Raises:
            ContractError: the codes do not fit.
        """
        expected = (len(attributes[0]), self.config.code)
        check(code.shape == expected, f"the codes are {tuple(code.shape)}, expected {expected}")
        h = self.seed(code[:, :, None, None])
        for index, (block, attribute) in enumerate(zip(self.blocks, attributes, strict=True)):
            h = block(_double(h) if index else h, attribute, code)
        return torch.sigmoid(h)

    def folded(self, dtype: torch.dtype = torch.float32) -> AEINet:
        """Return a copy for inference, its convolutions in `dtype`; pictures stay float32.

        Same answer up to rounding; the copy cannot be trained or loaded into.
        """
        last = f"blocks.{len(self.blocks) - 1}"
        exact = (f"{last}.second", f"{last}.shortcut")
        return folded(self, {Resample: (("conv", "norm"),)}, dtype, exact=exact)


def _double(x: Tensor) -> Tensor:
    return stretch(x, (2 * x.shape[2], 2 * x.shape[3]))


def infer(shapes: Shapes) -> AEIConfig:
    """Read the widths from an official state dict, whose keys begin with `G.` and `E.`.

    Raises:
        BundleError: it is of another network.
        ConfigError: its shapes do not belong together.
    """
    down = indices(shapes, r"E\.Encoder\.layer_(\d{1,2})\.")
    blocks = indices(shapes, r"G\.model\.layer_(\d{1,2})\.")
    if not down or not blocks or down[0] or blocks[0]:
        raise BundleError(
            f"found {len(down)} layers of an encoder and {len(blocks)} of a generator, expected "
            "both, numbered from 0; import the file as the kind that it is"
        )
    return AEIConfig(
        encoder=tuple(shape_at(shapes, f"E.Encoder.layer_{i}.0.weight", 4)[0] for i in down),
        generator=tuple(shape_at(shapes, f"G.model.layer_{i}.conv1.weight", 4)[1] for i in blocks),
        code=shape_at(shapes, "G.convt.weight", 4)[0],
    )


def rename(state: State) -> dict[str, Tensor]:
    """Give the tensors of an official state dict the names of this module's.

    Raises:
        BundleError: a tensor belongs to another network.
    """
    config = infer(shapes_of(state))
    names = {"G.convt": "seed"}
    for ours, theirs in (("down", "Encoder"), ("up", "Decoder")):
        for index in range(len(config.encoder)):
            names |= {
                f"E.{theirs}.layer_{index}.0": f"encoder.{ours}.{index}.conv",
                f"E.{theirs}.layer_{index}.1": f"encoder.{ours}.{index}.norm",
            }
    for index in range(len(config.generator)):
        for number, step in _STEPS.items():
            theirs, ours = f"G.model.layer_{index}", f"blocks.{index}.{step}"
            names[f"{theirs}.conv{number}"] = f"{ours}.conv"
            names |= {f"{theirs}.add{number}.{a}": f"{ours}.{b}" for a, b in _PARTS.items()}
    return renamed(state, names)
