"""Swap by an any-to-any network that somebody published.

Each is called as its contract says: the target's face is cut to the network's template, changed,
and laid back. What the network is told of the source is found once, from all photos. A network for
small pictures is run on interleaved subsets of a larger crop's pixels (pixel boost): every k-th
pixel in both directions makes a small picture of the whole face, and k*k of them the large one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from likeness import config as settings
from likeness import geometry
from likeness.condition.align import TEMPLATES, TURNED, Template, aligned_crop, aligned_to_best
from likeness.condition.crop import cut
from likeness.errors import BundleError, ConfigError
from likeness.methods.swap.method import Swapped, swapped
from likeness.methods.swap.source import photos_of
from likeness.methods.swap.view import SwapFace, TargetView, moved
from likeness.networks import build, runner
from likeness.plan.plan import Plan
from likeness.recognize.source import (
    SourceFace,
    SourceParts,
    missing,
    parts_of,
    scaled,
    tell_source,
)
from likeness.synthesize import simswap
from likeness.synthesize.compact import Compact
from likeness.synthesize.faceshifter import AEINet
from likeness.synthesize.onnx_swap import OnnxSwap
from likeness.synthesize.simswap import SimSwap
from likeness.synthesize.swap_contract import SwapContract
from likeness.types import Bundle, FaceTrack, Floats, Shot, Weights

GENERATOR = "generator"
_PHOTO = "photo"
_SMALL = 128
"""Networks of at most this size are boosted where faces are larger."""
_MOST = 4
_EDGE = 0.05
"""Share of the network's crop over which its picture fades out toward the border."""

Draw = Callable[[Tensor], tuple[Tensor, Tensor | None]]
"""Map one crop (K,3,S,S), RGB in [0,1], to the changed face and, if any, its mask (K,1,S,S)."""


@dataclass(frozen=True)
class PublishedConfig:
    """Settings of a swap by a published network."""

    boost: int = 0
    """How many times larger than the network's own crop is drawn, by interleaved subsets of its
    pixels; 0 chooses by the size of the face, for networks of at most 128 pixels."""

    def __post_init__(self) -> None:
        if not 0 <= self.boost <= 2 * _MOST:
            raise ConfigError(f"boost is {self.boost}; expected 1 to {2 * _MOST}, or 0 to choose")


@dataclass(frozen=True, eq=False)
class PublishedSwapper:
    """A network, told of its source, over the target's face."""

    contract: SwapContract
    run: Draw
    boost: int = 1
    knowing: Callable[[Tensor, Floats], Draw] | None = None
    """For a network that is told of the target as well: `run` of one frame (1,3,H,W) and the face
    (1,478,2) in it."""

    def suited(self, track: FaceTrack) -> PublishedSwapper:
        """Return it with the boost that suits a face."""
        return replace(self, boost=suited_boost(self.contract, track))

    @property
    def templates(self) -> list[Template]:
        """How faces may be laid for the network, at the size that is drawn."""
        size = self.contract.size * self.boost
        turned = (TURNED[name] for name in self.contract.turned)
        return [scaled(one, size) for one in (TEMPLATES[self.contract.template], *turned)]

    def draw(self, view: TargetView) -> SwapFace:
        """Change the target's faces one by one, so that a frame's answer is its own."""
        frame_from_crop = geometry.invert(view.crop.crop_from_frame)
        landmarks = geometry.apply(frame_from_crop, view.landmarks[..., :2])
        crop = aligned_to_best(landmarks, self.templates)
        pictures = cut(view.frames, crop).split(1)
        runs = [self.run] * len(pictures)
        if self.knowing is not None:
            one_by_one = zip(view.frames.split(1), landmarks[:, None], strict=True)
            runs = [self.knowing(frame, points) for frame, points in one_by_one]
        drawn = [self._changed(run, picture) for run, picture in zip(runs, pictures, strict=True)]
        if not drawn:
            return SwapFace(view.pixels, view.pixels[:, :1])
        both = moved(torch.cat(drawn), crop, view.crop)
        rgb, alpha = both[:, :3], both[:, 3:]
        # Colors were dimmed together with coverage where the crop ends.
        rgb = torch.where(alpha > 0, rgb / alpha.clamp(min=1e-4), rgb).clamp(0, 1)
        return SwapFace(rgb, alpha.clamp(0, 1))

    def _changed(self, run: Draw, picture: Tensor) -> Tensor:
        """Return (1,4,S,S): premultiplied RGB and coverage."""
        face, mask = run(apart(picture, self.boost))
        face = joined(face, self.boost)
        cover = _faded(face)
        if mask is not None:
            cover = cover * joined(mask, self.boost)
        return torch.cat([face * cover, cover], 1)


def open_published(bundle: Bundle, plan: Plan, device: torch.device) -> Swapped:
    """Make a published network ready for the target of a plan.

    Args:
        bundle: its generator, recognizers and converters, and the source's photos.
        plan: of a swap.
        device: where networks of PyTorch run; ONNX files run on the CPU.

    Raises:
        BundleError: the recognizer that the network needs is missing, photos are, or weights do not
            fit.
    """
    config = settings.resolve(PublishedConfig, bundle.training.get("settings"))
    return swapped(published_swapper(bundle, plan.shot, config, device), plan)


def published_swapper(
    bundle: Bundle, target: Shot | None, config: PublishedConfig, device: torch.device
) -> PublishedSwapper:
    """Open a bundle's network and tell it of the source; see `open_published`.

    Where the target is not known yet (None), `suited` chooses the boost as soon as it is.
    """
    network = build(bundle.networks[GENERATOR])
    contract = _told(bundle) or contract_of(network)
    others = [weights for name, weights in bundle.networks.items() if name != GENERATOR]
    parts = parts_of([w for w in others if w.network != _PHOTO], device)
    lacking = missing(contract, parts)
    if lacking:
        raise BundleError(
            f"{contract.family} needs {lacking}; found: {', '.join(parts.describers) or 'none'}. "
            "Import its file with likeness models import, and give that bundle with --recognizer"
        )
    knowing = None
    if contract.source == "none":
        run = _alone(network, bundle, device)
    else:
        faces = [SourceFace(p.picture, p.track.landmarks[0]) for p in photos_of(bundle)]
        told = tell_source(contract, parts, faces)
        run = _drawer(network, told, device)
        if contract.own:
            knowing = _knowing(contract, parts, network, told, device)
    swapper = PublishedSwapper(contract, run, config.boost or 1, knowing)
    return swapper if target is None or config.boost else swapper.suited(target.track)


def with_parts(bundle: Bundle, others: Sequence[Bundle]) -> Bundle:
    """Add to a bundle the networks of others that say who somebody is."""
    parts: dict[str, Weights] = {}
    for number, other in enumerate(others):
        for name, weights in other.networks.items():
            if "identity" in weights.network or weights.network == "onnx_converter":
                parts[f"{name}_{number}"] = weights
    if len(others) and not parts:
        raise BundleError(
            f"the bundle of method {others[0].method!r} holds no recognizer and no converter; "
            "expected one of identity.onnx, identity.arcface or identity.converter"
        )
    return replace(bundle, networks={**bundle.networks, **parts})


def contract_of(network: nn.Module) -> SwapContract:
    """Say how a network of a bundle is called.

    Raises:
        BundleError: it is no published swap network.
    """
    if isinstance(network, OnnxSwap):
        return network.config.contract
    if isinstance(network, SimSwap):
        return simswap.contract_of(network.config)
    if isinstance(network, AEINet):
        return SwapContract("faceshifter", network.config.size, "ffhq_512", space="faceshifter")
    raise BundleError(
        f"the bundle's generator is {type(network).__name__}, expected a published swap network"
    )


def _told(bundle: Bundle) -> SwapContract | None:
    """Read how a network that was trained here is called; imported ones are known by their kind."""
    told = bundle.input.get("contract")
    return None if told is None else settings.resolve(SwapContract, told)


def suited_boost(contract: SwapContract, track: FaceTrack) -> int:
    """Choose how many times larger than its own crop a network draws, once for a whole clip."""
    if contract.size > _SMALL:
        return 1
    seen = track.landmarks[track.observed] if track.observed.any() else track.landmarks
    crop = aligned_crop(seen, scaled(TEMPLATES[contract.template], contract.size))
    scale = float(np.median(np.sqrt(np.linalg.det(crop.crop_from_frame[:, :, :2]))))
    return int(np.clip(round(1 / max(scale, 1e-6)), 1, _MOST))


def apart(pictures: Tensor, count: int) -> Tensor:
    """Take pictures (N,C,kS,kS) apart into k*k small ones each, (N*k*k,C,S,S)."""
    n, c, h, w = pictures.shape
    split = pictures.reshape(n, c, h // count, count, w // count, count)
    return split.permute(0, 3, 5, 1, 2, 4).reshape(-1, c, h // count, w // count)


def joined(pictures: Tensor, count: int) -> Tensor:
    """Undo `apart`."""
    n, c, h, w = pictures.shape
    split = pictures.reshape(n // (count * count), count, count, c, h, w)
    return split.permute(0, 3, 4, 1, 5, 2).reshape(-1, c, h * count, w * count)


def _drawer(network: nn.Module, told: Tensor, device: torch.device) -> Draw:
    """Bind a network to what it is told of the source."""
    if isinstance(network, OnnxSwap):
        return partial(_any_to_any, network, told)
    run = runner(network, device)
    if isinstance(network, Compact):
        return lambda rgb: _parted(run(rgb, told.expand(len(rgb), -1)))
    return lambda rgb: (run(rgb, told.expand(len(rgb), *told.shape[1:])), None)


def _alone(network: nn.Module, bundle: Bundle, device: torch.device) -> Draw:
    """Run a network that draws one person, whom it does not have to be told.

    Raises:
        BundleError: photos of a person were given, whom it cannot draw.
    """
    if any(weights.network == _PHOTO for weights in bundle.networks.values()):
        raise BundleError(
            f"the network of {bundle.method!r} draws the one person that it learned; give its "
            "bundle as the source, without photos"
        )
    run = runner(network, device)
    return lambda rgb: (run(rgb), None)


def _knowing(
    contract: SwapContract,
    parts: SourceParts,
    network: nn.Module,
    told: Tensor,
    device: torch.device,
) -> Callable[[Tensor, Floats], Draw]:
    """Tell a network who the target is in each frame, after who the source is."""
    run = runner(network, device)

    def knowing(frame: Tensor, landmarks: Floats) -> Draw:
        own = tell_source(contract, parts, [SourceFace(frame[0], landmarks[0])])
        both = torch.cat([told, own], 1)
        return lambda rgb: (run(rgb, both.expand(len(rgb), -1)), None)

    return knowing


def _parted(answer: Tensor) -> tuple[Tensor, Tensor]:
    """Part a network's answer (K,4,S,S) into face and mask."""
    return answer[:, :3], answer[:, 3:]


def _any_to_any(network: OnnxSwap, told: Tensor, rgb: Tensor) -> tuple[Tensor, Tensor | None]:
    return network.faces(rgb, told.expand(len(rgb), *told.shape[1:]))


def _faded(face: Tensor) -> Tensor:
    """(1,1,S,S) 1 inside, falling to 0 at the border."""
    side = face.shape[-1]
    place = (torch.arange(side) + 0.5) / side
    near = (torch.minimum(place, 1 - place) / _EDGE).clamp(0, 1)
    return (near[:, None] * near)[None, None]
