"""The methods that change the target's own frames, by the name that bundles carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from likeness.condition.conditioner import PortraitConditioner
from likeness.methods.face2face import Face2FaceConfig, make_face2face, open_face2face
from likeness.methods.obama import ObamaConfig, make_obama, open_obama
from likeness.methods.protocol import Editor, Footage
from likeness.types import Shot, Weights

EditorConfig = Face2FaceConfig | ObamaConfig


@dataclass(frozen=True)
class EditorRecipe:
    """How an editor is opened from a bundle."""

    parts: tuple[str, ...]
    """What its bundle holds."""
    open: Callable[[Mapping[str, Weights], PortraitConditioner, Shot], Editor]


EDITORS: Mapping[str, EditorRecipe] = {
    "reenact.face2face": EditorRecipe(("skin", "mouths"), open_face2face),
    "reenact.obama": EditorRecipe(("mouths", "teeth"), open_obama),
}


def make_editor(footage: Footage, config: EditorConfig) -> dict[str, Weights]:
    """Keep of a clip what an editor needs; there is nothing to train."""
    if isinstance(config, Face2FaceConfig):
        return make_face2face(footage, config)
    return make_obama(footage, config)
