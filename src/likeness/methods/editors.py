"""The methods that change the target's own frames, by the name that bundles carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from likeness.condition.guide import Guide
from likeness.methods.face2face import Face2FaceConfig, make_face2face, open_face2face
from likeness.methods.obama import ObamaConfig, make_obama, open_obama
from likeness.methods.protocol import Editor
from likeness.training.data import FrameBank
from likeness.types import FaceParams, Ints, Shot, Weights

EditorConfig = Face2FaceConfig | ObamaConfig


@dataclass(frozen=True)
class EditorRecipe:
    """How an editor is opened from a bundle."""

    parts: tuple[str, ...]
    """What its bundle holds."""
    open: Callable[[Mapping[str, Weights], Guide, Shot], Editor]


EDITORS: Mapping[str, EditorRecipe] = {
    "reenact.face2face": EditorRecipe(("skin", "mouths"), open_face2face),
    "reenact.obama": EditorRecipe(("mouths", "teeth"), open_obama),
}


def make_editor(
    guide: Guide, params: FaceParams, bank: FrameBank, rows: Ints, config: EditorConfig
) -> dict[str, Weights]:
    """Keep of a clip what an editor needs; there is nothing to train.

    Args:
        guide: the target's mesh and crop.
        params: the target's shot.
        bank: crops of the frames that may be used.
        rows: (M,) frame of the shot behind each row of the bank.
        config: of the chosen editor.
    """
    if isinstance(config, Face2FaceConfig):
        return make_face2face(guide, params, bank, rows, config)
    return make_obama(guide, params, bank, rows, config)
