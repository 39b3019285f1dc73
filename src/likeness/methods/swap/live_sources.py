"""Who lends the face in a live swap: a portrait, photos, or a network that looks at each frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from likeness import config as settings
from likeness.condition.body import switch_prices
from likeness.condition.gallery import distances
from likeness.fit.following import Following
from likeness.fit.transfer import TransferConfig
from likeness.methods.photo.animation import Animation, Photo
from likeness.methods.photo.live import Remembered, unmoved
from likeness.methods.portrait.live import BodyChoice
from likeness.methods.portrait.model import gallery_of, open_model
from likeness.methods.swap.autoencoder.method import one_to_one_swapper
from likeness.methods.swap.evened import evened
from likeness.methods.swap.live import LiveSwap
from likeness.methods.swap.outline import Outline
from likeness.methods.swap.photo import (
    PhotoSwapConfig,
    PhotoSwapper,
    light_of,
    looks_of,
    performed,
    shares_of,
    without_fringe,
)
from likeness.methods.swap.portrait import (
    PortraitSwapper,
    beyond,
    expect_portrait,
    joined,
    placed_like,
)
from likeness.methods.swap.published import PublishedConfig, published_swapper
from likeness.methods.swap.source import photos_of
from likeness.methods.swap.view import SwapFace, Swapper, TargetView
from likeness.plan.live import Acquaintance, Meeting, Moment
from likeness.types import Bundle, Shot


class PortraitDrawer:
    """A portrait that does what the person before the camera does, frame by frame."""

    def __init__(self, swapper: PortraitSwapper, known: Acquaintance) -> None:
        """Begin from what is known of the target."""
        model, gallery = swapper.model, swapper.gallery
        self._swapper, self._target = swapper, model.target
        theirs = placed_like(self._target, known.shot.params)
        own = (self._target.params, self._target.observed, theirs)
        self._relative = Following(*own, TransferConfig())
        self._absolute = Following(*own, TransferConfig(absolute=True))
        self._bodies = BodyChoice(switch_prices(gallery.bodies.apart(gallery.bodies)))

    def __call__(self, moment: Moment) -> Swapper:
        """Return what draws a moment."""
        theirs = placed_like(self._target, moment.params)
        copied = self._absolute(theirs, moment.seconds)
        params = joined(self._relative(theirs, moment.seconds), copied)
        swapper = self._swapper
        pose = swapper.conditioner.describe(params).pose
        body = self._bodies(distances(pose, swapper.gallery.pose)[0])
        return replace(
            swapper,
            params=params,
            rotation=beyond(copied.rotation, theirs.rotation),
            body_keyframes=np.array([body]),
        )


class PhotoDrawer:
    """Photos that do what the person before the camera does, frame by frame."""

    def __init__(
        self,
        ready: PhotoSwapper,
        photos: Sequence[Photo],
        config: PhotoSwapConfig,
        known: Acquaintance,
    ) -> None:
        """Begin from what is known of the target."""
        self._photos, self._config = photos, config
        self._target = Remembered(known)
        last = len(known.shot.track) - 1
        animations = tuple(self._moved(ready, self._target.first))
        for animation in animations:
            animation.match(known.picture, known.shot, last)
        self._ready = replace(ready, animations=animations)

    def __call__(self, moment: Moment) -> Swapper:
        """Return what draws a moment."""
        target = self._target.add(moment)
        animations = tuple(self._moved(self._ready, target))
        shares = shares_of(self._photos, target)
        swapper = replace(self._ready, animations=animations, shares=shares)
        return AtRow(swapper, len(target.track) - 1)

    def _moved(self, ready: PhotoSwapper, target: Shot) -> Iterator[Animation]:
        for photo, animation in zip(self._photos, ready.animations, strict=True):
            motion = performed(photo.params, target, self._config, rest=0)
            yield animation.moved_by(target, 0, motion)


@dataclass(frozen=True, eq=False)
class AtRow:
    """A swapper whose target's track holds the moment somewhere else than in its first row."""

    swapper: Swapper
    row: int

    def draw(self, view: TargetView) -> SwapFace:
        """Draw one frame."""
        return self.swapper.draw(replace(view, rows=np.array([self.row])))


def follow_portrait_swap(bundle: Bundle, device: torch.device) -> Meeting:
    """Make a portrait ready to be laid over whoever comes before the camera.

    Raises:
        BundleError: the bundle is no fast portrait.
    """
    expect_portrait(bundle)
    model = open_model(bundle, "portrait", device)
    gallery = gallery_of(bundle, model)
    own, outline = model.target.params, Outline(model.conditioner.mesh.model)
    none = np.zeros(1, np.int64)
    swapper = PortraitSwapper(
        model, gallery, own, own.rotation, none, model.conditioner.light, outline
    )
    return lambda known: LiveSwap(PortraitDrawer(swapper, known), known)


def follow_photo_swap(bundle: Bundle, device: torch.device) -> Meeting:
    """Make photos ready to be laid over whoever comes; they are drawn on the CPU.

    Raises:
        BundleError: the bundle holds no photos.
    """
    photos = tuple(evened(photo) for photo in photos_of(bundle))
    config = settings.resolve(PhotoSwapConfig, bundle.training.get("settings", {}))
    animations = tuple(without_fringe(unmoved(photo, looks_of(config))) for photo in photos)
    shares = np.full((1, len(photos)), 1 / len(photos), np.float32)
    lights = tuple(light_of(animation) for animation in animations)
    ready = PhotoSwapper(animations, shares, lights, Outline(animations[0].model))
    return lambda known: LiveSwap(PhotoDrawer(ready, photos, config, known), known)


def follow_one_to_one(bundle: Bundle, device: torch.device) -> Meeting:
    """Make a network that knows two people ready for the one before the camera.

    Raises:
        BundleError: as `one_to_one_swapper`.
    """
    swapper = one_to_one_swapper(bundle, device)
    return lambda known: LiveSwap(lambda _: swapper, known)


def follow_published(bundle: Bundle, device: torch.device) -> Meeting:
    """Make a network for any two people ready for whoever comes before the camera.

    Raises:
        BundleError: as `open_published`.
    """
    config = settings.resolve(PublishedConfig, bundle.training.get("settings"))
    swapper = published_swapper(bundle, None, config, device)

    def meet(known: Acquaintance) -> LiveSwap:
        boosted = swapper if config.boost else swapper.suited(known.shot.track)
        return LiveSwap(lambda _: boosted, known)

    return meet
