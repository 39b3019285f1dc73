"""Mean, identity and albedo of the model: statistics of tracked portraits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from face_topology import VERTICES, Floats, Ints
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.optimize import nnls

from likeness.face3d.light import harmonics, solve_light, vertex_normals

IRIS_TWIN = np.array([473, 476, 475, 474, 477, 468, 471, 470, 469, 472])
"""Mirror twins of landmarks 468..477."""
INTERPUPILLARY = 63.0
"""Millimetres between the irises of the mean; adults average 62 to 64."""
NEUTRAL_MOUTH = {"corner_rise": -0.8, "width": 50.0, "gap": 0.3}
"""Millimetres: corners above the lip line, mouth width and lip gap of a face at rest."""


@dataclass(frozen=True)
class Similarity:
    """aligned = scale * points @ rotation + offset."""

    scale: float
    rotation: Floats
    offset: Floats

    def apply(self, points: Floats) -> Floats:
        """Map tracked points into head space."""
        return np.asarray(self.scale * points @ self.rotation + self.offset)


def align(points: Floats, target: Floats, weights: Floats) -> Similarity:
    """Weighted Procrustes with scale (Umeyama 1991) of the first VERTICES points."""
    w = weights / weights.sum()
    p, q = points[:VERTICES], target[:VERTICES]
    p0, q0 = w @ p, w @ q
    cross = (p - p0).T @ (w[:, None] * (q - q0))
    u, s, vt = np.linalg.svd(cross)
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * flip) @ vt
    scale = float((s * flip).sum() / (w @ ((p - p0) ** 2).sum(1)))
    return Similarity(scale, rotation, q0 - scale * p0 @ rotation)


def upright_mean(tracked: Floats, twin: Ints | None = None) -> Floats:
    """Mean (478,3) in millimetres, upright: the top of the forehead stands above the chin.

    Symmetric where the mirror twins (468,) are given.
    """
    middle = tracked[:, :VERTICES].mean(1, keepdims=True)
    size = np.sqrt(((tracked[:, :VERTICES] - middle) ** 2).mean((1, 2), keepdims=True))
    mean = ((tracked - middle) / size).mean(0)
    weights = np.ones(VERTICES)
    for _ in range(8):
        aligned = np.stack([align(x, mean, weights).apply(x) for x in tracked])
        mean = aligned.mean(0) if twin is None else symmetric(aligned.mean(0), twin)
        mean *= INTERPUPILLARY / np.linalg.norm(mean[468] - mean[473])
    mean = mean @ _upright(mean).T
    origin = np.array([0.0, mean[[168, 6]].mean(0)[1] + 18.0, mean[[234, 454], 2].mean()])
    return np.asarray(mean - origin)


def _upright(mean: Floats) -> Floats:
    """Rotation (3,3) about the x axis that brings forehead (10) and chin (152) to one depth.

    The tracker sees frontal faces leaning forward by about eight degrees.
    """
    _, y, z = mean[152] - mean[10]
    c, s = np.array([y, z]) / np.hypot(y, z)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]])


def symmetric(points: Floats, twin: Ints) -> Floats:
    """Average with the mirror image about x = 0."""
    both = np.concatenate([twin, IRIS_TWIN])
    return np.asarray(0.5 * (points + points[both] * [-1.0, 1.0, 1.0]))


def mouth_state(points: Floats) -> Floats:
    """(corner_rise, width, gap) in millimetres of aligned points (...,P,3)."""
    corner = 0.5 * (points[..., 61, :] + points[..., 291, :])
    line = 0.5 * (points[..., 13, :] + points[..., 14, :])
    width = np.linalg.norm(points[..., 61, :] - points[..., 291, :], axis=-1)
    gap = np.linalg.norm(points[..., 13, :] - points[..., 14, :], axis=-1)
    return np.stack([line[..., 1] - corner[..., 1], width, gap], -1)


def neutral_mean(aligned: Floats, twin: Ints) -> Floats:
    """Regress the aligned shapes on the state of the mouth and read off a mouth at rest."""
    state = mouth_state(aligned)
    center, spread = state.mean(0), state.std(0)
    design = (state - center) / spread
    flat = (aligned - aligned.mean(0)).reshape(len(aligned), -1)
    slope = np.linalg.solve(design.T @ design + 4.0 * np.eye(3), design.T @ flat)
    wanted = (np.array(list(NEUTRAL_MOUTH.values())) - center) / spread
    neutral = aligned.mean(0) + (wanted @ slope).reshape(aligned.shape[1:])
    return symmetric(neutral, twin)


def close_mouth(mean: Floats, pairs: Ints, gap: float = 0.5) -> Floats:
    """Bring each pair of inner lip points to `gap` millimetres, sharing the motion."""
    closed = mean.copy()
    upper, lower = mean[pairs[:, 0]], mean[pairs[:, 1]]
    middle = 0.5 * (upper + lower)
    half = np.zeros_like(middle)
    # The lips touch; a hair's breadth keeps the triangles between them from folding over.
    half[:, 1] = 0.5 * gap
    closed[pairs[:, 0]], closed[pairs[:, 1]] = middle - half, middle + half
    return closed


def without_expression(tracked: Floats, mean: Floats, modes: Floats, ridge: float) -> Floats:
    """Undo pose and expression: neutral shapes (N,V,3) in head space.

    Alternates a similarity with non-negative, ridge-regularized expression weights; what is left
    over is the person.
    """
    flat = modes.reshape(len(modes), -1)
    used = np.abs(flat).max(1) > 0
    basis = flat[used].T
    system = np.concatenate([basis, np.sqrt(ridge) * np.eye(basis.shape[1])])
    people = []
    for points in tracked:
        moved = np.zeros_like(mean)
        for _ in range(6):
            weights = 1.0 / (1.0 + (np.linalg.norm(moved, axis=1) / 1.5) ** 2)
            aligned = align(points, mean + moved, weights).apply(points)[:VERTICES]
            wanted = (aligned - mean).ravel()
            answer, _ = nnls(system, np.concatenate([wanted, np.zeros(basis.shape[1])]))
            moved = (basis @ answer.clip(0.0, 1.2)).reshape(mean.shape)
        people.append(aligned - moved)
    return np.stack(people)


def principal_modes(samples: Floats, count: int) -> tuple[Floats, Floats]:
    """Modes (count,V,3), one standard deviation each, and the share of variance they hold."""
    flat = (samples - samples.mean(0)).reshape(len(samples), -1)
    _, s, vt = np.linalg.svd(flat, full_matrices=False)
    deviation = s / np.sqrt(len(samples))
    modes = deviation[:count, None] * vt[:count]
    largest = np.argmax(np.abs(modes), axis=1)
    modes *= np.sign(modes[np.arange(count), largest])[:, None]
    share = np.cumsum(s**2)[:count] / (s**2).sum()
    return modes.reshape(count, *samples.shape[1:]), share


def vertex_colors(image: Floats, points: Floats, oval: Ints) -> Floats:
    """Colors (V,3) at the tracked points, blurred a little, rim points taken further inside."""
    place = points[:VERTICES, :2].copy()
    center = place[[1, 6, 168]].mean(0)
    place[oval] = center + 0.93 * (place[oval] - center)
    sigma = 0.01 * np.ptp(place[:, 1])
    smooth = np.stack([gaussian_filter(image[..., c], sigma) for c in range(3)], -1)
    rows = [place[:, 1] - 0.5, place[:, 0] - 0.5]
    return np.stack(
        [map_coordinates(smooth[..., c], rows, order=1, mode="nearest") for c in range(3)], -1
    )


def unlit(colors: Floats, shapes: Floats, faces: Ints, twin: Ints) -> Floats:
    """Divide each portrait by its own light: albedo (N,V,3).

    Light and mean albedo are solved in turn; a light's mean over the visible face is one in every
    channel, so that skin tone stays in the albedo.

    Args:
        colors: (N,V,3) in [0,1].
        shapes: (N,V,3) in camera orientation.
    """
    normals = vertex_normals(shapes.astype(np.float32), faces)
    visible = normals[..., 2] < -0.15
    albedo = np.median(colors, axis=0)
    result = colors
    for _ in range(4):
        albedo = 0.5 * (albedo + albedo[twin])
        people = []
        for color, normal, seen in zip(colors, normals, visible, strict=True):
            light = solve_light(color, albedo, normal, seen)
            shading = harmonics(normal) @ light
            shading /= shading[seen].mean(0)
            one = color / shading.clip(0.45, 1.8)
            people.append(np.where(seen[:, None], one, one[twin]))
        result = np.stack(people).clip(0.02, 1.0)
        albedo = np.median(result, axis=0)
    return np.asarray(result)
