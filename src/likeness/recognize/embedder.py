"""A recognizer as others see it: crops in, codes out, and when two of them are one person's.

Codes of different recognizers have nothing to do with each other. Each has its own distance and its
own threshold, and both are asked here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.condition.align import TEMPLATES, Template, aligned_crop
from likeness.condition.chip import cut_chips
from likeness.condition.crop import cut
from likeness.errors import BundleError
from likeness.nets.identity_simswap import recognition_crop
from likeness.nets.onnx_graph import OnnxIdentity
from likeness.networks import build, prepared
from likeness.types import Bundle, Floats, Weights, check

_BATCH = 32
"""Faces given to the network at once."""


class Embedder(Protocol):
    """What tells people apart."""

    name: str
    """Key of the network, by which codes of different recognizers are told apart."""
    threshold: float
    """Two codes nearer than this are one person's."""

    def crops(self, frames: Tensor, landmarks: Floats) -> Tensor:
        """Cut what `codes` wants from (N,3,H,W) RGB in [0,1] by (N,478,>=2) landmarks."""
        ...

    def codes(self, crops: Tensor) -> Tensor:
        """Map (N,3,h,w) crops, RGB in [0,1], to codes (N,D), with gradients."""
        ...

    def distance(self, a: Floats, b: Floats) -> Floats:
        """Return the distances (...) between codes (...,D); 0 is the same code."""
        ...

    def mean(self, codes: Floats) -> Floats:
        """Return the code (D,) that stands for several (N,D) of one person."""
        ...


@dataclass(frozen=True)
class Reading:
    """How the codes of one kind of network are read."""

    template: str
    """Key of `condition.align.TEMPLATES`; an ONNX export says its own."""
    metric: Literal["euclidean", "cosine"]
    """euclidean: |a - b| of codes as they are. cosine: 1 - cos(a, b)."""
    threshold: float
    """Distance below which two codes are one person's."""


_ARCFACE = 0.68
"""1 - cos: deepface's threshold for its ArcFace network. Not measured here; weights differ."""
RECOGNIZERS: Mapping[str, Reading] = {
    "identity_dlib": Reading("dlib_150", "euclidean", 0.6),
    "identity_iresnet": Reading("arcface_112", "cosine", _ARCFACE),
    "onnx_identity": Reading("arcface_112", "cosine", _ARCFACE),
    "identity_simswap": Reading("simswap_224", "cosine", _ARCFACE),
}
"""By key of the class table. FaceShifter's encoder is missing: it is no published recognizer."""


class Recognizer(Embedder):
    """A network and how its codes are read."""

    def __init__(self, name: str, network: nn.Module) -> None:
        """Take a network that is ready to run.

        Args:
            name: a key of RECOGNIZERS.
            network: maps crops of the template's size, RGB in [0,1], to codes.

        Raises:
            BundleError: it is no recognizer.
        """
        if name not in RECOGNIZERS:
            raise BundleError(
                f"{name!r} tells nobody apart; expected one of {', '.join(RECOGNIZERS)}: give a"
                " bundle of kind arcface"
            )
        self.name = name
        self.network = network
        self.reading = RECOGNIZERS[name]
        self.threshold = self.reading.threshold

    @property
    def template(self) -> Template:
        """How faces are laid before they are looked at."""
        if isinstance(self.network, OnnxIdentity):
            return TEMPLATES[self.network.config.template]
        return TEMPLATES[self.reading.template]

    def crops(self, frames: Tensor, landmarks: Floats) -> Tensor:
        """Cut (N,3,size,size) from (N,3,H,W) RGB in [0,1] by (N,478,>=2) landmarks.

        Raises:
            ContractError: other numbers of frames and landmarks, or landmarks that are no face.
        """
        check(len(frames) == len(landmarks), f"{len(frames)} frames, {len(landmarks)} faces")
        crop = aligned_crop(landmarks, self.template)
        return cut_chips(frames, crop) if self.template.dlib else cut(frames, crop)

    def codes(self, crops: Tensor) -> Tensor:
        """Map crops (N,3,size,size), RGB in [0,1], to codes (N,D)."""
        if self.name == "identity_simswap":
            crops = recognition_crop(crops)
        if not len(crops):
            return crops.new_zeros((0, 0))
        return torch.cat([self.network(part) for part in crops.split(_BATCH)])

    def distance(self, a: Floats, b: Floats) -> Floats:
        """Return the distances (...) between codes (...,D).

        Raises:
            ContractError: the codes have different lengths: they are of different recognizers.
        """
        check(
            a.shape[-1] == b.shape[-1],
            f"codes of {a.shape[-1]} and {b.shape[-1]} numbers are of different recognizers;"
            " look at both faces with the same one",
        )
        if self.reading.metric == "euclidean":
            return np.asarray(np.linalg.norm(a - b, axis=-1), np.float32)
        return np.asarray(1 - (_unit(a) * _unit(b)).sum(-1), np.float32)

    def mean(self, codes: Floats) -> Floats:
        """Return the code (D,) that stands for several (N,D) of one person."""
        check(len(codes) > 0, "no codes to take the mean of")
        if self.reading.metric == "euclidean":
            return np.asarray(codes.mean(0), np.float32)
        return _unit(_unit(codes).mean(0))

    def loss(self, a: Tensor, b: Tensor) -> Tensor:
        """Return distances (N,) between codes (N,D) with gradients, for training."""
        if self.reading.metric == "euclidean":
            # The root has no gradient where two codes are equal.
            return ((a - b).square().sum(-1) + 1e-12).sqrt()
        return 1 - functional.cosine_similarity(a, b, dim=-1)


def open_recognizer(
    bundle: Bundle, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> Recognizer:
    """Make a bundle's recognizer ready to run.

    Args:
        bundle: of kind arcface or onnx, or `importers.recognizer.recognizer_bundle()`.
        device: where it runs.
        dtype: float32 or bfloat16 make a fast copy without gradients; by default the network
            stays as it is built, and gradients pass through it to its pictures.

    Raises:
        BundleError: no network of the bundle is a recognizer, or its weights do not fit.
    """
    weights = _weights(bundle)
    network = build(weights).to(device)
    if dtype is not None:
        network = prepared(network, dtype)
    return Recognizer(weights.network, network)


def _weights(bundle: Bundle) -> Weights:
    for weights in bundle.networks.values():
        if weights.network in RECOGNIZERS:
            return weights
    found = ", ".join(w.network for w in bundle.networks.values()) or "nothing"
    raise BundleError(
        f"the bundle of method {bundle.method!r} holds {found}, expected one of"
        f" {', '.join(RECOGNIZERS)}; give a bundle of kind arcface"
    )


def _unit(codes: Floats) -> Floats:
    length = np.linalg.norm(codes, axis=-1, keepdims=True)
    return np.asarray(codes / np.maximum(length, 1e-12), np.float32)
