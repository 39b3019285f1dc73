"""Tanned and pale: the skin's own color, on face, ears and neck alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness.methods.edit.surface_hair import skinlike
from likeness.methods.edit.surface_head import around_head
from likeness.methods.edit.surface_view import FrameView, blurred, falling
from likeness.types import Floats

_TAN = np.array([-0.12, -0.20, -0.29], np.float32)
"""Change of each channel's logarithm at strength 1: melanin takes blue most."""
_PALE = np.array([0.05, 0.10, 0.14], np.float32)
"""The same at strength -1."""
_EDGE = 0.008
"""Softness of the skin's edge, in face widths."""
_FADE = (120.0, 175.0)
"""Millimetres from the middle of the unrolled face from where on the change fades, and is gone."""


@dataclass(frozen=True, eq=False)
class Tone:
    """Darker and warmer skin above zero, lighter and cooler below."""

    person: Floats
    """Of the unrolled head, from `person_on_head`."""

    def move(self, view: FrameView, strength: float) -> Floats | None:
        """Leave the surface alone."""
        return None

    def shade(self, view: FrameView, strength: float) -> Floats | None:
        """Change what is skin: the face's own, and what has its color around the face."""
        places = view.posed.places
        near = falling(np.hypot(places[..., 0], places[..., 1]), *_FADE)
        around = skinlike(view) * around_head(self.person, view) * near
        skin = np.maximum(view.bare, around)
        soft = blurred(skin, max(_EDGE * view.width, 0.8))
        change = _TAN if strength > 0 else _PALE
        return np.asarray(abs(strength) * soft[..., None] * change, np.float32)
