"""The tracker's mesh as data: triangles, holes, mirror twins and named regions.

All of it is derived from the edge lists that the installed mediapipe package publishes
(`solutions.face_mesh_connections`) and, where a list has no name there, from positions on the mean.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from mediapipe.python.solutions import face_mesh_connections as lists
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

VERTICES = 468
LANDMARKS = 478


def triangles(mean: Floats) -> Ints:
    """Skin triangles (852,3), counterclockwise seen from outside: 3-cliques of the edge list.

    A clique whose edges all belong to three cliques encloses real triangles and is none itself.
    """
    near = _neighbors()
    cliques = {tuple(sorted((a, b, c))) for a in near for b in near[a] for c in near[a] & near[b]}
    count: dict[frozenset[int], int] = {}
    for clique in cliques:
        for edge in _edges(clique):
            count[edge] = count.get(edge, 0) + 1
    faces = sorted(c for c in cliques if not all(count[e] > 2 for e in _edges(c)))
    return orient(np.array(faces, np.int64), mean)


def orient(faces: Ints, mean: Floats) -> Ints:
    """Give connected triangles one winding; most of them face the camera (-z)."""
    faces = faces.copy()
    by_edge: dict[frozenset[int], list[int]] = {}
    for index, face in enumerate(faces):
        for edge in _edges(tuple(face)):
            by_edge.setdefault(edge, []).append(index)
    done, queue = {0}, [0]
    while queue:
        index = queue.pop()
        a, b, c = (int(v) for v in faces[index])
        for p, q in ((a, b), (b, c), (c, a)):
            for other in by_edge[frozenset((p, q))]:
                if other in done:
                    continue
                x, y, z = (int(v) for v in faces[other])
                if (p, q) in ((x, y), (y, z), (z, x)):
                    faces[other] = x, z, y
                done.add(other)
                queue.append(other)
    corner = mean[faces]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    return faces if normal[:, 2].sum() < 0 else faces[:, [0, 2, 1]]


def rings() -> dict[str, Ints]:
    """Closed contours as ordered lists; each starts at the image-left corner and runs over the top.

    `right_eye` is the person's right eye (image left). `face_oval` starts at the top of the
    forehead and runs clockwise in the image.
    """
    right = _ring(lists.FACEMESH_RIGHT_EYE, 33, 246)
    left = _ring(lists.FACEMESH_LEFT_EYE, 362, 398)
    outer = _ring(lists.FACEMESH_LIPS, 61, 185)
    inner = _ring(lists.FACEMESH_LIPS, 78, 191)
    oval = _ring(lists.FACEMESH_FACE_OVAL, 10, 338)
    return {
        "right_eye": right,
        "left_eye": left,
        "lips_outer": outer,
        "lips_inner": inner,
        "face_oval": oval,
    }


def fill(ring: Ints) -> Ints:
    """Triangulate a ring of 2k points whose item 0 and k are its corners, as strips across."""
    half = len(ring) // 2
    upper = [int(v) for v in ring[: half + 1]]
    lower = [int(ring[0]), *(int(v) for v in ring[:half:-1]), int(ring[half])]
    faces = []
    for (a, b), (c, d) in zip(pairwise(upper), pairwise(lower), strict=True):
        faces += [t for t in ((a, c, b), (b, c, d)) if len(set(t)) == 3]
    return np.array(faces, np.int64)


def mirror(mean: Floats) -> Ints:
    """Vertex (or landmark) on the other side of the face, found by growing graph symmetry.

    The vertices on the middle line that contours pass through are their own twins; from there every
    edge is matched with the mirrored one, nearest in position among the neighbors left.
    """
    from scipy.optimize import linear_sum_assignment

    flipped = mean * [-1.0, 1.0, 1.0]
    cost = np.linalg.norm(flipped[:VERTICES, None] - mean[None, :VERTICES], axis=-1)
    _, twin = linear_sum_assignment(cost**2)
    near = _neighbors()
    for _ in range(20):
        # A right pairing maps the neighbors of a vertex onto the neighbors of its twin.
        cost_graph = cost**2
        for v in range(VERTICES):
            images = {int(twin[u]) for u in near[v]}
            share = np.array([len(images & near[w]) for w in range(VERTICES)])
            cost_graph[v] = cost_graph[v] - 60.0 * share
        _, better = linear_sum_assignment(cost_graph)
        if np.array_equal(better, twin):
            break
        twin = better
    return np.asarray(twin, np.int64)


def graph_distance(faces: Ints, mean: Floats, seeds: Ints) -> Floats:
    """Geodesic distance (V,) along edges from the nearest seed vertex, millimetres."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import dijkstra

    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    length = np.linalg.norm(mean[pairs[:, 0]] - mean[pairs[:, 1]], axis=1)
    graph = csr_matrix((length, (pairs[:, 0], pairs[:, 1])), shape=(len(mean), len(mean)))
    distance = dijkstra(graph, directed=False, indices=seeds, min_only=True)
    return np.asarray(distance, np.float64)


def _neighbors() -> dict[int, set[int]]:
    near: dict[int, set[int]] = {}
    for a, b in lists.FACEMESH_TESSELATION:
        near.setdefault(a, set()).add(b)
        near.setdefault(b, set()).add(a)
    return near


def _edges(face: tuple[int, ...]) -> list[frozenset[int]]:
    a, b, c = face
    return [frozenset((a, b)), frozenset((b, c)), frozenset((c, a))]


def _ring(edges: frozenset[tuple[int, int]], first: int, second: int) -> Ints:
    near: dict[int, list[int]] = {}
    for a, b in edges:
        near.setdefault(a, []).append(b)
        near.setdefault(b, []).append(a)
    order = [first, second]
    while True:
        following = next(v for v in near[order[-1]] if v != order[-2])
        if following == first:
            return np.array(order, np.int64)
        order.append(following)
