"""Smooth surfaces from coarse meshes: Loop subdivision as one sparse matrix, and grids.

Follows Loop (1987) with the crease rules of Hoppe et al. (1994): a vertex on a crease follows the
crease alone, a vertex where creases end or more than two meet stays where it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from likeness.compiled import njit
from likeness.types import Bools, Floats, Ints

Reals = NDArray[Any]
"""Working values whose precision doesn't matter; results rest as `Floats`."""


@dataclass(frozen=True, eq=False)
class Smooth:
    """A subdivided mesh as a linear function of its control vertices."""

    matrix: sparse.csr_matrix
    """(V, C): vertices = matrix @ control."""
    triangles: Ints
    """(F,3)."""
    parents: Ints
    """(F,) control triangle that each triangle came from."""

    def __call__(self, control: Floats) -> Floats:
        """Return (V,K) values at the vertices of (C,K) values at the control vertices."""
        return np.asarray(self.matrix @ control, np.float32)


def subdivide(triangles: Ints, count: int, corners: Ints, patches: Ints, levels: int = 2) -> Smooth:
    """Subdivide a mesh so that the surface passes close to its control vertices.

    Args:
        triangles: (F,3).
        count: number of control vertices C; vertices that no triangle uses stay where they are.
        corners: vertices that stay sharp, such as the corners of eyes and mouth.
        patches: (F,) label of each triangle; edges between labels are creases.
        levels: how often each triangle is split into four.

    Returns:
        The smooth mesh. One step of over-relaxation undoes most of the shrinkage of Loop's scheme,
        so that landmarks stay where the face model puts them.
    """
    faces, labels, parents = triangles, patches, np.arange(len(triangles))
    matrix = sparse.identity(count, format="csr")
    for _ in range(levels):
        step, faces = _step(faces, matrix.shape[0], corners, labels)
        matrix = (step @ matrix).tocsr()
        labels, parents = np.repeat(labels, 4), np.repeat(parents, 4)
    even = matrix[:count]
    identity = sparse.identity(count, format="csr")
    matrix = (matrix @ (2 * identity - even)).tocsr().astype(np.float32)
    return Smooth(matrix, faces, parents)


def _step(faces: Ints, count: int, corners: Ints, labels: Ints) -> tuple[sparse.csr_matrix, Ints]:
    """One level of Loop subdivision: (V + E, V) matrix and the (4F,3) triangles."""
    sides = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    opposite = np.concatenate([faces[:, 2], faces[:, 0], faces[:, 1]])
    keys = np.sort(sides, 1)
    edges, inverse, uses = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    inverse = inverse.ravel()
    both = np.concatenate([labels] * 3)
    low, high = np.full(len(edges), 1 << 30), np.full(len(edges), -1)
    np.minimum.at(low, inverse, both)
    np.maximum.at(high, inverse, both)
    crease = (uses != 2) | (low != high)
    rows, columns, values = _even(count, edges, crease, corners)
    odd = count + np.arange(len(edges))
    share = np.where(crease, 0.5, 0.375)
    smooth_sides = ~crease[inverse]
    rows += [odd, odd, count + inverse[smooth_sides]]
    columns += [edges[:, 0], edges[:, 1], opposite[smooth_sides]]
    values += [share, share, np.full(int(smooth_sides.sum()), 0.125)]
    shape = (count + len(edges), count)
    matrix = sparse.csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=shape
    )
    n = len(faces)
    ab, bc, ca = (count + inverse[k * n : (k + 1) * n] for k in range(3))
    a, b, c = faces.T
    quads = np.stack(
        [np.stack(t, 1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))], 1
    )
    return matrix, quads.reshape(-1, 3)


def _even(
    count: int, edges: Ints, crease: Bools, corners: Ints
) -> tuple[list[Ints], list[Ints], list[Floats]]:
    """Entries of the rows that move the old vertices."""
    ends = np.concatenate([edges, edges[:, ::-1]])
    sharp = np.concatenate([crease, crease])
    valence = np.bincount(ends[:, 0], minlength=count)
    creases = np.bincount(ends[sharp, 0], minlength=count)
    fixed = np.zeros(count, bool)
    fixed[corners] = True
    fixed |= (valence == 0) | ((creases > 0) & (creases != 2))
    safe = np.maximum(valence, 3)
    weight = (0.625 - (0.375 + 0.25 * np.cos(2 * np.pi / safe)) ** 2) / safe
    inside, along = ~fixed & (creases == 0), ~fixed & (creases == 2)
    keep = np.where(inside, 1 - weight * valence, np.where(along, 0.75, 1.0))
    every = np.arange(count)
    free, bound = inside[ends[:, 0]], along[ends[:, 0]] & sharp
    rows = [every, ends[free, 0], ends[bound, 0]]
    columns = [every, ends[free, 1], ends[bound, 1]]
    values = [keep, weight[ends[free, 0]], np.full(int(bound.sum()), 0.125)]
    return rows, columns, values


def grid_triangles(rows: int, columns: int, closed: bool) -> Ints:
    """Triangles of a grid of vertices, row by row; `closed` joins the last column to the first.

    With columns running right and rows down, the normals point toward the viewer.
    """
    across = columns if closed else columns - 1
    r, c = np.meshgrid(np.arange(rows - 1), np.arange(across), indexing="ij")
    a, b = (r * columns + c).ravel(), (r * columns + (c + 1) % columns).ravel()
    halves = np.stack([b + columns, b, a], 1), np.stack([a + columns, b + columns, a], 1)
    return np.concatenate(halves)


@njit(cache=True, nogil=True)
def normals(vertices: Floats, triangles: Ints) -> Floats:
    """Return (V,3) area-weighted unit normals; the compiled twin of `light.vertex_normals`."""
    total = np.zeros((len(vertices), 3), np.float32)
    for f in range(len(triangles)):
        a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        ux = vertices[b, 0] - vertices[a, 0]
        uy = vertices[b, 1] - vertices[a, 1]
        uz = vertices[b, 2] - vertices[a, 2]
        vx = vertices[c, 0] - vertices[a, 0]
        vy = vertices[c, 1] - vertices[a, 1]
        vz = vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for k in (a, b, c):
            total[k, 0] += nx
            total[k, 1] += ny
            total[k, 2] += nz
    for v in range(len(vertices)):
        length = np.sqrt(total[v, 0] ** 2 + total[v, 1] ** 2 + total[v, 2] ** 2)
        if length > 1e-12:
            total[v] /= length
        else:
            total[v, 2] = -1.0
    return total
