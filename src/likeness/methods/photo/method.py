"""The one-photo animation in the pipeline's slots, and the bundle that a photo makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from likeness import config as settings
from likeness.errors import BundleError
from likeness.methods.photo.animation import AnimateConfig, Animation, Photo
from likeness.plan.plan import Plan
from likeness.types import Bundle, Clip, Ints, Layer, Shot, Weights, Window

METHOD = "animate.photo"


@dataclass(frozen=True, eq=False)
class PhotoAnimation:
    """The method in the pipeline's slots: the driver's frames in, whole pictures out."""

    animation: Animation
    rows: Ints
    """(M,) frame of the driver's track for each frame of the output."""
    looks: bool
    """Whether the frames that are decoded are the driver's."""

    def condition(self, window: Window, frames: torch.Tensor) -> torch.Tensor:
        """Find where every pixel comes from, (N,11,h,w)."""
        rows = self.rows[window.start : window.stop].tolist()
        return self.animation.condition(rows, frames if self.looks else None)

    def synthesize(self, told: torch.Tensor) -> Layer:
        """Paint whole pictures."""
        drawn = self.animation.draw(told)
        return Layer(self.animation.crop(len(drawn)), drawn, torch.ones_like(drawn[:, :1]))


def photo_bundle(
    photo: Photo, clip: Clip, config: AnimateConfig, people: Sequence[Mapping[str, Any]] = ()
) -> Bundle:
    """Make a photo a bundle: what it is animated from, with nothing learned.

    Args:
        photo: with the face that was found in it.
        clip: the file that it was read from.
        config: how it is animated.
        people: who is shown, and on which consent.
    """
    return Bundle(
        method=METHOD,
        networks={"photo": Weights("photo", settings.to_json(config), {"picture": photo.picture})},
        input={},
        training={},
        license="of the person shown; see people",
        people=tuple(people),
        shot=Shot(clip, photo.track, photo.params),
    )


def open_photo(bundle: Bundle, plan: Plan, device: torch.device) -> PhotoAnimation:
    """Make a photo ready for a plan's driver; it runs on the CPU.

    Raises:
        BundleError: the bundle shows nobody, or the plan has no driver.
        ContractError: photo and driver were fitted with different face models.
    """
    if bundle.shot is None or plan.driver is None:
        raise BundleError("a photo needs a face and a driver; give a photo of a face and a clip")
    kept = bundle.networks["photo"]
    photo = Photo(kept.tensors["picture"], bundle.shot.track, bundle.shot.params)
    config = settings.resolve(AnimateConfig, kept.config)
    track = plan.driver.track
    rows = (np.arange(len(plan)) - track.start).clip(0, len(track) - 1)
    return PhotoAnimation(Animation(photo, plan.driver, config), rows, plan.stream is not None)
