"""What a swap network is told of the source: a code of the recognizer it knows, or a picture.

Recognizers answer in spaces of their own, and a network understands one. Which it is, whether the
code's length means something, and whether a converter can stand in, is in its contract. Several
photos of one person are told as the mean of their codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.condition.align import TEMPLATES, Template, aligned_crop
from likeness.condition.crop import cut
from likeness.errors import BundleError
from likeness.nets.identity_dlib import DlibIdentity
from likeness.nets.identity_faceshifter import FaceShifterIdentity
from likeness.nets.identity_iresnet import IResNet
from likeness.nets.identity_simswap import SimSwapIdentity, recognition_crop
from likeness.nets.layers import imagenet_from_rgb
from likeness.nets.onnx_graph import OnnxConverter, OnnxIdentity
from likeness.networks import build
from likeness.synthesize.swap_contract import SwapContract
from likeness.types import Crop, Floats, Weights, check

W600K = "w600k"
"""The space that converters start from."""
_R50 = 14
"""Blocks of the third stage of w600k_r50; deeper ones are GHOST's glint360k_r100."""
_FACESHIFTER = 256


@dataclass(frozen=True, eq=False)
class SourceFace:
    """One photo of the source."""

    picture: Tensor
    """(3,H,W) RGB in [0,1]."""
    landmarks: Floats
    """(478,>=2) x, y in pixels of the picture."""


@dataclass(frozen=True, eq=False)
class Describer:
    """A recognizer as swap networks ask it."""

    template: Template
    describe: Callable[[Tensor], Tensor]
    """Raw codes (N,D) of crops (N,3,S,S) on the template, RGB in [0,1]."""


@dataclass(frozen=True, eq=False)
class SourceParts:
    """Networks that say who the source is."""

    describers: Mapping[str, Describer] = field(default_factory=dict)
    """By space."""
    converters: Mapping[str, nn.Module] = field(default_factory=dict)
    """By whose codes come out; empty where nobody says."""


def parts_of(networks: Iterable[Weights], device: torch.device | str = "cpu") -> SourceParts:
    """Open the recognizers and converters among networks; others are passed over.

    Raises:
        BundleError: the weights of one do not fit.
    """
    describers: dict[str, Describer] = {}
    converters: dict[str, nn.Module] = {}
    for weights in networks:
        if weights.network == "onnx_converter":
            network = build(weights)
            if isinstance(network, OnnxConverter):
                converters[network.config.to] = network
        elif weights.network.removeprefix("onnx_").startswith("identity"):
            found = _describer(build(weights).to(device), device)
            if found is not None:
                describers[found[0]] = found[1]
    return SourceParts(describers, converters)


def tell_source(contract: SwapContract, parts: SourceParts, faces: Sequence[SourceFace]) -> Tensor:
    """Return what a swap network is told of a person.

    Args:
        contract: of the network.
        parts: recognizers and converters at hand.
        faces: one or more photos of the person. A network that is told by a picture gets the one
            in which the face is largest.

    Returns:
        (1,D) code, or (1,3,s,s) RGB in [0,1].

    Raises:
        BundleError: the recognizer that the network was trained with is not at hand.
    """
    check(len(faces) > 0, "no face of the source, expected one or more")
    if contract.source == "picture":
        template = scaled(TEMPLATES[contract.source_template], contract.source_size)
        crops = [aligned_crop(face.landmarks[None], template) for face in faces]
        best = int(np.argmin([np.linalg.det(c.crop_from_frame[0, :, :2]) for c in crops]))
        return cut(faces[best].picture[None], crops[best])
    with torch.inference_mode():
        codes = torch.cat([_code(contract, parts, face) for face in faces])
        if contract.form == "raw":
            return contract.counted(codes.mean(0, keepdim=True))
        mean = functional.normalize(functional.normalize(codes).mean(0, keepdim=True))
        if contract.adapter:
            added = torch.cat([_asked(parts, contract.adapter, face) for face in faces])
            mean = mean + functional.normalize(functional.normalize(added).mean(0, keepdim=True))
        return mean


def missing(contract: SwapContract, parts: SourceParts) -> str:
    """Say which recognizer a network lacks; empty where it has all it needs."""
    if contract.source != "code":
        return ""
    wanted = [contract.space, *([contract.adapter] if contract.adapter else [])]
    lacking = [space for space in wanted if space not in parts.describers]
    if not lacking or (lacking == [contract.space] and _converter(contract, parts) is not None):
        return ""
    answer = f"the recognizer {' and '.join(lacking)}"
    if contract.converter:
        answer += f", or w600k with CrossFace's converter to {contract.converter}"
    return answer


def scaled(template: Template, size: int) -> Template:
    """Return a template in a crop of another size."""
    share = size / template.size
    points = tuple((x * share, y * share) for x, y in template.points)
    return replace(template, size=size, points=points)


def _code(contract: SwapContract, parts: SourceParts, face: SourceFace) -> Tensor:
    if contract.space in parts.describers:
        return _asked(parts, contract.space, face)
    converter = _converter(contract, parts)
    if converter is None:
        found = ", ".join(parts.describers) or "none"
        raise BundleError(
            f"{contract.family} needs {missing(contract, parts)}; found the recognizers: {found}. "
            "Import its file (likeness models import onnx FILE -o NAME.bundle, or arcface) and "
            "give the bundle with --recognizer"
        )
    answer: Tensor = converter(_asked(parts, W600K, face))
    return answer


def _converter(contract: SwapContract, parts: SourceParts) -> nn.Module | None:
    if not contract.converter or W600K not in parts.describers:
        return None
    return parts.converters.get(contract.converter) or parts.converters.get("")


def _asked(parts: SourceParts, space: str, face: SourceFace) -> Tensor:
    describer = parts.describers[space]
    crop: Crop = aligned_crop(face.landmarks[None], describer.template)
    return describer.describe(cut(face.picture[None], crop)).float().cpu()


def _describer(network: Any, device: torch.device | str) -> tuple[str, Describer] | None:
    if isinstance(network, OnnxIdentity):
        config = network.config
        return config.space, Describer(TEMPLATES[config.template], network.describe)
    if isinstance(network, DlibIdentity):
        return "dlib", Describer(TEMPLATES["dlib_150"], _on(device, network))
    if isinstance(network, IResNet):
        if network.config.depths[2:3] <= (_R50,):
            describe = _on(device, lambda rgb: network.describe(rgb * 2 - 1))
            return W600K, Describer(TEMPLATES["arcface_112"], describe)
        describe = _on(device, lambda rgb: network.describe(_shrunk(rgb) * 2 - 1))
        return "ghost", Describer(TEMPLATES["simswap_224"], describe)
    if isinstance(network, SimSwapIdentity):
        describe = _on(
            device, lambda rgb: network.describe(imagenet_from_rgb(recognition_crop(rgb)))
        )
        return "simswap", Describer(TEMPLATES["simswap_224"], describe)
    if isinstance(network, FaceShifterIdentity):
        template = scaled(TEMPLATES["ffhq_512"], _FACESHIFTER)
        return "faceshifter", Describer(template, _on(device, network))
    return None


def _on(
    device: torch.device | str, describe: Callable[[Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    return lambda rgb: describe(rgb.to(device))


def _shrunk(rgb: Tensor) -> Tensor:
    return functional.interpolate(rgb, size=(112, 112), mode="bilinear")
