"""Mouths of the target's own frames, and which of them fits a wanted expression.

Face2Face (Thies et al., CVPR 2016), section 7: a mouth is described by head rotation, expression,
distances between lip points and its picture; frames are clustered under

    D = D_p + D_m + D_a,
    D_p = |d - d'|^2 + |R - R'|_F^2,
    D_m = sum over lip pairs (|F_i - F_j| - |F'_i - F'_j|)^2,
    D_a = chi^2(LBP, LBP') + exp(-D_m^2) * (1 - NCC),

the wanted descriptor is matched to the clusters' medoids, and the mouth that is shown lies between
the one shown last and the matched one on the graph of all mouths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from likeness.face3d.model import FaceModel
from likeness.fit.parts import belongs
from likeness.geometry import rotation_matrix
from likeness.types import FaceParams, Floats, Ints

PAIRS = np.array([[13, 14], [0, 17], [61, 291], [78, 308], [82, 87], [312, 317], [37, 84]])
"""Lip points (tracker's numbers) whose distances are compared: gaps, widths, thickness."""
_GAP_UNIT = 4.0
"""Millimetres that count like one unit of expression."""
_BINS = 16
_ROUNDS = 8


@dataclass(frozen=True, eq=False)
class Descriptors:
    """What N mouths do, without their pictures."""

    expression: Floats
    """(N,M) weights that move the mouth."""
    rotation: Floats
    """(N,9)."""
    gaps: Floats
    """(N,P) distances between lip points in units of 4 mm."""

    def __len__(self) -> int:
        return len(self.gaps)

    def distance(self, other: Descriptors) -> Floats:
        """D_p + D_m to each of M other mouths, (N,M)."""
        return self.posed(other) + self.opened(other)

    def posed(self, other: Descriptors) -> Floats:
        """D_p, (N,M)."""
        return _squares(self.expression, other.expression) + _squares(self.rotation, other.rotation)

    def opened(self, other: Descriptors) -> Floats:
        """D_m, (N,M)."""
        return _squares(self.gaps, other.gaps)


def describe(model: FaceModel, params: FaceParams) -> Descriptors:
    """Describe N mouths."""
    moves = belongs(params.expression_names, ["mouth"])
    points = model.vertices(params.shape, params.expression)[:, PAIRS]
    gaps = np.linalg.norm(points[:, :, 0] - points[:, :, 1], axis=-1) / _GAP_UNIT
    turned = rotation_matrix(params.rotation).reshape(len(params), 9)
    return Descriptors(params.expression[:, moves], turned, gaps.astype(np.float32))


def _squares(a: Floats, b: Floats) -> Floats:
    both = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
    return np.asarray(both.clip(0), np.float32)


@dataclass(frozen=True, eq=False)
class MouthGallery:
    """Mouths to choose from, and how near they are to each other."""

    described: Descriptors
    appearance: Floats
    """(G,G) D_a."""
    graph: Floats
    """(G,G) D."""
    medoids: Ints
    """(K,) one mouth per cluster."""

    @staticmethod
    def of(described: Descriptors, patches: torch.Tensor, clusters: int = 10) -> MouthGallery:
        """Compare all mouths of a clip with each other.

        Args:
            described: G mouths.
            patches: (G,3,h,w) their pictures, unrolled, so that pose plays no role.
            clusters: how many.
        """
        opened = described.opened(described)
        grey = patches.mean(1).numpy()
        likeness = np.exp(-np.square(opened)) * (1 - _correlation(grey))
        appearance = _chi_squares(_patterns(grey)) + likeness
        graph = np.asarray(described.posed(described) + opened + appearance, np.float32)
        return MouthGallery(
            described, appearance.astype(np.float32), graph, cluster(graph, clusters)
        )

    def choose(self, wanted: Descriptors, continuity: float = 1.0) -> Ints:
        """Choose a mouth for each of N frames, in order.

        t* = argmin_t D_pm(t, wanted) + (D(last, t) + D(t, medoid)) * continuity / 2, where the
        medoid is the one nearest to what is wanted and to the one shown last.

        Args:
            wanted: what N consecutive frames should do.
            continuity: weight of the graph against the descriptor.
        """
        distance = wanted.distance(self.described)
        chosen = np.zeros(len(wanted), np.int64)
        last = int(distance[0].argmin()) if len(wanted) else 0
        for frame, near in enumerate(distance):
            to_medoids = near[self.medoids] + continuity * self.appearance[last, self.medoids]
            medoid = self.medoids[int(to_medoids.argmin())]
            between = self.graph[last] + self.graph[medoid]
            last = int((near + continuity / 2 * between).argmin())
            chosen[frame] = last
        return chosen


def cluster(distance: Floats, count: int) -> Ints:
    """Find k medoids: farthest-point start, then nearest assignment and best center in turn.

    Args:
        distance: (G,G) symmetric.
        count: clusters.

    Returns:
        (min(count, G),) indices, in the order of their start.
    """
    medoids = [int(distance.sum(1).argmin())]
    while len(medoids) < min(count, len(distance)):
        medoids.append(int(distance[:, medoids].min(1).argmax()))
    centers = np.array(medoids, np.int64)
    for _ in range(_ROUNDS):
        member = distance[:, centers].argmin(1)
        moved = centers.copy()
        for k in range(len(centers)):
            own = np.flatnonzero(member == k)
            if len(own):
                moved[k] = own[distance[np.ix_(own, own)].sum(1).argmin()]
        if np.array_equal(moved, centers):
            break
        centers = moved
    return centers


def _patterns(grey: Floats) -> Floats:
    """(G,B) histograms of local binary patterns (Ojala et al. 1996), 16 bins in 2x2 cells."""
    middle = grey[:, 1:-1, 1:-1]
    h, w = middle.shape[1:]
    code = np.zeros(middle.shape, np.int64)
    ring = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    for bit, (y, x) in enumerate(ring):
        code |= (grey[:, y : y + h, x : x + w] >= middle).astype(np.int64) << bit
    code //= 256 // _BINS
    cells = []
    for rows in np.array_split(np.arange(h), 2):
        for columns in np.array_split(np.arange(w), 2):
            cell = code[:, rows][:, :, columns].reshape(len(code), -1)
            counts = [np.bincount(one, minlength=_BINS) for one in cell]
            cells.append(np.stack(counts) / cell.shape[1])
    return np.asarray(np.concatenate(cells, 1) / len(cells), np.float32)


def _chi_squares(histograms: Floats) -> Floats:
    """(G,G) sum over bins of (a - b)^2 / (a + b)."""
    answer = np.zeros((len(histograms), len(histograms)), np.float32)
    for column in histograms.T:
        total = column[:, None] + column
        answer += np.square(column[:, None] - column) / np.maximum(total, 1e-9)
    return answer


def _correlation(grey: Floats) -> Floats:
    """(G,G) normalized cross-correlation."""
    flat = grey.reshape(len(grey), -1)
    flat = flat - flat.mean(1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    return np.asarray(flat @ flat.T, np.float32)
