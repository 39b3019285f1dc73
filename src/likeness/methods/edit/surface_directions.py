"""The directions of the surface engine, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from likeness.methods.edit import surface_move as moves
from likeness.methods.edit.surface_age import Age
from likeness.methods.edit.surface_face import EditedFace
from likeness.methods.edit.surface_folds import FoldTextures, fold_textures
from likeness.methods.edit.surface_hair import Hair
from likeness.methods.edit.surface_head import Glimpses, person_on_head
from likeness.methods.edit.surface_light import Lamp
from likeness.methods.edit.surface_move import Expression, Shape, pulled
from likeness.methods.edit.surface_skin import SkinTextures, skin_textures
from likeness.methods.edit.surface_tone import Tone
from likeness.methods.edit.surface_view import FrameView
from likeness.types import Floats


class Direction(Protocol):
    """It moves the face's surface, or shades it, or both; asked by several threads at once."""

    def move(self, view: FrameView, strength: float) -> Floats | None:
        """(F,3) millimetres of head space that the face's vertices move, or None."""
        ...

    def shade(self, view: FrameView, strength: float) -> Floats | None:
        """(h,w,3) logarithm of the factor on each pixel, or None; 0 leaves a pixel untouched."""
        ...


@dataclass(frozen=True, eq=False)
class Material:
    """What directions are made from for one person; each part is made when it is first needed."""

    face: EditedFace
    seed: int

    @staticmethod
    def of(face: EditedFace, seed: int) -> Material:
        """Take what is needed from a person's face."""
        return Material(face, seed)

    @cached_property
    def folds(self) -> FoldTextures:
        """Where the face folds."""
        return fold_textures(self.face.model, self.face.places, self.seed)

    @cached_property
    def skin(self) -> SkinTextures:
        """Where skin is."""
        return skin_textures(self.face.model, self.face.places, self.seed)

    @cached_property
    def hair(self) -> Hair | None:
        """What is hair, read off a few frames of the clip."""
        return Hair.of(self.glimpses)

    @cached_property
    def person(self) -> Floats:
        """(h,w) on the unrolled head: how surely the person is there."""
        return person_on_head(self.glimpses)

    @cached_property
    def glimpses(self) -> Glimpses:
        """A few frames of the clip."""
        return Glimpses.of(self.face)


@dataclass(frozen=True)
class Row:
    """A direction, and how it is made ready for a person."""

    about: str
    make: Callable[[Material], Direction]


def _shape(handles: tuple[moves.Handle, ...]) -> Callable[[Material], Direction]:
    return lambda material: Shape(pulled(material.face.model, handles))


def _expression(
    more: Mapping[str, float], less: Mapping[str, float], depth: float = 0.0
) -> Callable[[Material], Direction]:
    return lambda material: Expression(more, less, material.folds, material.skin, depth)


DIRECTIONS: Mapping[str, Row] = {
    "age": Row(
        "older above 0, younger below",
        lambda material: Age.of(material.face, material.folds, material.skin, material.hair),
    ),
    "smile": Row("smiling above 0, frowning below", _expression(moves.SMILE, moves.FROWN, 0.5)),
    "brows": Row(
        "raised above 0, lowered below", _expression(moves.BROWS_UP, moves.BROWS_DOWN, 0.4)
    ),
    "eyes_open": Row(
        "wider above 0, narrower below", _expression(moves.EYES_WIDE, moves.EYES_NARROW)
    ),
    "slim": Row("slimmer above 0, fuller below", _shape(moves.SLIM)),
    "jaw": Row("stronger above 0, finer below", _shape(moves.JAW)),
    "relight": Row(
        "light from image right above 0, from image left below",
        lambda material: Lamp(material.person),
    ),
    "tan": Row("tanned above 0, pale below", lambda material: Tone(material.person)),
    "nose": Row("smaller above 0, larger below", _shape(moves.NOSE)),
}
"""What the engine can do, by name."""
