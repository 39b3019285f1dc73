"""The terms of the fit's energy, one function each, as linear equations for Gauss-Newton.

    E(x) = E_landmark + w_z E_depth + E_shape + E_expression + E_time + E_focal

after Face2Face (Thies et al. 2016, section 4) and Deep Video Portraits (Kim et al. 2018,
section 4); the pixels' terms are in appearance.py.
Each data term answers `Rows`: residuals r and derivatives J, already multiplied by the square root
of their weights, so that E = |r|^2 and a Gauss-Newton step solves (J'J) d = -J'r.

Unknowns of a frame, in this order: rotation (3, left-multiplied axis-angle), translation (3, mm),
expression (E). Shared unknowns: shape (S), logarithm of the focal length (1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.fit.energy_loops import chain_to_modes, chain_to_pose
from likeness.types import Bools, Floats

Values = NDArray[np.float64]
POSE = 6


@dataclass(frozen=True, eq=False, slots=True)
class Points:
    """The model's landmark vertices: P points of a linear model."""

    mean: Floats
    """(P,3)."""
    identity: Floats
    """(S,P,3)."""
    expression: Floats
    """(E,P,3)."""
    normals: Floats
    """(P,3) at rest."""
    weights: Floats
    """(P,) how much each landmark is believed."""


@dataclass(frozen=True, eq=False, slots=True)
class Posed:
    """Points of n frames in the camera, with what their derivatives need."""

    camera: Floats
    """(n,P,3) millimetres."""
    turned: Floats
    """(n,P,3) the same without translation."""
    rotation: Floats
    """(n,3,3)."""
    focal: float
    center: Floats
    """(2,) x y of the principal point."""


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """Weighted residuals (n,M) and derivatives by frame (n,M,6+E) and shared unknowns (n,M,S+1)."""

    residual: Floats
    frame: Floats
    shared: Floats | None


def pose_points(
    points: Points,
    shape: Floats,
    state: tuple[Floats, Floats, Floats],
    focal: float,
    center: Floats,
) -> Posed:
    """Place the points: c = R (mean + shape . identity + w . expression) + t.

    Args:
        points: the model.
        shape: (S,).
        state: rotation (n,3,3), translation (n,3), expression (n,E).
        focal: pixels.
        center: (2,) principal point.
    """
    rotation, translation, expression = state
    still = points.mean + np.tensordot(shape, points.identity, 1)
    flat = points.expression.reshape(len(points.expression), -1)
    head = still + (expression @ flat).reshape(-1, *points.mean.shape)
    turned = head @ np.swapaxes(rotation, 1, 2)
    return Posed(turned + translation[:, None], turned, rotation, focal, center)


def landmark_term(
    posed: Posed, points: Points, observed: Floats, spread: Floats, shared: bool = False
) -> Rows:
    """E_landmark = sum_j v_j w_j |Proj(R v_j + t) - f_j|^2 / spread^2 (Thies 2016, eq. 5).

    v_j falls with the angle between the vertex normal and the view, since landmarks slide along
    silhouettes; w_j holds the region weight and a Cauchy weight 1 / (1 + (|r| / 2 spread)^2) of
    the current residual (iteratively reweighted least squares).

    Args:
        posed: current points.
        points: the model.
        observed: (n,P,>=2) landmarks in pixels.
        spread: (n,) deviation in pixels.
        shared: also answer derivatives by shape and focal length.
    """
    z = np.maximum(posed.camera[..., 2:], 1.0)
    projected = posed.focal * posed.camera[..., :2] / z + posed.center
    error = (projected - observed[..., :2]) / spread[:, None, None]
    robust = 1.0 / (1.0 + ((error**2).sum(-1)) / 4.0)
    root = np.sqrt(points.weights * _facing(posed, points) * robust)[..., None]
    by_point = _pixel_rows(posed) * (root / spread[:, None, None])[..., None]
    return Rows(
        _flat(error * root),
        _frame_rows(by_point, posed, points),
        _shared_rows(by_point, posed, points) if shared else None,
    )


def depth_term(
    posed: Posed, points: Points, observed: Floats, spread: Floats, shared: bool = False
) -> Rows:
    """E_depth = sum_j w_j |s (z_j - mean z) - (f_z - mean f_z)|^2 / spread^2.

    The tracker's z is a guess in the scale of x, so s = focal / mean depth turns millimetres into
    it. It is too weak to shape a face and is off unless `FitConfig.depth_weight` asks for it. Means
    are over points; the derivative of s is left out, because the term's weight is small.

    Args:
        posed, points, spread, shared: as in `landmark_term`.
        observed: (n,P,3) landmarks, z included.
    """
    scale = posed.focal / np.maximum(posed.camera[..., 2].mean(1), 1.0)
    weight = points.weights / points.weights.sum()
    root = np.sqrt(points.weights) / spread[:, None]
    depth = scale[:, None] * (posed.turned[..., 2] - (posed.turned[..., 2] @ weight)[:, None])
    error = depth - (observed[..., 2] - (observed[..., 2] @ weight)[:, None])
    robust = 1.0 / np.sqrt(1.0 + (error / (2 * spread[:, None])) ** 2)
    by_point = np.zeros((*error.shape, 1, 3), np.float32)
    by_point[..., 0, 2] = root * robust * scale[:, None]
    frame = _frame_rows(by_point, posed, points)
    frame[..., 3:POSE] = 0
    share = _shared_rows(by_point, posed, points) if shared else None
    if share is not None:
        share[..., -1] = 0
    return Rows((error * root * robust).astype(np.float32), frame, share)


def flow_term(posed: Posed, points: Points, flow: Floats, seen: Bools, spread: Floats) -> Rows:
    """E_flow = sum_j v_j w_j |Proj(R v_j + t) - (p_j + f_j)|^2 / spread^2, p_j the current places.

    Args:
        posed: current points.
        points: the model.
        flow: (n,P,2) pixels that each point should go.
        seen: (n,P) whether the flow was measured there.
        spread: (n,) deviation in pixels.
    """
    root = np.sqrt(points.weights * _facing(posed, points) * seen)[..., None]
    root = root / spread[:, None, None]
    rows = _frame_rows(_pixel_rows(posed) * root[..., None], posed, points)
    return Rows(_flat(-flow * root), rows, None)


def shape_term(shape: Floats, spread: float) -> tuple[Values, Values]:
    """E_shape = sum_i (alpha_i / spread)^2, alpha in deviations of the model (Thies 2016, eq. 6).

    Returns:
        (S,) diagonal of J'J and (S,) J'r.
    """
    diagonal = np.full(len(shape), spread**-2.0)
    return diagonal, diagonal * shape


def expression_term(expression: Floats, spread: Floats) -> tuple[Values, Values]:
    """E_expression = sum_k (delta_k / spread_k)^2 (Thies 2016, eq. 6), with spreads per mode.

    Args:
        expression: (n,E).
        spread: (E,) deviations: wide for named modes, narrow for details.

    Returns:
        (n,E) diagonal of J'J and (n,E) J'r.
    """
    diagonal = np.broadcast_to(spread.astype(np.float64) ** -2, expression.shape)
    return diagonal, diagonal * expression


def time_term(steps: Floats, spread: Floats) -> tuple[Values, Values]:
    """E_time = sum_t rho((x_t - (-x_{t-2} + 4 x_{t-1} + 4 x_{t+1} - x_{t+2}) / 6) / spread).

    The bracket is the cubic through four neighbors, so steady and accelerated motion is free; rho
    is Cauchy's, so that blinks and plosives stand out from the spread and are left alone. Neighbors
    are those of the previous round (a Jacobi step, damped so that it converges).

    Args:
        steps: (n,K) from the current values to that curve.
        spread: (K,) usual deviations.

    Returns:
        (n,K) diagonal of J'J and (n,K) J'r.
    """
    ratio = steps.astype(np.float64) / spread
    diagonal = spread.astype(np.float64) ** -2 / (1.0 + (ratio / 2.0) ** 2)
    return diagonal, -diagonal * 0.6 * steps


def focal_term(focal: float, usual: float, spread: float) -> tuple[float, float]:
    """E_focal = (log focal - log usual)^2 / spread^2; frontal faces hardly show the lens.

    Returns:
        Diagonal of J'J and J'r for the logarithm of the focal length.
    """
    diagonal = spread**-2.0
    return diagonal, diagonal * float(np.log(focal / usual))


def _facing(posed: Posed, points: Points) -> Floats:
    """(n,P) cosine between vertex normal at rest and direction to the camera, at least 0.15."""
    normals = points.normals @ np.swapaxes(posed.rotation, 1, 2)
    view = posed.camera / np.linalg.norm(posed.camera, axis=-1, keepdims=True)
    cosine: Floats = np.clip(0.25 - 1.25 * (normals * view).sum(-1), 0.1, 1.0)
    return cosine


def _pixel_rows(posed: Posed) -> Floats:
    """(n,P,2,3) derivative of pixels by camera points."""
    x, y, z = posed.camera[..., 0], posed.camera[..., 1], np.maximum(posed.camera[..., 2], 1.0)
    rows = np.zeros((*x.shape, 2, 3), np.float32)
    rows[..., 0, 0] = rows[..., 1, 1] = posed.focal / z
    rows[..., 0, 2] = -posed.focal * x / z**2
    rows[..., 1, 2] = -posed.focal * y / z**2
    return rows


def _frame_rows(by_point: Floats, posed: Posed, points: Points) -> Floats:
    """Chain (n,P,D,3) derivatives by camera points to rotation, translation and expression."""
    n, p, d, _ = by_point.shape
    rows = np.empty((n, p * d, POSE + len(points.expression)), np.float32)
    chain_to_pose(by_point, posed.turned, rows)
    chain_to_modes(by_point, posed.rotation, _by_point(points.expression), POSE, rows)
    return rows


def _shared_rows(by_point: Floats, posed: Posed, points: Points) -> Floats:
    """Chain (n,P,D,3) derivatives by camera points to shape and logarithm of focal length."""
    n, p, d, _ = by_point.shape
    rows = np.empty((n, p * d, len(points.identity) + 1), np.float32)
    chain_to_modes(by_point, posed.rotation, _by_point(points.identity), 0, rows)
    # d pixel / d log f = f xy / z, which is (d pixel / d xy) . xy.
    rows[..., -1] = (by_point[..., :2] * posed.camera[:, :, None, :2]).sum(-1).reshape(n, -1)
    return rows


def _by_point(modes: Floats) -> Floats:
    """(P,3,K) of modes (K,P,3), each point's derivatives side by side."""
    return np.ascontiguousarray(modes.transpose(1, 2, 0))


def _flat(rows: Floats) -> Floats:
    return np.asarray(rows.reshape(len(rows), -1), np.float32)
