"""The light on a face, from its own pixels: a swap takes it from one face and puts it on another.

Spherical harmonics on the fitted mesh, as in the fit; swaps multiply by the ratio of two shadings.
"""

from __future__ import annotations

import numpy as np

from likeness.face3d.light import solve_light
from likeness.face3d.model import FaceModel
from likeness.types import Floats


def light_on(picture: Floats, places: Floats, normals: Floats, model: FaceModel) -> Floats:
    """Find the light that explains a picture of a face.

    Args:
        picture: (H,W,3) RGB in [0,1].
        places: (V,2) where the model's vertices lie in it, pixels.
        normals: (V,3) unit normals in camera space.
        model: the face model; its mean albedo stands for the person's.

    Returns:
        (9,3) spherical harmonics.
    """
    size = np.array(picture.shape[1::-1])
    inside = (places > 1).all(1) & (places < size - 1).all(1)
    column = places[:, 0].clip(0, size[0] - 1).astype(int)
    row = places[:, 1].clip(0, size[1] - 1).astype(int)
    seen = inside & (normals[:, 2] < -0.3)
    seen[model.regions["mouth"]] = False
    albedo = np.ascontiguousarray(np.broadcast_to(model.albedo_mean, normals.shape))
    return solve_light(picture[row, column], albedo, normals, seen)
