"""Gauss-Newton over all frames at once, with the shared identity by Schur complement."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.spatial.transform import Rotation

from likeness.fit.bridge import bridge_turns, bridge_values, positions_among
from likeness.fit.config import FitConfig
from likeness.fit.energy import (
    POSE,
    Points,
    Posed,
    Rows,
    Values,
    depth_term,
    expression_term,
    flow_term,
    focal_term,
    landmark_term,
    pose_points,
    shape_term,
    time_term,
)
from likeness.geometry import rotation_matrix
from likeness.machine import cores
from likeness.parallel import runs
from likeness.types import Bools, Floats, Ints

_WORKERS = 4
"""Most batches that are solved side by side."""
_TOGETHER = 7
"""Frames of the shared part whose equations are set up at once."""
_ROTATION_TIME = 0.006
"""Usual deviation of rotation (radians) from the curve through its neighbors in time."""
_TRANSLATION_TIME = (0.4, 0.4, 2.5)
"""The same for translation, millimetres; depth is seen less well."""
_FLOW = 0.6
"""Deviation of optical flow in those of a landmark."""
_STAY_POSE = (0.03, 0.03, 0.03, 3.0, 3.0, 8.0)
"""How far flow may usually move the landmarks' pose: radians and millimetres."""


@dataclass(frozen=True, eq=False, slots=True)
class Problem:
    """What is given: landmarks of N frames and a model's points."""

    points: Points
    landmarks: Floats
    """(N,P,3) pixels."""
    observed: Bools
    """(N,)."""
    spread: Floats
    """(N,) landmark deviation in pixels."""
    center: Floats
    """(2,) principal point."""
    usual_focal: float
    low: Floats
    """(E,) least expression weights."""
    high: Floats
    """(E,) largest expression weights."""
    prior: Floats
    """(E,) deviations of expression weights."""

    def part(self, index: Ints | slice) -> Problem:
        """Return the problem of some frames."""
        return replace(
            self,
            landmarks=self.landmarks[index],
            observed=self.observed[index],
            spread=self.spread[index],
        )


@dataclass(frozen=True, eq=False, slots=True)
class State:
    """What is sought."""

    shape: Floats
    focal: float
    rotation: Floats
    """(N,3,3)."""
    translation: Floats
    """(N,3)."""
    expression: Floats
    """(N,E)."""

    def part(self, index: Ints | slice) -> State:
        """Return the state of some frames."""
        return replace(
            self,
            rotation=self.rotation[index],
            translation=self.translation[index],
            expression=self.expression[index],
        )

    @staticmethod
    def joined(parts: Sequence[State]) -> State:
        """Return the state of all frames of parts that share shape and focal length."""
        return replace(
            parts[0],
            rotation=np.concatenate([part.rotation for part in parts]),
            translation=np.concatenate([part.translation for part in parts]),
            expression=np.concatenate([part.expression for part in parts]),
        )

    def spread(self, at: Values) -> State:
        """Return the state at (N,) fractional positions among its frames."""
        if len(at) == len(self.rotation):
            return self
        return replace(
            self,
            rotation=bridge_turns(self.rotation, at),
            translation=bridge_values(self.translation, at),
            expression=bridge_values(self.expression, at),
        )


def start(problem: Problem, shape: Floats, focal: float) -> State:
    """Place the resting face by closed-form similarity to the landmarks in space (Umeyama 1991).

    The tracker's z has the scale of x and y, so its 478 points are a face in weak perspective.
    """
    points, landmarks = problem.points, problem.landmarks
    still = points.mean + np.tensordot(shape, points.identity, 1)
    weight = points.weights / points.weights.sum()
    model_center = weight @ still
    seen_center = np.einsum("p,npi->ni", weight, landmarks)
    a = (still - model_center).astype(np.float64)
    # The weighted deviations of the still face sum to nothing, so that the landmarks' own center
    # drops out of their product with them. By pieces, for long clips in double precision are large.
    pieces = np.array_split(landmarks, len(landmarks) // 512 + 1)
    weighted = weight[:, None] * a
    cross = np.concatenate([np.swapaxes(piece, 1, 2) @ weighted for piece in pieces])
    u, s, vt = np.linalg.svd(cross)
    sign = np.ones_like(s)
    sign[:, 2] = np.sign(np.linalg.det(u @ vt))
    rotation = (u * sign[:, None]) @ vt
    scale = (s * sign).sum(1) / np.einsum("p,pi,pi->", weight, a, a)
    depth = focal / np.maximum(scale, 1e-6)
    xy = (seen_center[:, :2] - problem.center) / focal * depth[:, None]
    middle = np.concatenate([xy, depth[:, None]], 1)
    translation = middle - rotation @ model_center
    rest = np.zeros((len(landmarks), len(points.expression)), np.float32)
    return State(
        shape.astype(np.float32),
        focal,
        rotation.astype(np.float32),
        translation.astype(np.float32),
        rest,
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Joint:
    """What n frames say of the S unknowns that all share, their own K eliminated from it."""

    solved: Values
    """(n,K,S+1) inverse of the frames' equations times what crosses to the shared, and pull."""
    shared: Values
    """(S,S)."""
    shared_pull: Values
    """(S,)."""
    less: Values
    """(S,S+1) what elimination takes off these two."""


def solve_shared(
    problem: Problem, state: State, config: FitConfig, free_focal: bool, pool: Executor
) -> State:
    """Fit shape and focal length together with the frames of a small subset.

    Each round eliminates the frames' unknowns from the joint normal equations (Schur complement),
    solves for the shared ones and substitutes back: exact Gauss-Newton at the price of a batch.
    """
    shared = len(problem.points.identity) + 1
    # Always the same few frames together, so that sums are those of any number of cores.
    some = runs(len(problem.landmarks), _TOGETHER)
    for _ in range(config.shared_rounds):
        parts = list(pool.map(partial(_joint, problem, state, config, free_focal), some))
        solved = np.concatenate([part.solved for part in parts])
        hs = np.sum([part.shared for part in parts], 0)
        gs = np.sum([part.shared_pull for part in parts], 0)
        less = np.sum([part.less for part in parts], 0)
        diagonal, gradient = shape_term(state.shape, config.shape_spread)
        # The prior speaks once per clip, the landmarks once per frame with errors that repeat.
        share = len(solved) / 4
        hs[np.arange(shared - 1), np.arange(shared - 1)] += share * diagonal
        gs[:-1] += share * gradient
        if free_focal:
            one, slope = focal_term(state.focal, problem.usual_focal, config.focal_spread)
            hs[-1, -1] += share * one
            gs[-1] += share * slope
        else:
            hs[-1, :], hs[:, -1], gs[-1] = 0, 0, 0
            hs[-1, -1] = 1
        step = -np.linalg.solve(hs - less[:, :-1], gs - less[:, -1])
        frame_step = -solved[..., -1] - solved[..., :-1] @ step
        log_step = float(np.clip(step[-1], -0.3, 0.3))
        state = _move(problem, state, frame_step)
        state = replace(
            state,
            shape=(state.shape + step[:-1]).astype(np.float32),
            focal=state.focal * float(np.exp(log_step)),
        )
    return state


def _joint(
    problem: Problem, state: State, config: FitConfig, free_focal: bool, some: slice
) -> _Joint:
    """Set up the equations of some frames and what all frames share, and eliminate the former."""
    part, current = problem.part(some), state.part(some)
    rows = _data_rows(part, current, config, shared=True)
    h, g = _frame_equations(part, current, rows, None, config)
    shared = len(problem.points.identity) + 1
    hs, gs, cross = np.zeros((shared, shared)), np.zeros(shared), np.zeros((*g.shape, shared))
    for row in rows:
        assert row.shared is not None  # noqa: S101 - asked for above
        flat = row.shared.reshape(-1, shared)
        hs += flat.T @ flat
        gs += row.residual.reshape(-1) @ flat
        cross += np.swapaxes(row.frame, 1, 2) @ row.shared
    if not free_focal:
        cross[..., -1] = 0
    _hold_bounds(part, current, h, g, cross)
    solved = np.linalg.solve(h, np.concatenate([cross, g[..., None]], -1))
    less = cross.reshape(-1, shared).T @ solved.reshape(-1, shared + 1)
    return _Joint(solved, hs, gs, less)


def solve_frames(problem: Problem, state: State, config: FitConfig, rounds: int) -> State:
    """Fit pose and expression of all frames with shape and focal length fixed.

    Normal equations are built and solved batch by batch; frames speak to each other only through
    the values of the previous round, so batches change nothing. Frames that were filled in have no
    equations: in every round they are laid on the way between the seen frames around them.
    """
    seen, at = positions_among(problem.observed)
    begins = range(0, len(seen), config.batch)
    batches: list[slice | Ints] = [slice(begin, begin + config.batch) for begin in begins]
    if len(seen) < len(problem.landmarks):
        batches = [seen[some] for some in batches]
        state = state.part(seen).spread(at)
    with ThreadPoolExecutor(min(_WORKERS, cores())) as pool:
        for _ in range(rounds):
            step = partial(_frame_step, problem, state, time_steps(state), config)
            parts = list(pool.map(step, batches))
            state = State.joined(parts).spread(at)
    return state


def _frame_step(
    problem: Problem, state: State, curve: Floats, config: FitConfig, some: slice | Ints
) -> State:
    """Take one Gauss-Newton step on some frames."""
    part, current = problem.part(some), state.part(some)
    rows = _data_rows(part, current, config, shared=False)
    h, g = _frame_equations(part, current, rows, curve[some], config)
    _hold_bounds(part, current, h, g, None)
    return _move(part, current, -np.linalg.solve(h, g[..., None])[..., 0])


def follow_flow(problem: Problem, state: State, flow: Floats, seen: Bools, stay: Floats) -> State:
    """Take one Gauss-Newton step after the optical flow, staying near where landmarks put the face.

    Args:
        problem: n frames.
        state: n frames.
        flow: (n,P,2) pixels that each point should go.
        seen: (n,P) whether the flow was measured there.
        stay: (E,) how far flow may usually move each expression weight.
    """
    spread = (_FLOW * problem.spread).astype(np.float32)
    row = flow_term(_posed(problem, state), problem.points, flow, seen, spread)
    transposed = np.swapaxes(row.frame, 1, 2)
    h = (transposed @ row.frame).astype(np.float64)
    g = (transposed @ row.residual[..., None])[..., 0].astype(np.float64)
    along = np.arange(h.shape[1])
    usual = np.concatenate([_STAY_POSE, stay])
    h[:, along, along] += usual**-2
    _hold_bounds(problem, state, h, g, None)
    return _move(problem, state, -np.linalg.solve(h, g[..., None])[..., 0])


def landmark_energy(problem: Problem, state: State) -> float:
    """Mean weighted landmark energy, for comparing solutions."""
    posed = _posed(problem, state)
    rows = landmark_term(posed, problem.points, problem.landmarks, problem.spread)
    return float((rows.residual**2).sum(1).mean())


def time_steps(state: State) -> Floats:
    """(N,6+E) from each frame's values to the cubic through its neighbors; 0 at the ends."""
    n = len(state.rotation)
    steps = np.zeros((n, POSE + state.expression.shape[1]), np.float32)
    if n < 5:
        return steps
    inner = state.rotation[2:-2]
    values = np.concatenate([state.translation, state.expression], 1)
    for offset, weight in ((-2, -1 / 6), (-1, 4 / 6), (1, 4 / 6), (2, -1 / 6)):
        other = slice(2 + offset, n - 2 + offset)
        turn = state.rotation[other] @ np.swapaxes(inner, 1, 2)
        steps[2:-2, :3] += weight * Rotation.from_matrix(turn).as_rotvec()
        steps[2:-2, 3:] += weight * (values[other] - values[2:-2])
    return steps


def spread_subset(descriptors: Floats, count: int) -> Ints:
    """Pick `count` rows of (N,D) that lie far apart, by farthest-point search from the middle."""
    scale = np.maximum(descriptors.std(0), 1e-6)
    x = (descriptors - np.median(descriptors, 0)) / scale
    picked = [int(np.argmin((x**2).sum(1)))]
    nearest = np.full(len(x), np.inf)
    for _ in range(min(count, len(x)) - 1):
        nearest = np.minimum(nearest, ((x - x[picked[-1]]) ** 2).sum(1))
        picked.append(int(np.argmax(nearest)))
    return np.unique(picked)


def _posed(problem: Problem, state: State) -> Posed:
    return pose_points(
        problem.points,
        state.shape,
        (state.rotation, state.translation, state.expression),
        state.focal,
        problem.center,
    )


def _data_rows(problem: Problem, state: State, config: FitConfig, shared: bool) -> list[Rows]:
    posed = _posed(problem, state)
    spread = problem.spread
    rows = [landmark_term(posed, problem.points, problem.landmarks, spread, shared)]
    if config.depth_weight > 0:
        wide = (spread / np.sqrt(config.depth_weight)).astype(np.float32)
        rows.append(depth_term(posed, problem.points, problem.landmarks, wide, shared))
    return rows


def _frame_equations(
    problem: Problem, state: State, rows: list[Rows], curve: Floats | None, config: FitConfig
) -> tuple[Values, Values]:
    """Normal equations (n,K,K), (n,K) of each frame's own unknowns."""
    n, k = len(state.rotation), POSE + state.expression.shape[1]
    h, g = np.zeros((n, k, k)), np.zeros((n, k))
    for row in rows:
        # A view, no copy: the product of a matrix with itself takes half the work then.
        transposed = np.swapaxes(row.frame, 1, 2)
        h += transposed @ row.frame
        g += (transposed @ row.residual[..., None])[..., 0]
    along = np.arange(k)
    diagonal, gradient = expression_term(state.expression, problem.prior)
    h[:, along[POSE:], along[POSE:]] += diagonal
    g[:, POSE:] += gradient
    if curve is not None and config.time_weight > 0:
        usual = np.full(k, config.time_spread)
        usual[:3], usual[3:POSE] = _ROTATION_TIME, _TRANSLATION_TIME
        smooth, pull = time_term(curve, usual)
        h[:, along, along] += config.time_weight * smooth
        g += config.time_weight * pull
    # A trace of damping keeps directions that nothing determines where they are.
    h[:, along, along] *= 1 + 1e-4
    return h, g


def _hold_bounds(
    problem: Problem, state: State, h: Values, g: Values, cross: Values | None
) -> None:
    """Fix weights that lie on a bound and want to leave it (active set), in place."""
    low = (state.expression <= problem.low) & (g[:, POSE:] > 0)
    high = (state.expression >= problem.high) & (g[:, POSE:] < 0)
    frame, mode = np.nonzero(low | high)
    mode = mode + POSE
    h[frame, mode, :] = 0
    h[frame, :, mode] = 0
    h[frame, mode, mode] = 1
    g[frame, mode] = 0
    if cross is not None:
        cross[frame, mode] = 0


def _move(problem: Problem, state: State, step: Values) -> State:
    """Apply a step (n,K): rotate by its axis-angle, add the rest, project onto the bounds."""
    turn = np.clip(step[:, :3], -0.5, 0.5)
    expression = np.clip(state.expression + step[:, POSE:], problem.low, problem.high)
    return replace(
        state,
        rotation=(rotation_matrix(turn.astype(np.float32)) @ state.rotation),
        translation=(state.translation + step[:, 3:POSE]).astype(np.float32),
        expression=expression.astype(np.float32),
    )
