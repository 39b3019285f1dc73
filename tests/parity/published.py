"""What each published network is asked, in the words of ours: one entry per golden."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from likeness.importers.kinds import (
    AUTOENCODER,
    FACESHIFTER,
    INVERSION,
    IRESNET,
    REGIONS,
    SIMSWAP,
    SIMSWAP_IDENTITY,
    STYLEGAN,
)
from likeness.importers.published import Family
from likeness.nets.identity_iresnet import IResNet
from likeness.nets.identity_simswap import SimSwapIdentity
from likeness.nets.inversion import Inversion
from likeness.nets.latents import WPlus
from likeness.nets.regions import RegionNet
from likeness.synthesize.autoencoder import Autoencoder
from likeness.synthesize.faceshifter import AEINet
from likeness.synthesize.simswap import SimSwap
from likeness.synthesize.stylegan import Stylegan

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
    """A recognizer's raw code of a normalized crop."""
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


def decode(network: nn.Module, inputs: Tensors) -> Tensors:
    """DeepFaceLab's faces of both people; its pictures are BGR."""
    assert isinstance(network, Autoencoder)
    flat = network.encode(inputs["image"].flip(1))
    code = network.target_code(flat)
    source = network.decode_source(network.source_code(flat))
    target = network.decode_target(code)
    return {
        "enc_code": flat,
        "code": code,
        "src_dst": source.rgb.flip(1),
        "src_dst_mask": source.mask,
        "dst_dst": target.rgb.flip(1),
        "dst_dst_mask": target.mask,
    }


def invert(network: nn.Module, inputs: Tensors) -> Tensors:
    """e4e's offsets: without the average that lies beside the weights, codes are offsets."""
    assert isinstance(network, Inversion)
    return {"out": network((inputs["image"] + 1) / 2).codes}


def draw(psi: float) -> Answer:
    """StyleGAN2's pictures in [-1,1], from z truncated by psi, and from W+ where it is given."""

    def answer(network: nn.Module, inputs: Tensors) -> Tensors:
        assert isinstance(network, Stylegan)
        noise = network.synthesis.fixed_noise()
        point = network.mapping(inputs["z"]).truncated(network.mapping.average, psi)
        outputs = {"w": point.code, "out": network.draw(point, noise) * 2 - 1}
        if "wplus" in inputs:
            outputs["out_wplus"] = network.draw(WPlus(inputs["wplus"]), noise) * 2 - 1
        return outputs

    return answer


def archi(spec: Mapping[str, Any]) -> dict[str, Any]:
    """DeepFaceLab's options stand in a file beside the weights."""
    return {"archi": spec["config"]["archi"]}


GOLDENS: Mapping[str, Golden] = {
    "arcface_iresnet50": Golden(IRESNET, describe),
    "arcface_iresnet100": Golden(IRESNET, describe),
    "bisenet19": Golden(REGIONS, parse),
    "dfl_df_128": Golden(AUTOENCODER, decode, archi),
    "dfl_df_udt_128": Golden(AUTOENCODER, decode, archi),
    "dfl_liae_128": Golden(AUTOENCODER, decode, archi),
    "dfl_liae_ud_128": Golden(AUTOENCODER, decode, archi),
    "dfl_liae_udtc_128": Golden(AUTOENCODER, decode, archi),
    "e4e_encoder_256": Golden(INVERSION, invert, slow=True),
    "e4e_encoder_1024": Golden(INVERSION, invert, slow=True),
    "faceshifter_aei": Golden(FACESHIFTER, shift, slow=True),
    "simswap_arcface_r18se": Golden(SIMSWAP_IDENTITY, describe),
    "simswap_arcface_r101se": Golden(SIMSWAP_IDENTITY, describe),
    "simswap_g224": Golden(SIMSWAP, swap),
    "simswap_g224_fix": Golden(SIMSWAP, swap),
    "simswap_g512": Golden(SIMSWAP, swap),
    "stylegan2_ada_256": Golden(STYLEGAN, draw(0.7)),
    "stylegan2_ada_1024_cb8192": Golden(STYLEGAN, draw(0.7)),
    "stylegan2_ada_1024_full": Golden(STYLEGAN, draw(0.7), slow=True),
    "stylegan2_ros_256": Golden(STYLEGAN, draw(1.0)),
    "stylegan2_ros_1024": Golden(STYLEGAN, draw(1.0)),
    "stylegan2_ros_1024_cm1": Golden(STYLEGAN, draw(1.0)),
}
