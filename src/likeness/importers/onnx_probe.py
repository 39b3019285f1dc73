"""Families of swap networks that look alike, told apart by trying each one's way of calling.

A face that is given its own identity comes back almost as it was, but only where the network is fed
as it was trained: with values in another range, on another template or with a code of another kind
it comes back wrong. So a network is called in every way that could be its own, and the least mean
difference wins; where two are close nothing is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from likeness.actor import Actor, Motion, RenderConfig, render, truth
from likeness.condition.align import TEMPLATES, aligned_crop
from likeness.condition.crop import cut
from likeness.decode import Decoder, open_clip
from likeness.errors import BundleError, ContractError
from likeness.importers.swap_families import SwapFamily
from likeness.recognize.source import SourceFace, SourceParts, missing, scaled, tell_source
from likeness.synthesize.onnx_swap import OnnxSwap
from likeness.synthesize.swap_contract import SwapContract
from likeness.track import TrackConfig, track
from likeness.types import Window

_SEED = 3
_SIDE = 384
_MARGIN = 0.8
"""The best must differ by less than this share of the next."""
_WORST = 0.15
"""Mean difference of RGB in [0,1] above which nothing was reproduced."""


@dataclass(frozen=True)
class Probe:
    """What trying showed."""

    family: str
    differences: Mapping[str, float]
    """Mean absolute difference of RGB in [0,1] by family; infinite where it could not be called."""


def probe(
    rows: Sequence[SwapFamily],
    networks: Sequence[OnnxSwap],
    parts: SourceParts,
    find_face: Callable[[], SourceFace],
) -> Probe:
    """Tell which of some families a network is of.

    Args:
        rows: the families.
        networks: the network as each of them, in the same order.
        parts: recognizers and converters at hand.
        find_face: returns whom to give their own identity; not asked without a recognizer.

    Raises:
        BundleError: no way of calling reproduces the face, or two do about equally well, or no
            recognizer is at hand; the message says what to pass.
    """
    names = [row.name for row in rows]
    if not parts.describers:
        raise BundleError(
            f"the file could be of {' or '.join(names)}, which look alike; pass --family with the "
            "one that it is, or --with RECOGNIZER.bundle to have it tried"
        )
    face = find_face()
    found = {
        row.name: _difference(row.contract, network, parts, face)
        for row, network in zip(rows, networks, strict=True)
    }
    ranked = sorted(found, key=lambda name: found[name])
    shown = ", ".join(f"{name} {found[name]:.3f}" for name in ranked)
    best, rest = ranked[0], [found[name] for name in ranked[1:]]
    if found[best] > _WORST or any(found[best] > _MARGIN * other for other in rest):
        raise BundleError(
            f"the file could be of {' or '.join(names)}, and trying does not tell (mean difference "
            f"of a face that is given its own identity: {shown}); pass --family with the one that "
            "it is, or try another face with --probe PHOTO"
        )
    return Probe(best, found)


@lru_cache(maxsize=1)
def actor_face() -> SourceFace:
    """Render the face that is tried by default: a procedural actor, seen from the front."""
    actor, motion = Actor.from_seed(_SEED), Motion.from_seed(_SEED, seconds=0.04)
    camera = RenderConfig((_SIDE, _SIDE))
    picture = render(actor, motion, 0, camera).image
    return SourceFace(picture, truth(actor, motion, camera).landmarks[0])


def photo_face(path: Path) -> SourceFace:
    """Find the largest face in a photo.

    Raises:
        TrackError: there is none.
        MediaError, BackendError: from reading and tracking.
    """
    clip = open_clip(path)
    faces = track(clip, TrackConfig())
    largest = max(faces, key=lambda one: float(np.prod(one.boxes[0, 2:] - one.boxes[0, :2])))
    with Decoder(clip) as decoder:
        picture = decoder.read(Window(largest.start, largest.start + 1))[0]
    return SourceFace(picture, largest.landmarks[0])


def _difference(
    contract: SwapContract, network: OnnxSwap, parts: SourceParts, face: SourceFace
) -> float:
    template = scaled(TEMPLATES[contract.template], contract.size)
    crop = cut(face.picture[None], aligned_crop(face.landmarks[None], template))
    try:
        with torch.inference_mode():
            drawn = network(crop, _told(contract, parts, face))
    except (BundleError, ContractError):  # it cannot be called this way
        return float("inf")
    return float((drawn - crop).abs().mean())


def _told(contract: SwapContract, parts: SourceParts, face: SourceFace) -> torch.Tensor:
    """Tell the face's own identity; by whatever recognizer is there, where the right one is not.

    A wrong code makes another person, whose picture still differs less than one in wrong colors.
    """
    if not missing(contract, parts):
        return tell_source(contract, parts, [face])
    space = "w600k" if "w600k" in parts.describers else next(iter(parts.describers))
    form = contract.form if contract.form in ("raw", "unit") else "unit"
    return tell_source(SwapContract(contract.family, contract.size, contract.template,
                                    form=form, space=space), parts, [face])  # fmt: skip
