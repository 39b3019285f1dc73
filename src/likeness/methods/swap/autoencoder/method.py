"""A one-to-one network in the pipeline's slots: the target's face in, the source's out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from likeness import geometry
from likeness.condition.crop import cut
from likeness.condition.face_types import EXTENTS, OPTION_TYPES, FaceType, face_crop, sixty_eight
from likeness.errors import BundleError
from likeness.methods.swap.method import Swapped, swapped
from likeness.methods.swap.view import SwapFace, TargetView, moved
from likeness.networks import build, face_runner
from likeness.plan.plan import Plan
from likeness.synthesize.autoencoder import Face
from likeness.types import Bundle, Floats

NETWORKS = ("autoencoder", "original", "comb", "onnx_one_to_one")
"""Networks that draw one person's face from another's."""
_FAINT = 0.1
"""Mask below which nothing is shown; what lies between it and its complement is stretched."""


@dataclass(frozen=True, eq=False)
class OneToOneSwapper:
    """Draws the source's face from the target's own pixels."""

    run: Callable[[torch.Tensor], Face]
    size: int
    """Side of the network's pictures."""
    face_type: FaceType
    """How faces are cut for it."""

    def draw(self, view: TargetView) -> SwapFace:
        """Draw the source doing what the target does, frame by frame."""
        frame_from_view = geometry.invert(view.crop.crop_from_frame.astype("float64"))
        points: Floats = geometry.apply(frame_from_view, sixty_eight(view.landmarks))
        crop = face_crop(points, self.face_type, self.size)
        # One by one: a batch would round each frame's sums in another order.
        faces = [self.run(given) for given in cut(view.frames, crop).split(1)]
        rgb = torch.cat([face.rgb for face in faces])
        mask = torch.cat([face.mask for face in faces])
        mask = ((mask - _FAINT) / (1 - 2 * _FAINT)).clamp(0, 1)
        both = moved(torch.cat([rgb, mask], 1), crop, view.crop)
        return SwapFace(both[:, :3], both[:, 3:])


def open_one_to_one(bundle: Bundle, plan: Plan, device: torch.device) -> Swapped:
    """Open a one-to-one swap for the target of a plan; see `one_to_one_swapper`."""
    return swapped(one_to_one_swapper(bundle, device), plan)


def one_to_one_swapper(bundle: Bundle, device: torch.device) -> OneToOneSwapper:
    """Open a one-to-one swap of any of the networks, trained here or imported.

    Raises:
        BundleError: the bundle's generator is another network, or does not fit, or the face type
            that it was trained for is unknown.
    """
    weights = bundle.networks["generator"]
    if weights.network not in NETWORKS:
        raise BundleError(
            f"the generator is {weights.network!r}, expected one of {', '.join(NETWORKS)}; train "
            "it again: likeness train swap"
        )
    network = build(weights)
    size = int(network.config.size)  # type: ignore[arg-type]
    runner = face_runner(network, device)
    return OneToOneSwapper(runner, size, face_type_of(bundle))


def face_type_of(bundle: Bundle) -> FaceType:
    """Return how faces are cut for a bundle's network.

    Imported models say it in their notes, as DeepFaceLab writes it; a .dfm does not say it, and is
    taken for a whole face, as nearly all of them are.

    Raises:
        BundleError: it names no face type.
    """
    notes: Any = bundle.training.get("imported", {}).get("notes", {})
    told = bundle.input.get("face_type", notes.get("face_type", "whole_face"))
    told = OPTION_TYPES.get(told, told)
    if told not in EXTENTS:
        raise BundleError(
            f"the face type is {told!r:.40}, expected one of {', '.join(EXTENTS)}; fetch or train "
            "the bundle again"
        )
    return told  # type: ignore[no-any-return]
