"""The landmark stage of the fit: set up the problem, find identity, then every frame."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from likeness.errors import FitError
from likeness.face3d.camera import default_focal
from likeness.face3d.light import vertex_normals
from likeness.face3d.model import FaceModel
from likeness.fit.bridge import positions_among
from likeness.fit.config import FitConfig
from likeness.fit.energy import Points
from likeness.fit.solve import (
    Problem,
    State,
    landmark_energy,
    solve_frames,
    solve_shared,
    spread_subset,
    start,
)
from likeness.machine import cores
from likeness.types import FaceTrack, Floats, Ints

_REGION_WEIGHTS = {
    "face_oval": 0.15,
    "forehead": 0.4,
    "cheeks": 0.6,
    "left_brow": 1.5,
    "right_brow": 1.5,
    "left_eye": 3.0,
    "right_eye": 3.0,
    "lips_outer": 2.5,
    "lips_inner": 3.0,
}
"""Lids, lips and brows carry the expression; the oval slides along the silhouette."""
_EASE = {
    "jawOpen": 3.0,
    "mouthClose": 0.3,
    "mouthLowerDownLeft": 0.4,
    "mouthLowerDownRight": 0.4,
    "jawForward": 0.4,
    "mouthShrugLower": 0.4,
}
"""Factors on the spread of expressions: where several explain an open mouth, the jaw goes first."""
_FOCAL_STARTS = (1.0, 1.6, 3.0)
"""Focal lengths that the search starts from, in multiples of the frame's longer side."""
_FEW = 4
_TRIED = 3
"""Every how manyth of the shared frames all starts are tried on; 1 is all of them."""
_INDEPENDENT = 2000.0
"""Landmarks err together with their neighbors; all of them count like this many free ones."""
_BOUND = 4.0
"""Detail weights stay within this many of their deviations."""


def fit_landmarks(
    track: FaceTrack, model: FaceModel, size: tuple[int, int], config: FitConfig
) -> State:
    """Bring the model onto the landmarks of all frames.

    Args:
        track: N frames.
        model: the face model.
        size: (H, W) of the frame.
        config: settings; `known` fixes shape and focal length.

    Raises:
        FitError: the model has too few landmark vertices.
    """
    problem = set_up(track, model, size, config)
    if config.known is not None:
        shape = np.zeros(len(model.identity), np.float32)
        used = min(len(shape), len(config.known.shape))
        shape[:used] = config.known.shape[:used]
        focal = config.known.focal
    else:
        shape, focal = _shared(problem, track, config)
    seen, at = positions_among(track.observed)
    few = problem if len(seen) == len(track) else problem.part(seen)
    begin = start(few, shape, focal).spread(at)
    return solve_frames(problem, begin, config, config.frame_rounds)


def set_up(track: FaceTrack, model: FaceModel, size: tuple[int, int], config: FitConfig) -> Problem:
    """Gather what the solver needs from track and model."""
    used = np.flatnonzero(model.landmark_vertices[:468] >= 0)
    if len(used) < 20:
        raise FitError(
            f"face model {model.name!r} has {len(used)} vertices for the tracker's landmarks;"
            " expected at least 20. Load it with a landmark embedding"
        )
    vertices = model.landmark_vertices[used]
    weights = np.ones(len(model.mean), np.float32)
    for name, weight in _REGION_WEIGHTS.items():
        if name in model.regions:
            weights[model.regions[name]] = weight
    weights = weights[vertices]
    points = Points(
        model.mean[vertices],
        model.identity[:, vertices],
        model.expression[:, vertices],
        vertex_normals(model.mean, model.triangles)[vertices],
        (_INDEPENDENT * weights / weights.sum()).astype(np.float32),
    )
    detail = np.array([name.startswith("detail") for name in model.expression_names])
    extent = np.sqrt(np.maximum((track.boxes[:, 2:] - track.boxes[:, :2]).prod(1), 1.0))
    ease = np.array([_EASE.get(name, 1.0) for name in model.expression_names])
    return Problem(
        points=points,
        landmarks=np.ascontiguousarray(track.landmarks[:, used]),
        observed=track.observed,
        spread=(config.landmark_spread * extent).astype(np.float32),
        center=np.array([size[1] / 2, size[0] / 2], np.float32),
        usual_focal=default_focal(size),
        low=np.where(detail, -_BOUND * config.detail_spread, 0).astype(np.float32),
        high=np.where(detail, _BOUND * config.detail_spread, 1).astype(np.float32),
        prior=(ease * np.where(detail, config.detail_spread, config.expression_spread)).astype(
            np.float32
        ),
    )


def _shared(problem: Problem, track: FaceTrack, config: FitConfig) -> tuple[Floats, float]:
    """Estimate shape and focal length from frames that are spread over what the face does."""
    chosen = _choose(problem, track, config.shared_frames, config.batch)
    few = problem.part(chosen)
    rest = np.zeros(len(problem.points.identity), np.float32)
    with ThreadPoolExecutor(cores(), "identity") as pool:
        if config.focal is not None:
            state = start(few, rest, config.focal)
            state = solve_shared(few, state, config, False, pool)
            return state.shape, state.focal
        brief = replace(config, shared_rounds=_FEW)
        # Which start is best is seen in fewer frames: they decide where to begin, not where to end.
        tried = problem.part(chosen[::_TRIED])
        found: list[tuple[float, State]] = []
        for multiple in _FOCAL_STARTS:
            focal = multiple * problem.usual_focal / _FOCAL_STARTS[1]
            state = solve_shared(tried, start(tried, rest, focal), brief, True, pool)
            deviation = np.log(state.focal / problem.usual_focal) / config.focal_spread
            found.append((landmark_energy(tried, state) + deviation**2 / 4, state))
        best = min(found, key=lambda pair: pair[0])[1]
        if len(tried.landmarks) < len(few.landmarks):
            best = start(few, best.shape, best.focal)
        best = solve_shared(few, best, config, True, pool)
    return best.shape, best.focal


def _choose(problem: Problem, track: FaceTrack, count: int, batch: int) -> Ints:
    """Frames far apart in pose and expression, from observed ones."""
    usable = np.flatnonzero(track.observed)
    pieces = np.array_split(usable, len(usable) // batch + 1)
    sums = [_normal(problem.landmarks[some]).sum(0, np.float64) for some in pieces]
    middle = (np.sum(sums, 0) / len(usable)).astype(np.float32)
    # Principal directions of the normalized landmarks hold both turning and expression.
    thin = _normal(problem.landmarks[usable[:: max(1, len(usable) // 300)]]) - middle
    _, _, axes = np.linalg.svd(thin, full_matrices=False)
    rows = [(_normal(problem.landmarks[some]) - middle) @ axes[:8].T for some in pieces]
    return usable[spread_subset(np.concatenate(rows), count)]


def _normal(points: Floats) -> Floats:
    """Landmarks (n,P,3) about their middle, in units of their extent, as rows (n,3P)."""
    apart = points - points.mean(1, keepdims=True)
    apart /= np.sqrt((apart**2).mean((1, 2), keepdims=True))
    return np.asarray(apart.reshape(len(points), -1))
