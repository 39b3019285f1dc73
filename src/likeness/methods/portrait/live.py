"""The fast portrait, moment by moment: body keyframes are chosen forward."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from likeness.condition.body import switch_prices
from likeness.condition.conditioner import KeyframeCondition, select
from likeness.condition.gallery import Gallery, distances
from likeness.fit.following import Following
from likeness.fit.transfer import TransferConfig
from likeness.methods.portrait.model import PortraitModel, gallery_of, open_model
from likeness.plan.live import Acquaintance, Meeting, Moment
from likeness.types import Bundle, Floats, Layer


class LivePortrait:
    """A portrait that follows whoever is before the camera; see `LiveMethod`."""

    def __init__(self, model: PortraitModel, gallery: Gallery, known: Acquaintance) -> None:
        """Begin from what is known of the driver."""
        target = model.target
        self._model, self._gallery = model, gallery
        self._follow = Following(
            target.params, target.observed, known.shot.params, TransferConfig()
        )
        self._bodies = BodyChoice(switch_prices(gallery.bodies.apart(gallery.bodies)))

    def condition(self, moment: Moment) -> KeyframeCondition:
        """Paint guides and choose keyframes."""
        wanted = self._follow(moment.params, moment.seconds)
        conditioner = self._model.conditioner
        unlike = distances(conditioner.describe(wanted).pose, self._gallery.pose)[0]
        body = np.array([self._bodies(unlike)])
        return conditioner.from_keyframes(self._gallery, wanted, body)

    def synthesize(self, told: KeyframeCondition) -> Layer:
        """Draw the crop."""
        with torch.inference_mode():
            return self._model.layer(self._model.draw(told.keyframes, told.maps, told.code))


class BodyChoice:
    """Which keyframe lends the body, without knowing what comes.

    Offline the cheapest course of all is found (`condition.body.choose_body_keyframes`). Forward, a
    body is kept until what was lost by keeping it has added up to the price of changing: whatever
    comes, that costs at most about twice as much (the rule of renting and buying).
    """

    def __init__(self, prices: NDArray[np.float64]) -> None:
        """Take (G,G) prices of a switch from one keyframe to another."""
        self._prices = prices
        self._body: int | None = None
        self._lost = np.zeros(len(prices))

    def __call__(self, unlike: Floats) -> int:
        """Return the keyframe for a frame whose pose is (G,) squared steps from each of them."""
        if self._body is None:
            self._body = int(unlike.argmin())
            return self._body
        self._lost = np.maximum(self._lost + unlike[self._body] - unlike, 0)
        gain = self._lost - self._prices[self._body]
        if gain.max() > 0:
            self._body = int(gain.argmax())
            self._lost[:] = 0
        return self._body


def follow_fast(bundle: Bundle, device: torch.device) -> Meeting:
    """Open the portrait of a bundle for whoever comes before the camera.

    Raises:
        BundleError: network and weights do not fit.
    """
    model = open_model(bundle, "portrait", device)
    gallery = gallery_of(bundle, model)
    # Loops are compiled as they are first used, which takes as long as many frames do.
    own = select(model.target.params, np.zeros(1, np.int64))
    told = model.conditioner.from_keyframes(gallery, own, np.zeros(1, np.int64))
    with torch.inference_mode():
        model.draw(told.keyframes, told.maps, told.code)
    return partial(LivePortrait, model, gallery)
