"""The person that a bundle shows, as far as a plan has to know them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from likeness.condition.conditioner import select
from likeness.errors import BundleError
from likeness.geometry import whole_square
from likeness.store.facts import check_portrait
from likeness.types import Bools, Bundle, Crop, FaceParams, Ints, Shot


@dataclass(frozen=True, eq=False)
class Target:
    """Who is changed, and what training has seen of them."""

    method: str
    """Key of the method table."""
    shot: Shot
    train_frames: Ints
    """(K,) frames of the shot that training used."""
    plate: torch.Tensor
    """(3,H,W) RGB in [0,1]: the scene as a full frame, median over the clip."""
    square: Crop
    """One frame: the square that a portrait draws."""
    people: tuple[Mapping[str, Any], ...] = ()

    @cached_property
    def params(self) -> FaceParams:
        """What the target does in the frames that training saw: its rest and its seen range."""
        return select(self.shot.params, self.train_frames)

    @property
    def observed(self) -> Bools:
        """(K,) in which frames of `params` the face was seen."""
        observed: Bools = self.shot.track.observed[self.train_frames]
        return observed

    @property
    def seen(self) -> FaceParams:
        """The frames of `params` that show the face: where the head is, and in what light."""
        rows = np.flatnonzero(self.observed)
        return select(self.params, rows) if len(rows) else self.params

    @property
    def whole(self) -> bool:
        """Whether the square covers the whole frame."""
        square = whole_square(self.square, self.shot.clip.size)
        return square is not None and square[2] >= max(self.shot.clip.size)

    @staticmethod
    def of(bundle: Bundle) -> Target:
        """Read the target of a bundle of reenactment.

        Raises:
            BundleError: the bundle holds no target.
        """
        if bundle.shot is None or "plate" not in bundle.networks:
            raise BundleError(
                f"the bundle of {bundle.method!r} holds no target; train a portrait with `likeness "
                "train reenact`"
            )
        check_portrait(bundle)
        size = int(bundle.input["size"])
        crop_from_frame = np.array(bundle.input["crop_from_frame"], np.float32)
        return Target(
            bundle.method,
            bundle.shot,
            np.arange(*bundle.training["frames"], dtype=np.int64),
            bundle.networks["plate"].tensors["picture"].float() / 255,
            Crop((size, size), crop_from_frame[None]),
            bundle.people,
        )
