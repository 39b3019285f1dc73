"""Directions that move the face: by modes of expression, or by handles on its surface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from likeness.face3d.model import FaceModel
from likeness.methods.edit.surface_folds import FoldTextures, activations
from likeness.methods.edit.surface_relief import relief
from likeness.methods.edit.surface_skin import SkinTextures
from likeness.methods.edit.surface_view import NOWHERE, FrameView
from likeness.types import Floats

_FULL = 0.8
"""How much of what a face does already is not done again."""


@dataclass(frozen=True)
class Handle:
    """Skin that is pulled, on the person's right side and mirrored on the left."""

    vertex: int
    """In the middle of the skin that moves."""
    pull: tuple[float, float, float]
    """Millimetres right in the image, down, and away from the camera."""
    radius: float
    """Deviation of the Gaussian over which the pull fades, millimetres."""


def pulled(model: FaceModel, handles: tuple[Handle, ...]) -> Floats:
    """(F,3) millimetres that all handles together move the vertices of the mean face."""
    moved = np.zeros_like(model.mean)
    twin = model.regions["twin"]
    for handle in handles:
        right, down, away = handle.pull
        sides = [(handle.vertex, np.array([right, down, away], np.float32))]
        if int(twin[handle.vertex]) != handle.vertex:
            mirror = np.array([-right, down, away], np.float32)
            sides.append((int(twin[handle.vertex]), mirror))
        for vertex, pull in sides:
            distance = np.linalg.norm(model.mean - model.mean[vertex], axis=1)
            moved += np.exp(-0.5 * (distance / handle.radius) ** 2)[:, None] * pull
    return np.asarray(moved, np.float32)


@dataclass(frozen=True, eq=False)
class Shape:
    """A face that is built otherwise: the same offsets in every frame."""

    offsets: Floats
    """(F,3) millimetres at strength 1."""

    def move(self, view: FrameView, strength: float) -> Floats | None:
        """Move by the offsets."""
        return np.asarray(strength * self.offsets, np.float32)

    def shade(self, view: FrameView, strength: float) -> Floats | None:
        """Leave the light alone."""
        return None


@dataclass(frozen=True, eq=False)
class Expression:
    """A face that does something besides: modes of expression are added to what it does."""

    more: Mapping[str, float]
    """Weights that strength 1 adds."""
    less: Mapping[str, float]
    """Weights that strength -1 adds."""
    folds: FoldTextures
    skin: SkinTextures
    depth: float = 0.0
    """How deep the folds are that come with it, relative to those of age."""

    def move(self, view: FrameView, strength: float) -> Floats | None:
        """Add the modes, less where the face does it already."""
        model = view.posed.face.model
        added = self._added(view, strength)
        weights = np.array([added.get(name, 0.0) for name in model.expression_names], np.float32)
        return np.asarray(np.tensordot(weights, model.expression, 1), np.float32)

    def shade(self, view: FrameView, strength: float) -> Floats | None:
        """Draw the folds that the added expression makes."""
        if not self.depth or view.box == NOWHERE:
            return None
        there = activations(view.expression)
        added = self._added(view, strength)
        names = {*view.expression, *added}
        both = {name: view.expression.get(name, 0.0) + added.get(name, 0.0) for name in names}
        then = activations(both)
        change = {key: then[key] - there[key] for key in there}
        if not max(abs(value) for value in change.values()):
            return None
        skin = view.fetch(self.skin.skin) * view.bare[view.box]
        shaded = self.depth * relief(view, self.folds.total(change))
        return view.whole(shaded * skin[..., None])

    def _added(self, view: FrameView, strength: float) -> dict[str, float]:
        added = {}
        for name, weight in (self.more if strength > 0 else self.less).items():
            there = float(np.clip(view.expression.get(name, 0.0), 0, 1))
            if weight < 0:
                # What shall go can go no further than it is there.
                added[name] = -min(there, -weight * abs(strength))
            else:
                added[name] = abs(strength) * weight * (1 - _FULL * there)
        return added


def both_sides(weights: Mapping[str, float]) -> dict[str, float]:
    """Give the weights of names without a side to both sides."""
    found = {}
    for name, weight in weights.items():
        sided = (name,) if name == "browInnerUp" else (f"{name}Left", f"{name}Right")
        found.update(dict.fromkeys(sided, weight))
    return found


SMILE = both_sides(
    {"mouthSmile": 0.62, "cheekSquint": 0.4, "mouthDimple": 0.12, "mouthFrown": -0.6}
)
FROWN = both_sides({"mouthFrown": 0.6, "browDown": 0.3, "mouthSmile": -0.6, "mouthPress": 0.1})
BROWS_UP = both_sides({"browInnerUp": 0.6, "browOuterUp": 0.6, "browDown": -0.5})
BROWS_DOWN = both_sides({"browDown": 0.7, "browInnerUp": -0.6, "browOuterUp": -0.6})
EYES_WIDE = both_sides({"eyeWide": 0.7, "eyeSquint": -0.5})
EYES_NARROW = both_sides({"eyeSquint": 0.5, "eyeBlink": 0.18})

SLIM = (
    # Cheeks and jaw toward the middle, the chin hardly.
    Handle(123, (1.6, 0, 0), 20.0),
    Handle(213, (2.6, 0, 0), 20.0),
    Handle(58, (2.6, 0, 0), 22.0),
    Handle(172, (2.4, -0.6, 0), 18.0),
    Handle(136, (1.4, -0.8, 0), 16.0),
)
JAW = (
    Handle(58, (-1.8, 0.4, 0), 20.0),
    Handle(172, (-2.0, 1.0, 0), 18.0),
    Handle(136, (-1.4, 1.4, 0), 16.0),
    Handle(152, (0, 2.2, -1.0), 16.0),
)
NOSE = (
    # Smaller: wings and sides toward the ridge, tip up.
    Handle(129, (1.7, -0.2, 0.3), 7.0),
    Handle(49, (1.1, 0, 0.3), 8.0),
    Handle(198, (0.7, 0, 0.2), 8.0),
    Handle(4, (0, -1.2, 1.6), 9.0),
)
SAG = (
    # Cheeks and jowls sink, corners of mouth and eyes with them, the lids' skin hangs.
    Handle(214, (-0.6, 2.4, -0.5), 12.0),
    Handle(169, (-1.0, 1.8, -0.8), 11.0),
    Handle(61, (0.0, 1.0, 0), 7.0),
    Handle(50, (0.2, 1.2, 0.5), 14.0),
    Handle(46, (0.0, 1.3, 0), 9.0),
    Handle(65, (0.0, 0.8, 0), 9.0),
    Handle(159, (0.0, 0.55, 0), 5.5),
    Handle(4, (0, 0.9, -0.3), 8.0),
    Handle(0, (0, 0.9, 0.4), 6.0),
    Handle(17, (0, -0.8, 0.4), 7.0),
)
LIFT = (
    # Cheeks fuller and higher, lips fuller, eyes a little larger, the jaw slimmer.
    Handle(50, (-0.3, -0.9, -0.6), 13.0),
    Handle(61, (0.0, -0.5, 0), 7.0),
    Handle(0, (0, -0.6, -0.3), 6.0),
    Handle(17, (0, 0.6, -0.3), 7.0),
    Handle(159, (0.0, -0.45, 0), 6.0),
    Handle(46, (0.0, -0.6, 0), 9.0),
    Handle(172, (1.2, -0.4, 0), 16.0),
    Handle(169, (0.6, -0.8, 0), 11.0),
)
