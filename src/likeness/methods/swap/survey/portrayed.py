"""Swap by a network that is told of its source by pictures and landmarks, and trained here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from likeness import config as settings
from likeness import geometry
from likeness.condition.align import TEMPLATES, Template, aligned_crop
from likeness.condition.crop import cut
from likeness.errors import BundleError
from likeness.methods.photo.animation import Photo
from likeness.methods.swap.method import Swapped, swapped
from likeness.methods.swap.published import GENERATOR
from likeness.methods.swap.source import photos_of
from likeness.methods.swap.survey.faced import laid_points
from likeness.methods.swap.view import SwapFace, TargetView, moved
from likeness.networks import Runner, build, runner
from likeness.plan.plan import Plan
from likeness.recognize.source import scaled
from likeness.synthesize.face_maps import shape
from likeness.synthesize.swap_contract import SwapContract
from likeness.synthesize.unifacegan import UniFaceGAN
from likeness.types import Bundle, FaceTrack, Floats, Shot

_MOST = 9
"""Photos of the source that are used at most: those whose faces are largest."""
_EDGE = 0.03
"""Share of the network's crop over which its picture fades out toward the border."""


@dataclass(frozen=True, eq=False)
class PortrayedSwapper:
    """A network, told of its source, over the target's face."""

    run: Runner
    template: Template
    told: tuple[Tensor, ...]
    """The source's pictures (K,3,S,S), their landmarks (K,478,3) in sides of the crop, and what
    else the network is told."""

    def draw(self, view: TargetView) -> SwapFace:
        """Change the target's faces one by one, so that a frame's answer is its own."""
        frame_from_crop = geometry.invert(view.crop.crop_from_frame)
        landmarks = np.array(view.landmarks, np.float32)
        landmarks[..., :2] = geometry.apply(frame_from_crop, view.landmarks[..., :2])
        landmarks[..., 2] *= np.sqrt(np.linalg.det(frame_from_crop[:, :, :2]))[:, None]
        crop = aligned_crop(landmarks, self.template)
        points = torch.from_numpy(laid_points(landmarks, crop))
        pictures = cut(view.frames, crop)
        if not len(pictures):
            return SwapFace(view.pixels, view.pixels[:, :1])
        pairs = zip(pictures.split(1), points.split(1), strict=True)
        answer = torch.cat([self.run(*pair, *self.told) for pair in pairs])
        cover = answer[:, 3:] * _border(self.template.size)
        both = moved(torch.cat([answer[:, :3] * cover, cover], 1), crop, view.crop)
        rgb, alpha = both[:, :3], both[:, 3:]
        # Colors were dimmed together with coverage.
        rgb = torch.where(alpha > 0, rgb / alpha.clamp(min=1e-4), rgb).clamp(0, 1)
        return SwapFace(rgb, alpha.clamp(0, 1))


def open_portrayed(bundle: Bundle, plan: Plan, device: torch.device) -> Swapped:
    """Make a network that is told by pictures ready for the target of a plan.

    Args:
        bundle: its generator and contract, and the source's photos.
        plan: of a swap.
        device: where the network runs.

    Raises:
        BundleError: photos are missing, or the bundle does not say how its network is called.
    """
    return swapped(portrayed_swapper(bundle, plan.shot, device), plan)


def portrayed_swapper(bundle: Bundle, target: Shot, device: torch.device) -> PortrayedSwapper:
    """Open a bundle's network and tell it of the source; see `open_portrayed`."""
    said = bundle.input.get("contract")
    if said is None:
        raise BundleError(
            f"the bundle of {bundle.method!r} does not say how its network is called; expected one "
            "of `likeness train swap`; train it again"
        )
    contract = settings.resolve(SwapContract, said)
    network = build(bundle.networks[GENERATOR], contract.family)
    template = scaled(TEMPLATES[contract.template], contract.size)
    told: tuple[Tensor, ...] = portrayed(photos_of(bundle), template)
    if isinstance(network, UniFaceGAN):
        told = (*told, rest_of(target.track, template))
    return PortrayedSwapper(runner(network, device), template, told)


def portrayed(photos: tuple[Photo, ...], template: Template) -> tuple[Tensor, Tensor]:
    """Return pictures (K,3,S,S) of a person and landmarks (K,478,3), largest faces first."""
    found = []
    for photo in photos:
        landmarks: Floats = photo.track.landmarks[:1]
        crop = aligned_crop(landmarks, template)
        size = float(np.linalg.det(crop.crop_from_frame[0, :, :2]))
        points = torch.from_numpy(laid_points(landmarks, crop))
        found.append((size, cut(photo.picture[None], crop), points))
    best = sorted(found, key=lambda one: one[0])[:_MOST]
    return torch.cat([one[1] for one in best]), torch.cat([one[2] for one in best])


def rest_of(track: FaceTrack, template: Template) -> Tensor:
    """Return (478,3), the mean shape of a target's face over its track."""
    seen = track.landmarks[track.observed] if track.observed.any() else track.landmarks
    points = torch.from_numpy(laid_points(seen, aligned_crop(seen, template)))
    return shape(points)[0].mean(0)


def _border(side: int) -> Tensor:
    """(1,1,S,S) 1 inside, falling to 0 at the border."""
    place = (torch.arange(side) + 0.5) / side
    near = (torch.minimum(place, 1 - place) / _EDGE).clamp(0, 1)
    return (near[:, None] * near)[None, None]
