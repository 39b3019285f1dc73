"""Which triangle covers which pixel, and attributes carried across triangles.

A pixel belongs to a triangle when its center (x + 0.5, y + 0.5) lies inside; centers on an edge
follow the top-left rule, so that triangles sharing an edge paint each pixel exactly once. Corner
positions are rounded to 1/256 pixel and edge functions are evaluated in exact integers, which is
what makes the rule hold; the nearest triangle wins, and at equal depth the lower index.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from likeness.types import Bools, Floats, Ints, check

SUBPIXELS = 256
"""Steps per pixel that corner positions are rounded to."""
_LIMIT = 2.0**20
"""Corners further out than this many pixels would overflow the integer edge functions."""

Ids = NDArray[np.int32]


def rasterize(
    vertices: Floats,
    triangles: Ints,
    size: tuple[int, int],
    perspective: bool = True,
) -> tuple[Ids, Floats]:
    """Find the nearest triangle at each pixel center.

    Args:
        vertices: (V,3) x and y in pixels, z depth (> 0 where visible; greater is further).
        triangles: (F,3); both windings are painted.
        size: (h, w).
        perspective: barycentrics and depth are perspective-correct (depth is then a camera-space
            z); otherwise they are affine in the picture.

    Returns:
        triangle_ids (h,w) int32, -1 where nothing is; barycentrics (h,w,3) float32, 0 where nothing
        is. Triangles with a corner at depth <= 0, with a corner that is not finite or with no area
        are left out.

    Raises:
        ContractError: shapes do not fit or an index points outside the vertices.
    """
    corners, faces = _checked(vertices, triangles, size)
    ids = np.full(size, -1, np.int32)
    weights = np.zeros((*size, 3), np.float32)
    nearness = np.zeros(size, np.float64)
    _fill(corners, faces, perspective, ids, weights, nearness)
    return ids, weights


def rasterize_reference(
    vertices: Floats,
    triangles: Ints,
    size: tuple[int, int],
    perspective: bool = True,
) -> tuple[Ids, Floats]:
    """Do what `rasterize` does, in plain numpy, one triangle at a time over the whole picture."""
    corners, faces = _checked(vertices, triangles, size)
    ids = np.full(size, -1, np.int32)
    weights = np.zeros((*size, 3), np.float32)
    nearness = np.zeros(size, np.float64)
    y, x = np.meshgrid(
        *(np.arange(n, dtype=np.int64) * SUBPIXELS + SUBPIXELS // 2 for n in size), indexing="ij"
    )
    for index, face in enumerate(faces):
        corner = corners[face]
        if not np.all(np.abs(corner[:, :2]) < _LIMIT) or not np.all(corner[:, 2] > 0):
            continue
        if not np.all(np.isfinite(corner[:, 2])):
            continue
        grid = np.floor(corner[:, :2] * SUBPIXELS + 0.5).astype(np.int64)
        edges, inside = [], np.ones(size, bool)
        (ax, ay), (bx, by), (cx, cy) = grid
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0:
            continue
        sign = 1 if area > 0 else -1
        for k in range(3):
            (px, py), (qx, qy) = grid[(k + 1) % 3], grid[(k + 2) % 3]
            edge = sign * ((qx - px) * (y - py) - (qy - py) * (x - px))
            dx, dy = sign * (qx - px), sign * (qy - py)
            top_left = dy < 0 or (dy == 0 and dx > 0)
            inside &= (edge > 0) | ((edge == 0) & top_left)
            edges.append(edge)
        flat = np.stack(edges, -1) / float(abs(area))
        inverse = 1.0 / corner[:, 2].astype(np.float64)
        if perspective:
            near = flat[..., 0] * inverse[0] + flat[..., 1] * inverse[1] + flat[..., 2] * inverse[2]
            flat = flat * inverse / near[..., None].clip(1e-300)
        else:
            depth = corner[:, 2].astype(np.float64)
            near = 1.0 / (
                flat[..., 0] * depth[0] + flat[..., 1] * depth[1] + flat[..., 2] * depth[2]
            ).clip(1e-300)
        wins = inside & (near > nearness)
        ids[wins], nearness[wins], weights[wins] = index, near[wins], flat[wins]
    return ids, weights


def interpolate(ids: Ids, barycentrics: Floats, attributes: Floats, triangles: Ints) -> Floats:
    """Carry vertex attributes to pixels.

    Args:
        ids: (h,w) from `rasterize`.
        barycentrics: (h,w,3) from `rasterize`.
        attributes: (V,C).
        triangles: (F,3), the ones that were rasterized.

    Returns:
        (h,w,C) float32, 0 where no triangle is.
    """
    check(attributes.ndim == 2, f"attributes have shape {attributes.shape}, expected (V, C)")
    out = np.zeros((*ids.shape, attributes.shape[1]), np.float32)
    values = np.ascontiguousarray(attributes, np.float32)
    _carry(ids, barycentrics, values, np.ascontiguousarray(triangles, np.int64), out)
    return out


def visible_vertices(
    vertices: Floats,
    triangles: Ints,
    size: tuple[int, int],
    normals: Floats | None = None,
    slack: float = 3.0,
) -> Bools:
    """Tell which vertices the camera sees.

    Args:
        vertices: (V,3) x and y in pixels, z depth in millimetres.
        triangles: (F,3).
        size: (h, w).
        normals: (V,3) camera-space normals; where given, those facing away (z >= 0) are unseen.
        slack: millimetres that a vertex may lie behind the drawn surface at its pixel.

    Returns:
        (V,) True inside the frame, facing the camera and not behind another part of the surface.
    """
    ids, weights = rasterize(vertices, triangles, size)
    depth = interpolate(ids, weights, vertices[:, 2:], triangles)[..., 0]
    column = np.floor(vertices[:, 0]).astype(np.int64)
    row = np.floor(vertices[:, 1]).astype(np.int64)
    inside = (column >= 0) & (column < size[1]) & (row >= 0) & (row < size[0])
    row, column = row.clip(0, size[0] - 1), column.clip(0, size[1] - 1)
    covered = ids[row, column] >= 0
    seen = inside & (~covered | (vertices[:, 2] <= depth[row, column] + slack))
    return seen if normals is None else seen & (normals[:, 2] < 0)


def _checked(vertices: Floats, triangles: Ints, size: tuple[int, int]) -> tuple[Floats, Ints]:
    check(
        vertices.ndim == 2 and vertices.shape[1] == 3,
        f"vertices have shape {vertices.shape}, expected (V, 3)",
    )
    check(
        triangles.ndim == 2 and triangles.shape[1] == 3,
        f"triangles have shape {triangles.shape}, expected (F, 3)",
    )
    check(min(size) > 0, f"size {size} is empty")
    if len(triangles):
        check(
            int(triangles.min()) >= 0 and int(triangles.max()) < len(vertices),
            f"triangles point outside the {len(vertices)} vertices",
        )
    return np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(triangles, np.int64)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill(
    corners: Floats,
    faces: Ints,
    perspective: bool,
    ids: Ids,
    weights: Floats,
    nearness: NDArray[np.float64],
) -> None:
    height, width = ids.shape
    half = SUBPIXELS // 2
    px = np.empty(3, np.int64)
    py = np.empty(3, np.int64)
    pz = np.empty(3, np.float64)
    start = np.empty(3, np.int64)
    step_x = np.empty(3, np.int64)
    step_y = np.empty(3, np.int64)
    bias = np.empty(3, np.int64)
    for index in range(len(faces)):
        usable = True
        for k in range(3):
            vertex = faces[index, k]
            x, y, z = corners[vertex, 0], corners[vertex, 1], corners[vertex, 2]
            if not (abs(x) < _LIMIT and abs(y) < _LIMIT and z > 0 and z < np.inf):
                usable = False
                break
            # float32 * 256 is exact, so both implementations round the same number.
            px[k] = np.int64(np.floor(np.float64(x) * SUBPIXELS + 0.5))
            py[k] = np.int64(np.floor(np.float64(y) * SUBPIXELS + 0.5))
            pz[k] = np.float64(z)
        if not usable:
            continue
        area = (px[1] - px[0]) * (py[2] - py[0]) - (py[1] - py[0]) * (px[2] - px[0])
        if area == 0:
            continue
        sign = 1 if area > 0 else -1
        # First and last pixel whose center can lie inside; >> floors, also for negatives.
        left = max((min(px[0], px[1], px[2]) - half + SUBPIXELS - 1) // SUBPIXELS, 0)
        right = min((max(px[0], px[1], px[2]) - half) // SUBPIXELS, width - 1)
        top = max((min(py[0], py[1], py[2]) - half + SUBPIXELS - 1) // SUBPIXELS, 0)
        bottom = min((max(py[0], py[1], py[2]) - half) // SUBPIXELS, height - 1)
        if left > right or top > bottom:
            continue
        x0, y0 = left * SUBPIXELS + half, top * SUBPIXELS + half
        for k in range(3):
            i, j = (k + 1) % 3, (k + 2) % 3
            dx, dy = sign * (px[j] - px[i]), sign * (py[j] - py[i])
            start[k] = dx * (y0 - py[i]) - dy * (x0 - px[i])
            step_x[k], step_y[k] = -dy * SUBPIXELS, dx * SUBPIXELS
            bias[k] = 0 if dy < 0 or (dy == 0 and dx > 0) else 1
        size = np.float64(abs(area))
        i0, i1, i2 = 1.0 / pz[0], 1.0 / pz[1], 1.0 / pz[2]
        for row in range(top, bottom + 1):
            e0 = start[0] + (row - top) * step_y[0]
            e1 = start[1] + (row - top) * step_y[1]
            e2 = start[2] + (row - top) * step_y[2]
            for column in range(left, right + 1):
                if e0 >= bias[0] and e1 >= bias[1] and e2 >= bias[2]:
                    b0, b1, b2 = e0 / size, e1 / size, e2 / size
                    if perspective:
                        near = b0 * i0 + b1 * i1 + b2 * i2
                        b0, b1, b2 = b0 * i0 / near, b1 * i1 / near, b2 * i2 / near
                    else:
                        near = 1.0 / (b0 * pz[0] + b1 * pz[1] + b2 * pz[2])
                    if near > nearness[row, column]:
                        nearness[row, column] = near
                        ids[row, column] = index
                        weights[row, column, 0] = b0
                        weights[row, column, 1] = b1
                        weights[row, column, 2] = b2
                e0 += step_x[0]
                e1 += step_x[1]
                e2 += step_x[2]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _carry(ids: Ids, barycentrics: Floats, values: Floats, triangles: Ints, out: Floats) -> None:
    height, width = ids.shape
    for row in range(height):
        for column in range(width):
            face = ids[row, column]
            if face < 0:
                continue
            a, b, c = triangles[face, 0], triangles[face, 1], triangles[face, 2]
            wa = barycentrics[row, column, 0]
            wb = barycentrics[row, column, 1]
            wc = barycentrics[row, column, 2]
            for channel in range(values.shape[1]):
                out[row, column, channel] = (
                    wa * values[a, channel] + wb * values[b, channel] + wc * values[c, channel]
                )
