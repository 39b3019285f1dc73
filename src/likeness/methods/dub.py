"""Dubbing: the mouth follows new speech, everything else stays the target's own frame.

Deep Video Portraits, section 6.2.3 (visual dubbing): the mouth's part of the expression comes from
the dubbing actor, all else from the target. What the paper paints as a whole frame is laid here
only over the lower face; the other pixels, and other people, are those that were decoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from likeness.condition.conditioner import select
from likeness.condition.crop import cut
from likeness.condition.lower_face import lower_face
from likeness.methods.reenact import PortraitModel
from likeness.provenance.manifest import COMPOSITE, Ingredient, Manifest
from likeness.provenance.permission import Permission
from likeness.types import Bools, Condition, FaceParams, Layer, Window, check


@dataclass(frozen=True, eq=False)
class Dub:
    """The method in the pipeline's slots."""

    portrait: PortraitModel
    own: FaceParams
    """What the target does itself, one per frame of its clip."""
    params: FaceParams
    """The same with the new mouth."""
    observed: Bools
    """(M,) frames in which the target's face was seen; the others stay as they are."""
    permission: Permission
    """Who agreed; there is no synthesis without one."""
    ingredients: tuple[Ingredient, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    action: str = "dub"
    """What the manifest calls it."""

    def __post_init__(self) -> None:
        found = (len(self.own), len(self.params), len(self.observed))
        check(
            len(set(found)) == 1, f"own, params and observed have {found} frames, expected as many"
        )

    def manifest(self, title: str) -> Manifest:
        """State what the output is made from."""
        return Manifest(
            title=title,
            action=self.action,
            ingredients=self.ingredients,
            settings=self.settings,
            people=self.permission.shown,
            digital_source_type=COMPOSITE,
        )

    def condition(self, window: Window, frames: torch.Tensor) -> Condition:
        """Tell the generator about the new faces, and where it may paint."""
        rows = np.arange(window.start, window.stop)
        own = select(self.own, rows)
        crops = cut(frames, self.portrait.conditioner.crop(len(window)))
        told = self.portrait.condition(self.params, window, crops, own=own)
        if self.portrait.editor is not None:
            return told
        mask = lower_face(self.portrait.conditioner, own, select(self.params, rows))
        mask = mask * torch.from_numpy(self.observed[rows].astype(np.float32))[:, None, None, None]
        return replace(told, mask=mask)

    def synthesize(self, condition: Condition) -> Layer:
        """Draw the crop; only the lower face of it is laid over the frame.

        An editor knows better where it has changed something.
        """
        if self.portrait.editor is not None:
            drawn = self.portrait.draw(condition)
            return Layer(condition.crop, drawn, self.portrait.editor.alpha(condition))
        assert condition.mask is not None  # noqa: S101 - `condition` sets it
        alpha = condition.mask * self.portrait.inside
        return Layer(condition.crop, self.portrait.draw(condition), alpha)
