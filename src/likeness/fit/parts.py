"""Which part of the face an expression coefficient belongs to.

Transfer, dubbing and editing take some parts from one performance and the rest from another. The
names are ARKit's, followed by the detail modes of the face model (docs/face_model.md).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args

import numpy as np

from likeness.errors import ContractError
from likeness.types import Bools, FaceParams, Ints

Part = Literal["mouth", "brows", "lids", "gaze", "nose"]

PARTS: tuple[Part, ...] = get_args(Part)
"""Every part of the face that has coefficients of its own."""

_BEGINNINGS: dict[Part, tuple[str, ...]] = {
    # Puffed cheeks hold back a plosive; squinting ones belong to the lids that press them up.
    "mouth": ("mouth", "jaw", "tongue", "cheekPuff", "detail_mouth", "detail_jaw"),
    "brows": ("brow", "detail_rightBrow", "detail_leftBrow"),
    "lids": (
        "eyeBlink",
        "eyeSquint",
        "eyeWide",
        "cheekSquint",
        "detail_rightEye",
        "detail_leftEye",
    ),
    # Skin that follows the eyes; the eyes themselves are turned by FaceParams.gaze.
    "gaze": ("eyeLook",),
    "nose": ("noseSneer", "detail_nose"),
}


def part_of(name: str) -> Part | None:
    """Return the part of the face that a coefficient moves, or None where its name tells nothing.

    >>> part_of("mouthSmileLeft"), part_of("cheekPuff"), part_of("eyeLookInLeft")
    ('mouth', 'mouth', 'gaze')
    """
    for part, beginnings in _BEGINNINGS.items():
        if name.startswith(beginnings):
            return part
    return None


def belongs(names: tuple[str, ...], parts: Collection[Part]) -> Bools:
    """Tell for each of E coefficients whether it moves one of the parts, (E,).

    Args:
        names: `FaceParams.expression_names`.
        parts: parts of the face.

    Raises:
        ContractError: the face model's names tell no part of the face, so nothing can be split.
    """
    found = [part_of(name) for name in names]
    if not any(found):
        raise ContractError(
            f"none of {len(names)} expression coefficients tells its part of the face "
            f"(the first is called {names[0] if names else ''!r}); expected ARKit's names such as "
            "jawOpen. Track the clip with a face model that has them"
        )
    return np.array([part in parts for part in found])


def one_sided(names: tuple[str, ...]) -> Bools:
    """Tell for each of E coefficients whether it goes from 0 at rest to 1 only, (E,).

    ARKit's weights do; detail modes, and coefficients of models without names, go both ways.
    """
    return np.array([part_of(name) is not None and not name.startswith("detail") for name in names])


def mouth_columns(params: FaceParams) -> Ints:
    """Return the columns of `expression` that belong to the mouth."""
    return np.flatnonzero(belongs(params.expression_names, ["mouth"])).astype(np.int64)
