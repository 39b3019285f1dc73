"""Where a place on a face is in the next frame: barycentric coordinates on one mesh.

UniFaceGAN's temporal loss (Cao et al., arXiv 2108.05650) follows places on the skin, not pixels:
what a frame shows at a place on the face, the next frame shall show there too, wherever the face
has moved.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from likeness.face3d.raster import interpolate, rasterize
from likeness.synthesize.face_maps import shape
from likeness.types import Floats, Ints

_FACE = 468
"""Landmarks on the skin; the rest are of the irises."""
_AWAY = 2.0
"""Sides of the crop by which depths are moved: the rasterizer takes positive ones."""


def triangles_of(points: Tensor) -> Ints:
    """Span a mesh of triangles (F,3) over the mean of faces (M,478,3), seen from the front."""
    from scipy.spatial import Delaunay

    mean = shape(points)[0].mean(0)[:_FACE, :2]
    return np.asarray(Delaunay(mean.cpu().numpy()).simplices, np.int64)


def followed(points: Floats, after: Floats, triangles: Ints, size: int) -> tuple[Tensor, Tensor]:
    """Find where each pixel of a face lies in another picture of it.

    Args:
        points, after: (N,478,3) landmarks in sides of the crop, of both pictures.
        triangles: (F,3) of the mesh.
        size: side of the crops in pixels.

    Returns:
        (N,size,size,2) places in the other picture from -1 to 1, and (N,1,size,size) 1 where a
        face is. What a face hides of itself in the other picture only is followed all the same:
        between neighboring frames that is a seam of less than a pixel.
    """
    places = np.zeros((len(points), size, size, 2), np.float32)
    covered = np.zeros((len(points), 1, size, size), np.float32)
    scale = np.array([size, size, 1], np.float32)
    for index, (face, there) in enumerate(zip(points, after, strict=True)):
        vertices = (face[:_FACE] + np.array([0, 0, _AWAY], np.float32)) * scale
        ids, weights = rasterize(vertices, triangles, (size, size), perspective=False)
        places[index] = interpolate(ids, weights, there[:_FACE, :2], triangles) * 2 - 1
        covered[index, 0] = ids >= 0
    return torch.from_numpy(places), torch.from_numpy(covered)


def unsteady(picture: Tensor, after: Tensor, places: Tensor, covered: Tensor) -> Tensor:
    """Return the mean absolute change (3D temporal loss) of places on faces between two pictures.

    Args:
        picture, after: (N,3,S,S).
        places, covered: from `followed`, of picture to after.
    """
    there = functional.grid_sample(
        after, places, mode="bilinear", padding_mode="border", align_corners=False
    )
    change = (picture - there).abs() * covered
    return change.sum() / (3 * covered.sum()).clamp(min=1)
