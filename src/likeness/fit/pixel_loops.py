"""Reading pixels at points and drawing reference frames over a face, in compiled loops."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likeness.compiled import njit
from likeness.fit.looks import Luma
from likeness.types import Floats, Ints


@njit(nogil=True, inline="always")
def _between(picture: Floats | Luma, x: np.float32, y: np.float32) -> np.float32:
    """Bilinear value of a picture (h,w) at pixels whose centers are whole; edges go on."""
    height, width = picture.shape
    inside_x = min(max(x, np.float32(0)), np.float32(width - 1))
    inside_y = min(max(y, np.float32(0)), np.float32(height - 1))
    left, top = int(inside_x), int(inside_y)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    u, v = inside_x - np.float32(left), inside_y - np.float32(top)
    above = picture[top, left] + u * (np.float32(picture[top, right]) - picture[top, left])
    below = picture[bottom, left] + u * (np.float32(picture[bottom, right]) - picture[bottom, left])
    return np.float32(above + v * (below - above))


@njit(nogil=True)
def read_crosses(
    frames: Floats, points: Floats, arm: float, weights: Floats, colors: Floats, gradient: Floats
) -> None:
    """Read the mean color of crosses of five bilinear taps, and the difference of their arms.

    Args:
        frames: (n,3,H,W) RGB.
        points: (n,P,2) pixels, corner origin.
        arm: pixels from the middle to the outer taps.
        weights: (3,) of the channels in luma.
        colors: (n,P,3) are written.
        gradient: (n,P,2) luma per pixel, is written.
    """
    half, reach = np.float32(0.5), np.float32(arm)
    for n in range(len(frames)):
        for p in range(points.shape[1]):
            # A point at infinity, or none, is read somewhere at the edge.
            x, y = points[n, p, 0] - half, points[n, p, 1] - half
            if not (np.isfinite(x) and np.isfinite(y)):
                x, y = np.float32(0), np.float32(0)
            across, down = np.float32(0), np.float32(0)
            for c in range(3):
                picture = frames[n, c]
                right, left = _between(picture, x + reach, y), _between(picture, x - reach, y)
                below, above = _between(picture, x, y + reach), _between(picture, x, y - reach)
                middle = _between(picture, x, y)
                colors[n, p, c] = (middle + right + left + below + above) / np.float32(5)
                across += weights[c] * (right - left)
                down += weights[c] * (below - above)
            gradient[n, p, 0] = across / (2 * reach)
            gradient[n, p, 1] = down / (2 * reach)


@njit(nogil=True)
def lay_over(
    luma: Luma,
    ids: NDArray[np.int32],
    weights: Floats,
    triangles: Ints,
    meshes: Floats,
    references: Luma,
    drawn: Luma,
) -> None:
    """Draw the mean of reference frames over a picture, each warped by the way its mesh goes.

    Args:
        luma: (s,s) the picture, which stays where no triangle is.
        ids: (s,s) triangles of the picture's own mesh, -1 where none is.
        weights: (s,s,3) barycentric coordinates.
        triangles: (F,3).
        meshes: (C,V,2) where the vertices lie in each reference, pixels, corner origin.
        references: (C,r,r).
        drawn: (s,s) is written.
    """
    count, half = len(references), np.float32(0.5)
    for row in range(luma.shape[0]):
        for column in range(luma.shape[1]):
            triangle = ids[row, column]
            if triangle < 0:
                drawn[row, column] = luma[row, column]
                continue
            a, b, c = triangles[triangle, 0], triangles[triangle, 1], triangles[triangle, 2]
            by_a, by_b = weights[row, column, 0], weights[row, column, 1]
            by_c = weights[row, column, 2]
            total = np.float32(0)
            for k in range(count):
                mesh = meshes[k]
                x = by_a * mesh[a, 0] + by_b * mesh[b, 0] + by_c * mesh[c, 0] - half
                y = by_a * mesh[a, 1] + by_b * mesh[b, 1] + by_c * mesh[c, 1] - half
                total += _between(references[k], x, y)
            drawn[row, column] = np.uint8(total / np.float32(count) + half)
