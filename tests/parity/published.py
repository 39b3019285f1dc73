"""What each published network is asked, in the words of ours: one entry per golden."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from likeness.importers.kinds import (
    FACESHIFTER,
    IRESNET,
    REGIONS,
    SIMSWAP,
    SIMSWAP_IDENTITY,
)
from likeness.importers.published import Family
from likeness.nets.identity_iresnet import IResNet
from likeness.nets.identity_simswap import SimSwapIdentity
from likeness.nets.regions import RegionNet
from likeness.synthesize.faceshifter import AEINet
from likeness.synthesize.simswap import SimSwap

Tensors = Mapping[str, Tensor]
Answer = Callable[[nn.Module, Tensors], Tensors]
"""From the golden's inputs to its outputs, both by the golden's names."""


def no_hints(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return nothing: the tensors tell all."""
    return {}


@dataclass(frozen=True)
class Golden:
    """How one golden is reproduced."""

    family: Family
    """The importer's: its `infer` and `rename` are what is tested."""
    answer: Answer
    hints: Callable[[Mapping[str, Any]], dict[str, Any]] = no_hints
    """What `infer` is told beside the tensors, from the golden's description."""
    slow: bool = False
    """More than ten seconds."""


def swap(network: nn.Module, inputs: Tensors) -> Tensors:
    """SimSwap in its own space: the inputs are made for it."""
    assert isinstance(network, SimSwap)
    return {"out": network.generate(inputs["image"], inputs["id"])}


def describe(network: nn.Module, inputs: Tensors) -> Tensors:
    """A recogniser's raw code of a normalized crop."""
    assert isinstance(network, IResNet | SimSwapIdentity)
    return {"out": network.describe(inputs["image"])}


def shift(network: nn.Module, inputs: Tensors) -> Tensors:
    """FaceShifter's face, and its attribute maps z_1 to z_8 by index."""
    assert isinstance(network, AEINet)
    maps = network.attributes(inputs["target"])
    out = network.generate(maps, inputs["z_id"])
    return {"out": out, **{f"z_att_{index}": map_ for index, map_ in enumerate(maps)}}


def parse(network: nn.Module, inputs: Tensors) -> Tensors:
    """BiSeNet's three answers for a normalized picture."""
    assert isinstance(network, RegionNet)
    return dict(zip(("out", "out16", "out32"), network.read(inputs["image"]), strict=True))


GOLDENS: Mapping[str, Golden] = {
    "arcface_iresnet50": Golden(IRESNET, describe),
    "arcface_iresnet100": Golden(IRESNET, describe),
    "bisenet19": Golden(REGIONS, parse),
    "faceshifter_aei": Golden(FACESHIFTER, shift, slow=True),
    "simswap_arcface_r18se": Golden(SIMSWAP_IDENTITY, describe),
    "simswap_arcface_r101se": Golden(SIMSWAP_IDENTITY, describe),
    "simswap_g224": Golden(SIMSWAP, swap),
    "simswap_g224_fix": Golden(SIMSWAP, swap),
    "simswap_g512": Golden(SIMSWAP, swap),
}
