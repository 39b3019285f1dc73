"""The simplest way to animate a photo: what everything else has to beat."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import Delaunay

from likeness.face3d.raster import interpolate, rasterize
from likeness.types import Floats


def plain_warp(photo: torch.Tensor, origin: Floats, place: Floats) -> torch.Tensor:
    """Bend a photo piecewise affinely so that its landmarks come to wanted places.

    Delaunay triangles over the landmarks and the border's corners and middles, which stay (the
    coarse warp of Averbuch-Elor et al. 2017, without any of its refinements).

    Args:
        photo: (3,h,w) RGB in [0,1].
        origin: (P,2) landmarks in the photo, pixels.
        place: (P,2) where they shall be.

    Returns:
        (3,h,w).
    """
    import cv2

    height, width = photo.shape[1:]
    xs, ys = np.meshgrid([0, width / 2, width], [0, height / 2, height])
    border = np.stack([xs.ravel(), ys.ravel()], 1)[[0, 1, 2, 3, 5, 6, 7, 8]].astype(np.float32)
    before, after = np.concatenate([origin, border]), np.concatenate([place, border])
    triangles = Delaunay(before).simplices.astype(np.int64)
    deep = np.concatenate([after, np.ones((len(after), 1), np.float32)], 1)
    ids, weights = rasterize(deep, triangles, (height, width), perspective=False)
    ways = interpolate(ids, weights, (before - 0.5).astype(np.float32), triangles)
    x, y = np.ascontiguousarray(ways[..., 0]), np.ascontiguousarray(ways[..., 1])
    picture = np.ascontiguousarray(photo.permute(1, 2, 0).numpy())
    bent = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return torch.from_numpy(np.ascontiguousarray(bent.transpose(2, 0, 1)))
