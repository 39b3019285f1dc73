"""Every network class by the name that bundles carry.

The one literal table: a bundle names a key of it, never an import path, so that no file can choose
what is imported. It stands above the stages whose networks it lists, and below the methods and
importers that build them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from likeness import config
from likeness.errors import BundleError, ConfigError, ContractError
from likeness.nets.declared import shapes_only
from likeness.nets.forensic import ForensicConfig, ForensicNet
from likeness.nets.forensic_whole import ForensicWholeConfig, ForensicWholeNet
from likeness.nets.identity_dlib import DlibIdentity, DlibIdentityConfig
from likeness.nets.identity_faceshifter import FaceShifterIdentity, FaceShifterIdentityConfig
from likeness.nets.identity_iresnet import IResNet, IResNetConfig
from likeness.nets.identity_simswap import SimSwapIdentity, SimSwapIdentityConfig
from likeness.nets.inversion import Inversion, InversionConfig
from likeness.nets.onnx_graph import (
    OnnxConverter,
    OnnxConverterConfig,
    OnnxIdentity,
    OnnxIdentityConfig,
)
from likeness.nets.regions import RegionNet, RegionsConfig
from likeness.nets.speech import Speech, SpeechConfig
from likeness.store.declared import check_settings, check_tensors
from likeness.synthesize.autoencoder import Autoencoder, AutoencoderConfig, Face
from likeness.synthesize.cihanet import CihaConfig, CihaNet
from likeness.synthesize.comb import Comb, CombConfig
from likeness.synthesize.compact import Compact, CompactConfig
from likeness.synthesize.eigenfaces import Eigenfaces, EigenfacesConfig
from likeness.synthesize.faceshifter import AEIConfig, AEINet
from likeness.synthesize.fsgan import FSGAN, FSGANConfig
from likeness.synthesize.fsnet import FSNet, FSNetConfig
from likeness.synthesize.hear import Hear, HearConfig
from likeness.synthesize.ipgan import IPGAN, IPGANConfig
from likeness.synthesize.korshunova import Korshunova, KorshunovaConfig
from likeness.synthesize.megafs import MegaFS, MegaFSConfig
from likeness.synthesize.onnx_swap import (
    OnnxOneToOne,
    OnnxOneToOneConfig,
    OnnxSwap,
    OnnxSwapConfig,
)
from likeness.synthesize.original import Original, OriginalConfig
from likeness.synthesize.portrait import Portrait, PortraitConfig, outdated
from likeness.synthesize.portrait_cpu import PortraitCPU
from likeness.synthesize.rsgan import RSGAN, RSGANConfig
from likeness.synthesize.simswap import SimSwap, SimSwapConfig
from likeness.synthesize.spacetime import Spacetime, SpacetimeConfig
from likeness.synthesize.stylegan import Stylegan, StyleganConfig
from likeness.synthesize.unifacegan import UniFaceGAN, UniFaceGANConfig
from likeness.types import Weights


@runtime_checkable
class Foldable(Protocol):
    """A network that knows how to make itself fast."""

    def folded(self, dtype: torch.dtype = ...) -> nn.Module:
        """Return a copy for inference whose convolutions compute in `dtype`."""
        ...


NETWORKS: Mapping[str, tuple[type[nn.Module], type]] = {
    "autoencoder": (Autoencoder, AutoencoderConfig),
    "cihanet": (CihaNet, CihaConfig),
    "comb": (Comb, CombConfig),
    "compact": (Compact, CompactConfig),
    "eigenfaces": (Eigenfaces, EigenfacesConfig),
    "faceshifter": (AEINet, AEIConfig),
    "forensic": (ForensicNet, ForensicConfig),
    "forensic_whole": (ForensicWholeNet, ForensicWholeConfig),
    "hear": (Hear, HearConfig),
    "fsgan": (FSGAN, FSGANConfig),
    "fsnet": (FSNet, FSNetConfig),
    "identity_dlib": (DlibIdentity, DlibIdentityConfig),
    "identity_faceshifter": (FaceShifterIdentity, FaceShifterIdentityConfig),
    "identity_iresnet": (IResNet, IResNetConfig),
    "identity_simswap": (SimSwapIdentity, SimSwapIdentityConfig),
    "inversion": (Inversion, InversionConfig),
    "ipgan": (IPGAN, IPGANConfig),
    "korshunova": (Korshunova, KorshunovaConfig),
    "megafs": (MegaFS, MegaFSConfig),
    "onnx_converter": (OnnxConverter, OnnxConverterConfig),
    "onnx_identity": (OnnxIdentity, OnnxIdentityConfig),
    "onnx_one_to_one": (OnnxOneToOne, OnnxOneToOneConfig),
    "onnx_swap": (OnnxSwap, OnnxSwapConfig),
    "original": (Original, OriginalConfig),
    "portrait": (Portrait, PortraitConfig),
    "regions": (RegionNet, RegionsConfig),
    "rsgan": (RSGAN, RSGANConfig),
    "simswap": (SimSwap, SimSwapConfig),
    "spacetime": (Spacetime, SpacetimeConfig),
    "speech": (Speech, SpeechConfig),
    "stylegan": (Stylegan, StyleganConfig),
    "unifacegan": (UniFaceGAN, UniFaceGANConfig),
}
"""Class and settings class."""


_MISFITS = (
    ConfigError,
    ContractError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    ArithmeticError,
)
"""What settings that no network was ever built with cause, and tensors that don't fit."""


def build(weights: Weights, expected: str | None = None) -> nn.Module:
    """Build a network from its settings and load its weights strictly, float32, ready to run.

    Raises:
        BundleError: the class is not the expected one (any of the table by default), or settings or
            weights do not fit.
    """
    if weights.network not in NETWORKS or (expected and weights.network != expected):
        raise BundleError(
            f"found network {weights.network!r}, expected "
            f"{repr(expected) if expected else 'one of ' + ', '.join(NETWORKS)}"
        )
    reason = outdated(weights.tensors) if weights.network == "portrait" else None
    if reason is not None:
        raise BundleError(reason)
    network_class, config_class = NETWORKS[weights.network]
    check_settings(weights.network, weights.config)
    try:
        known: Any = config.resolve(config_class, weights.config)
        # On the meta device a network has shapes and no memory: a lie in a bundle costs nothing.
        with shapes_only():
            declared = network_class(known).state_dict()
        check_tensors(weights.network, declared, weights.tensors)
        network = network_class(known)
        network.load_state_dict(dict(weights.tensors))
    except _MISFITS as error:
        raise BundleError(f"the weights do not fit {weights.network!r}: {error}") from error
    return network.eval().requires_grad_(False)


def prepared(network: nn.Module, dtype: torch.dtype = torch.bfloat16) -> nn.Module:
    """Return a network as it is run: the one fast path of all methods.

    Norms are merged into convolutions, which compute in `dtype` on pixels that lie together;
    inputs and outputs stay float32. With float32 the answer stays the same up to rounding;
    `benchmarks/networks.py` measures what bfloat16 saves and costs. The result can neither be
    trained nor saved; narrow ones must be on their device before the first picture, for which
    their weights are packed. A network without a `folded` of its own only gets its weights in
    order.
    """
    if isinstance(network, Foldable):
        return network.folded(dtype)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


Runner = Callable[..., Tensor]
"""A generator as methods run it: tensors of the CPU in, RGB (N,3,h,w) in [0,1] on the CPU out."""


def runner(network: nn.Module, device: torch.device) -> Runner:
    """Decide how a generator is run on a device: the one place that knows.

    The portrait has compiled loops for CPUs; networks of ONNX files run in their own engine; all
    others run in torch as `prepared` makes them, the paper's network in bfloat16.
    """
    if isinstance(network, Portrait) and device.type == "cpu":
        compiled = PortraitCPU(network)
        return lambda *told: compiled(*told).clamp_(0, 1)
    narrow = isinstance(network, Spacetime)
    placed = prepared(network, torch.float32).to(device)

    def run(*told: Tensor) -> Tensor:
        moved = [tensor.to(device) for tensor in told]
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=narrow):
            drawn: Tensor = placed(*moved)
        return drawn.clamp(0, 1).cpu()

    return run


def face_runner(network: nn.Module, device: torch.device) -> Callable[[Tensor], Face]:
    """Decide how a one-to-one swap is run: (N,3,S,S) on the CPU in, a `Face` on the CPU out.

    Convolutions compute in bfloat16; networks of ONNX files run in their own engine.
    """
    placed = prepared(network).to(device)

    def run(rgb: Tensor) -> Face:
        with torch.inference_mode():
            face: Face = placed(rgb.to(device))
        return Face(face.rgb.float().clamp(0, 1).cpu(), face.mask.float().clamp(0, 1).cpu())

    return run
