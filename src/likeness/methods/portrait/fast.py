"""The fast portrait: a wanted face is made from warped keyframes of the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from likeness.condition.conditioner import KeyframeCondition, PortraitConditioner, Underlay, select
from likeness.condition.crop import cut
from likeness.condition.gallery import Gallery
from likeness.methods.portrait.model import PortraitModel, gallery_of, open_model
from likeness.methods.portrait.mouth import LowerFace
from likeness.plan.plan import Plan
from likeness.types import Bundle, FaceParams, Ints, Layer, Method, Window


@dataclass(frozen=True, eq=False)
class FastPortrait:
    """The method in the pipeline's slots."""

    model: PortraitModel
    gallery: Gallery
    params: FaceParams
    """What the face shall do, one per frame of the output."""
    underlay: FaceParams | None = None
    """What the target does in the frames beneath; the body is taken from there."""
    conditioner: PortraitConditioner = field(init=False)
    body_keyframes: Ints | None = field(init=False)
    """(M,) keyframes that lend the body where no frame beneath does."""

    def __post_init__(self) -> None:
        conditioner = self.model.shaped(self.params)
        object.__setattr__(self, "conditioner", conditioner)
        # Chosen over the whole performance, so that every window is drawn alike.
        bodies = None
        if self.underlay is None:
            bodies = conditioner.choose_body_keyframes(self.gallery, self.params)
        object.__setattr__(self, "body_keyframes", bodies)

    def condition(self, window: Window, frames: torch.Tensor) -> KeyframeCondition:
        """Paint guides and choose keyframes; the target's own frames lend the body."""
        rows = np.arange(window.start, window.stop)
        wanted = select(self.params, rows)
        if self.underlay is not None:
            crops = cut(frames, self.conditioner.crop(len(window)))
            beneath = Underlay(crops, select(self.underlay, rows))
            return self.conditioner.from_keyframes(self.gallery, wanted, beneath)
        return self.conditioner.from_keyframes(
            self.gallery, wanted, np.asarray(self.body_keyframes)[rows]
        )

    def synthesize(self, told: KeyframeCondition) -> Layer:
        """Draw the crop; it covers the square, softly where the square ends inside the frame."""
        return self.model.layer(self.model.draw(told.keyframes, told.maps, told.code))


def ready_fast(bundle: Bundle, device: torch.device) -> Callable[[Plan], Method[Any]]:
    """Make the portrait of a bundle ready for any plan.

    Raises:
        BundleError: network and weights do not fit.
    """
    model = open_model(bundle, "portrait", device)
    gallery = gallery_of(bundle, model)

    def opened(plan: Plan) -> Method[Any]:
        method = FastPortrait(model, gallery, plan.wanted, plan.underlay)
        return LowerFace(method, model.conditioner, plan) if plan.lower_face else method

    return opened


def open_fast(bundle: Bundle, plan: Plan, device: torch.device) -> Method[Any]:
    """Open the portrait of a bundle for a plan.

    Raises:
        BundleError: network and weights do not fit.
    """
    return ready_fast(bundle, device)(plan)
