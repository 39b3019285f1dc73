"""Another light on the same face: a lamp from one side, in place of some of what is there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from likeness.composite.color import LUMA
from likeness.condition.mesh import EYES
from likeness.face3d.light import harmonics
from likeness.methods.edit.surface_head import around_head
from likeness.methods.edit.surface_view import FrameView, blurred
from likeness.types import Floats

_LAMP = np.array([0.80, -0.30, -0.52], np.float32)
"""Where the lamp stands at strength above 0, camera axes: image right, a little above, in front."""
_SHARE = 0.55
"""Light of the lamp at strength 1 where it falls straight, relative to the light that is there."""
_MOST = 0.7
"""Largest change of a pixel's logarithm."""
_FADE = (0.8, 0.3, 0.0)
"""How much of the outline's change each ring around it takes: hair, ears and neck."""
_SOFT = 3.0
"""Millimetres over which the change is smoothed: the mesh is coarse, and skin scatters light."""


@dataclass(frozen=True, eq=False)
class Lamp:
    """Light from image right above zero, from image left below, as bright on the whole."""

    person: Floats
    """Of the unrolled head, from `person_on_head`: the wall behind is lit by its own lamps."""

    def move(self, view: FrameView, strength: float) -> Floats | None:
        """Leave the surface alone."""
        return None

    def shade(self, view: FrameView, strength: float) -> Floats | None:
        """Multiply by the ratio of the new irradiance to the fitted one."""
        posed = view.posed
        face = posed.face
        there = harmonics(posed.normals) @ (face.light[posed.row] @ LUMA)
        level = max(float(np.median(there)), 1e-3)
        there = np.maximum(there, 0.25 * level)
        lamp = _LAMP * np.array([np.sign(strength), 1, 1], np.float32)
        lit = np.maximum(posed.normals @ lamp, 0)
        ratio = np.log1p(abs(strength) * _SHARE * level * lit / there)
        seen = np.maximum(-posed.normals[:, 2], 0)
        ratio -= float((ratio * seen).sum() / max(seen.sum(), 1e-6))
        oval = ratio[face.model.regions["face_oval"]]
        rings = np.concatenate([share * oval for share in _FADE])
        lids = np.array([ratio[face.model.regions[name]].mean() for name in EYES])
        values = np.concatenate([ratio, rings, lids]).astype(np.float32)[:, None]
        change = blurred(posed.carry(values)[..., 0], _SOFT * posed.scale)
        whole = np.maximum(around_head(self.person, view), posed.inside)
        return np.repeat((np.clip(change, -_MOST, _MOST) * whole)[..., None], 3, 2)
