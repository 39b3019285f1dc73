"""Swap networks that look alike, told apart by trying each one's way of being called.

A face that is given its own identity comes back almost as it was, but only where the network is fed
as it was trained: with values in another range, on another template or with a code of another kind
it comes back wrong. So a network is called in every way that could be its own, and the least mean
difference wins; where two are close nothing is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch

from likeness.actor import Actor, Motion, RenderConfig, render, truth
from likeness.condition.align import TEMPLATES, aligned_crop
from likeness.condition.crop import cut
from likeness.decode import Decoder, open_clip
from likeness.errors import BundleError, ContractError
from likeness.recognize.source import SourceFace, SourceParts, missing, scaled, tell_source
from likeness.synthesize.swap_contract import SwapContract
from likeness.track import TrackConfig, track
from likeness.types import Window

_SEED = 3
_SIDE = 384
_MARGIN = 0.8
"""The best must differ by less than this share of the next."""
_WORST = 0.15
"""Mean difference of RGB in [0,1] above which nothing was reproduced."""


Swap = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Map pictures (N,3,S,S), RGB in [0,1], and what is told of the source to pictures."""


@dataclass(frozen=True, eq=False)
class Way:
    """One way in which a network may be called."""

    contract: SwapContract
    network: Swap


@dataclass(frozen=True)
class Probe:
    """What trying showed."""

    best: str
    differences: Mapping[str, float]
    """Mean absolute difference of RGB in [0,1] by way; infinite where it could not be called."""

    def told(self) -> str:
        """Say it in words."""
        shown = ", ".join(f"{name} {value:.3f}" for name, value in self.differences.items())
        return f"by trying: mean differences {shown}"


def probe(
    ways: Mapping[str, Way], parts: SourceParts, find_face: Callable[[], SourceFace], flag: str
) -> Probe:
    """Tell in which of some ways a network was trained to be called.

    Args:
        ways: by the name that `flag` takes.
        parts: recognizers and converters at hand.
        find_face: returns whom to give their own identity; not asked without a recognizer.
        flag: of the command line, by which the user can say it.

    Raises:
        BundleError: no way of calling reproduces the face, or two do about equally well, or no
            recognizer is at hand; the message says what to pass.
    """
    names = " or ".join(ways)
    if not parts.describers:
        raise BundleError(
            f"the file could be of {names}, which look alike; pass {flag} with the one that it is, "
            "or --with RECOGNIZER.bundle to have it tried"
        )
    face = find_face()
    found = {name: _difference(way, parts, face) for name, way in ways.items()}
    ranked = sorted(found, key=lambda name: found[name])
    shown = ", ".join(f"{name} {found[name]:.3f}" for name in ranked)
    best, rest = ranked[0], [found[name] for name in ranked[1:]]
    if found[best] > _WORST or any(found[best] > _MARGIN * other for other in rest):
        raise BundleError(
            f"the file could be of {names}, and trying does not tell (mean difference of a face "
            f"that is given its own identity: {shown}); pass {flag} with the one that it is, or "
            "try another face with --probe PHOTO"
        )
    return Probe(best, found)


@lru_cache(maxsize=1)
def actor_face() -> SourceFace:
    """Render the face that is tried by default: a procedural actor, seen from the front."""
    actor, motion = Actor.from_seed(_SEED), Motion.from_seed(_SEED, seconds=0.04)
    camera = RenderConfig((_SIDE, _SIDE))
    picture = render(actor, motion, 0, camera).image
    return SourceFace(picture, truth(actor, motion, camera).landmarks[0])


def face_finder(photo: Path | None) -> Callable[[], SourceFace]:
    """Return how to find the face of a photo, or an actor's."""
    return actor_face if photo is None else partial(photo_face, photo)


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


def _difference(way: Way, parts: SourceParts, face: SourceFace) -> float:
    contract = way.contract
    template = scaled(TEMPLATES[contract.template], contract.size)
    crop = cut(face.picture[None], aligned_crop(face.landmarks[None], template))
    try:
        with torch.inference_mode():
            drawn = way.network(crop, _told(contract, parts, face))
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
