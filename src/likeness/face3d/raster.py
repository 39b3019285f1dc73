"""Which triangle covers which pixel, and attributes carried across triangles.

A pixel belongs to a triangle when its center (x + 0.5, y + 0.5) lies inside; centers on an edge
follow the top-left rule, so that triangles sharing an edge paint each pixel exactly once. Corner
positions are rounded to 1/256 pixel and edge functions are evaluated in exact integers, which is
what makes the rule hold; the nearest triangle wins, and at equal depth the lower index.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likeness.compiled import njit
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
    for index, face in enumerate(faces):
        covered = _reference_cover(corners[face].astype(np.float64), size, perspective)
        if covered is None:
            continue
        inside, flat, near = covered
        wins = inside & (near > nearness)
        ids[wins], nearness[wins], weights[wins] = index, near[wins], flat[wins]
    return ids, weights


def _reference_cover(
    corner: NDArray[np.float64], size: tuple[int, int], perspective: bool
) -> tuple[Bools, NDArray[np.float64], NDArray[np.float64]] | None:
    """Inside (h,w), barycentrics (h,w,3) and one over depth (h,w) of one triangle (3,3)."""
    depth = corner[:, 2]
    if not (np.all(np.abs(corner[:, :2]) < _LIMIT) and np.all((depth > 0) & (depth < np.inf))):
        return None
    grid = np.floor(corner[:, :2] * SUBPIXELS + 0.5).astype(np.int64)
    (ax, ay), (bx, by), (cx, cy) = grid
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    if area == 0:
        return None
    middle = [np.arange(n, dtype=np.int64) * SUBPIXELS + SUBPIXELS // 2 for n in size]
    y, x = np.meshgrid(*middle, indexing="ij")
    edges, inside = [], np.ones(size, bool)
    for k in range(3):
        (px, py), (qx, qy) = grid[(k + 1) % 3], grid[(k + 2) % 3]
        dx, dy = np.sign(area) * (qx - px), np.sign(area) * (qy - py)
        edge = dx * (y - py) - dy * (x - px)
        top_left = dy < 0 or (dy == 0 and dx > 0)
        inside &= (edge > 0) | ((edge == 0) & top_left)
        edges.append(edge)
    flat = np.stack(edges, -1) / float(abs(area))
    with np.errstate(divide="ignore", invalid="ignore"):
        # Written out in the order of the compiled loop, so that ties in depth fall the same way.
        b0, b1, b2 = flat[..., 0], flat[..., 1], flat[..., 2]
        if not perspective:
            return inside, flat, 1.0 / (b0 * depth[0] + b1 * depth[1] + b2 * depth[2])
        inverse = 1.0 / depth
        near = b0 * inverse[0] + b1 * inverse[1] + b2 * inverse[2]
        return inside, flat * inverse / near[..., None], near


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
    if normals is not None:
        seen &= normals[:, 2] < 0
    return np.asarray(seen, bool)


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


@njit(cache=True, nogil=True)
def _snap(
    corners: Floats, face: Ints, px: Ints, py: Ints, pz: NDArray[np.float64]
) -> bool:  # pragma: no cover - compiled
    """Round one triangle's corners to the subpixel grid; False where it cannot be painted."""
    for k in range(3):
        x, y, z = corners[face[k], 0], corners[face[k], 1], corners[face[k], 2]
        if not (abs(x) < _LIMIT and abs(y) < _LIMIT and z > 0 and z < np.inf):
            return False
        # float32 * 256 is exact, so both implementations round the same number.
        px[k] = np.int64(np.floor(np.float64(x) * SUBPIXELS + 0.5))
        py[k] = np.int64(np.floor(np.float64(y) * SUBPIXELS + 0.5))
        pz[k] = np.float64(z)
    return bool((px[1] - px[0]) * (py[2] - py[0]) != (py[1] - py[0]) * (px[2] - px[0]))


@njit(cache=True, nogil=True)
def _span(positions: Ints, count: int) -> tuple[int, int]:  # pragma: no cover - compiled
    """First and last pixel whose center can lie inside."""
    half = SUBPIXELS // 2
    least = min(positions[0], positions[1], positions[2])
    most = max(positions[0], positions[1], positions[2])
    return max(-((half - least) // SUBPIXELS), 0), min((most - half) // SUBPIXELS, count - 1)


@njit(cache=True, nogil=True)
def _edge_functions(
    px: Ints, py: Ints, left: int, top: int, edge: Ints
) -> int:  # pragma: no cover - compiled
    """Fill edge (3,4): value at the first pixel, step right, step down, least value inside."""
    area = (px[1] - px[0]) * (py[2] - py[0]) - (py[1] - py[0]) * (px[2] - px[0])
    sign = 1 if area > 0 else -1
    x0, y0 = left * SUBPIXELS + SUBPIXELS // 2, top * SUBPIXELS + SUBPIXELS // 2
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        dx, dy = sign * (px[j] - px[i]), sign * (py[j] - py[i])
        edge[k, 0] = dx * (y0 - py[i]) - dy * (x0 - px[i])
        edge[k, 1], edge[k, 2] = -dy * SUBPIXELS, dx * SUBPIXELS
        edge[k, 3] = 0 if dy < 0 or (dy == 0 and dx > 0) else 1
    return int(abs(area))


@njit(cache=True, nogil=True)
def _fill(
    corners: Floats,
    faces: Ints,
    perspective: bool,
    ids: Ids,
    weights: Floats,
    nearness: NDArray[np.float64],
) -> None:  # pragma: no cover - compiled
    height, width = ids.shape
    px, py = np.empty(3, np.int64), np.empty(3, np.int64)
    pz = np.empty(3, np.float64)
    edge = np.empty((3, 4), np.int64)
    for index in range(len(faces)):
        if not _snap(corners, faces[index], px, py, pz):
            continue
        left, right = _span(px, width)
        top, bottom = _span(py, height)
        if left > right or top > bottom:
            continue
        area = np.float64(_edge_functions(px, py, left, top, edge))
        i0, i1, i2 = 1.0 / pz[0], 1.0 / pz[1], 1.0 / pz[2]
        for row in range(top, bottom + 1):
            e0 = edge[0, 0] + (row - top) * edge[0, 2]
            e1 = edge[1, 0] + (row - top) * edge[1, 2]
            e2 = edge[2, 0] + (row - top) * edge[2, 2]
            for column in range(left, right + 1):
                if e0 >= edge[0, 3] and e1 >= edge[1, 3] and e2 >= edge[2, 3]:
                    b0, b1, b2 = e0 / area, e1 / area, e2 / area
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
                e0 += edge[0, 1]
                e1 += edge[1, 1]
                e2 += edge[2, 1]


@njit(cache=True, nogil=True)
def _carry(
    ids: Ids, barycentrics: Floats, values: Floats, triangles: Ints, out: Floats
) -> None:  # pragma: no cover - compiled
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
