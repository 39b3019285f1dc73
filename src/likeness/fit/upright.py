"""How a camera was held: motion is told in a picture that stands on its feet.

A head nods about an axis through its ears, whichever way the picture stands. Where the camera was
turned by a quarter or by half, that axis is another one in the picture: change from rest, taken
over as the picture shows it, makes a nod of a shake, or a nod up of a nod down. So such params are
turned upright first, by whole quarters, as pictures are. A tilted head is no turned camera: within
45 degrees nothing is changed, to the bit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from likeness.geometry import axis_angle, rotation_matrix
from likeness.types import FaceParams, Floats, Ints

_COSINES = (1, 0, -1, 0)


def quarters_of(params: FaceParams, rows: Ints) -> int:
    """Return by how many quarters clockwise (0 to 3) faces stand turned in the picture.

    Args:
        params: N frames.
        rows: the frames that are asked; their heads' mean direction decides.
    """
    down = rotation_matrix(params.rotation[rows])[:, :2, 1].sum(0)
    roll = np.arctan2(-down[0], down[1])
    return int(np.round(roll / (np.pi / 2))) % 4


def turned(params: FaceParams, quarters: int) -> FaceParams:
    """Return params as if the picture were turned about its center by quarters clockwise.

    Light, which lies in the picture's axes, stays: transfer takes none from a driver.
    """
    if quarters % 4 == 0:
        return params
    return replace(
        params,
        rotation=turned_rotation(params.rotation, quarters),
        translation=turned_place(params.translation, quarters),
    )


def turned_rotation(rotation: Floats, quarters: int) -> Floats:
    """Turn (N,3) axis-angles by quarters clockwise in the picture."""
    if quarters % 4 == 0:
        return rotation
    return axis_angle(_about_z(quarters) @ rotation_matrix(rotation))


def turned_place(translation: Floats, quarters: int) -> Floats:
    """Turn (N,3) places by quarters clockwise about the picture's center."""
    if quarters % 4 == 0:
        return translation
    return np.asarray(translation @ _about_z(quarters).T, np.float32)


def _about_z(quarters: int) -> Floats:
    cosine, sine = _COSINES[quarters % 4], _COSINES[(quarters - 1) % 4]
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], np.float32)
