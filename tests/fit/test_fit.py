"""Recovery of known parameters from exact landmarks, the energy's derivatives, gaze and light."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from likeness.errors import ConfigError, FitError
from likeness.face3d.light import harmonics, vertex_normals
from likeness.face3d.model import FaceModel
from likeness.fit import FitConfig, _check, landmark_rms, reproject
from likeness.fit.appearance import Surface, sample_cross, solve_light
from likeness.fit.energy import depth_term, landmark_term, pose_points, time_term
from likeness.fit.gaze import solve_gaze
from likeness.fit.landmarks import fit_landmarks, set_up
from likeness.fit.solve import start, time_steps
from likeness.geometry import axis_angle, rotation_from_euler, rotation_matrix
from likeness.store import load_face_model
from likeness.types import FaceParams, FaceTrack

_SIZE = (256, 256)
_FRAMES = 48


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_face_model()


@pytest.fixture(scope="module")
def truth(model: FaceModel) -> FaceParams:
    time = np.arange(_FRAMES) / 25
    expression = np.zeros((_FRAMES, len(model.expression)), np.float32)

    def put(name: str, values: np.ndarray) -> None:
        expression[:, model.expression_names.index(name)] = values

    put("jawOpen", 0.3 + 0.3 * np.sin(2 * np.pi * 1.1 * time))
    blink = np.exp(-(((np.arange(_FRAMES) % 24 - 12) / 1.8) ** 2))
    put("eyeBlinkLeft", blink)
    put("eyeBlinkRight", blink)
    put("mouthSmileLeft", 0.4 * np.sin(np.pi * time / 2) ** 2)
    put("mouthSmileRight", 0.4 * np.sin(np.pi * time / 2) ** 2)
    wave = np.sin(2 * np.pi * 0.5 * time)
    turn = rotation_from_euler(0.4 * wave, 0.2 * np.cos(2 * np.pi * 0.7 * time), 0.1 * wave)
    gaze = np.stack([0.25 * wave, 0.1 * np.cos(3 * time)], -1)
    return FaceParams(
        model=model.name,
        shape=np.random.default_rng(5).normal(0, 0.8, len(model.identity)).astype(np.float32),
        albedo=np.zeros(len(model.albedo), np.float32),
        expression=expression,
        expression_names=model.expression_names,
        rotation=axis_angle(turn),
        translation=np.stack([10 * wave, 5 * wave, 620 + 20 * wave], -1).astype(np.float32),
        light=np.zeros((_FRAMES, 9, 3), np.float32),
        gaze=np.repeat(gaze[:, None], 2, 1).astype(np.float32),
        focal=420.0,
    )


@pytest.fixture(scope="module")
def track(truth: FaceParams, model: FaceModel) -> FaceTrack:
    landmarks = reproject(truth, model, _SIZE)
    landmarks += np.random.default_rng(6).normal(0, 0.2, landmarks.shape).astype(np.float32)
    xy = landmarks[..., :2]
    boxes = np.concatenate([xy.min(1), xy.max(1)], -1)
    return FaceTrack(0, boxes, landmarks, np.ones(_FRAMES, np.float32), np.ones(_FRAMES, bool))


@pytest.fixture(scope="module")
def found(track: FaceTrack, truth: FaceParams, model: FaceModel) -> FaceParams:
    state = fit_landmarks(track, model, _SIZE, FitConfig())
    params = replace(
        truth,
        shape=state.shape,
        expression=state.expression,
        rotation=axis_angle(state.rotation),
        translation=state.translation,
        focal=float(state.focal),
    )
    return replace(params, gaze=solve_gaze(track.landmarks, params, model, _SIZE))


def test_pose_is_recovered(found: FaceParams, truth: FaceParams) -> None:
    between = rotation_matrix(found.rotation) @ np.swapaxes(rotation_matrix(truth.rotation), 1, 2)
    assert np.degrees(np.linalg.norm(axis_angle(between), axis=-1)).mean() < 1.0


def test_landmarks_are_met(
    found: FaceParams, track: FaceTrack, truth: FaceParams, model: FaceModel
) -> None:
    assert landmark_rms(track, found, model, _SIZE) < 0.7
    exact = reproject(truth, model, _SIZE)[:, :468, :2]
    apart = reproject(found, model, _SIZE)[:, :468, :2] - exact
    assert np.sqrt((apart**2).sum(-1).mean()) < 0.7


@pytest.mark.parametrize("name", ["jawOpen", "eyeBlinkLeft", "eyeBlinkRight"])
def test_expressions_follow(found: FaceParams, truth: FaceParams, name: str) -> None:
    assert np.corrcoef(found.column(name), truth.column(name))[0, 1] > 0.97
    assert np.all((found.column(name) >= 0) & (found.column(name) <= 1))


def test_gaze_is_recovered_and_held_through_blinks(found: FaceParams, truth: FaceParams) -> None:
    error = np.degrees(np.abs(found.gaze - truth.gaze))
    assert error.mean() < 3
    assert error.max() < 12


def test_known_identity_stays(track: FaceTrack, truth: FaceParams, model: FaceModel) -> None:
    state = fit_landmarks(track, model, _SIZE, FitConfig(known=truth))
    assert np.array_equal(state.shape, truth.shape)
    assert state.focal == truth.focal
    between = state.rotation @ np.swapaxes(rotation_matrix(truth.rotation), 1, 2)
    assert np.degrees(np.linalg.norm(axis_angle(between), axis=-1)).mean() < 1.0


def test_batches_change_nothing(track: FaceTrack, truth: FaceParams, model: FaceModel) -> None:
    one, two = (
        fit_landmarks(track, model, _SIZE, FitConfig(known=truth, batch=size, frame_rounds=3))
        for size in (7, 64)
    )
    assert np.allclose(one.translation, two.translation, atol=0.05)
    assert np.allclose(one.expression, two.expression, atol=5e-3)


def test_derivatives_match_differences(track: FaceTrack, model: FaceModel) -> None:
    problem = set_up(track, model, _SIZE, FitConfig()).part(slice(0, 2))
    flat = replace(problem.points, normals=np.tile(np.float32([0, 0, -1]), (468, 1)))
    shape = np.zeros(len(model.identity), np.float32)
    state = start(problem, shape, 400.0)
    expression = np.full_like(state.expression, 0.1)
    spread = np.full(2, 1e4, np.float32)  # wide, so that the robust weights stay one

    def rows(step: np.ndarray, term=landmark_term):  # type: ignore[no-untyped-def]
        turned = rotation_matrix(step[:3].astype(np.float32)) @ state.rotation
        moved = (turned, state.translation + step[3:6], expression + step[6:])
        posed = pose_points(flat, shape, moved, 400.0, problem.center)
        return term(posed, flat, problem.landmarks, spread, True)

    rest = np.zeros(6 + expression.shape[1], np.float32)
    for column in (0, 1, 2, 3, 5, 6, 30):
        step = rest.copy()
        step[column] = 0.5 if 3 <= column < 6 else 0.01
        change = rows(step).residual - rows(-step).residual
        expected = 2 * step[column] * rows(rest).frame[..., column]
        assert np.abs(change - expected).max() < 0.05 * np.abs(expected).max(), column
    for column in (0, 1, 30):
        step = rest.copy()
        step[column] = 0.01
        change = rows(step, depth_term).residual - rows(-step, depth_term).residual
        expected = 2 * step[column] * rows(rest, depth_term).frame[..., column]
        # The term's derivative leaves out how means and scale follow.
        change, expected = (v - v.mean() for v in (change, expected))
        assert np.corrcoef(change.ravel(), expected.ravel())[0, 1] > 0.9, column


def test_steady_motion_costs_nothing_in_time(track: FaceTrack, model: FaceModel) -> None:
    rest = np.zeros(len(model.identity), np.float32)
    state = start(set_up(track, model, _SIZE, FitConfig()), rest, 400.0)
    line = np.arange(_FRAMES, dtype=np.float32)[:, None]
    still = replace(
        state,
        rotation=rotation_matrix(line * np.float32([0.01, 0, 0])),
        translation=line * np.float32([1, 2, 3]) + 0.1 * line**2,
        expression=np.zeros_like(state.expression),
    )
    assert np.abs(time_steps(still)).max() < 1e-3
    weight, pull = time_term(np.float32([[0.01, 5.0]]), np.float32([0.04, 0.04]))
    assert weight[0, 0] > 100 * weight[0, 1]
    assert pull[0, 0] < 0


def test_sampling_reads_colors_and_slopes() -> None:
    y, x = torch.meshgrid(torch.arange(40) + 0.5, torch.arange(60) + 0.5, indexing="ij")
    ramp = (0.2 + 0.01 * x + 0.005 * y)[None, None].expand(1, 3, -1, -1)
    points = np.array([[[20.3, 11.7], [30.0, 25.5]]], np.float32)
    colors, gradient = sample_cross(ramp.numpy(), points, 1.5)
    expected = 0.2 + 0.01 * points[0, :, 0] + 0.005 * points[0, :, 1]
    assert np.allclose(colors[0, :, 0], expected, atol=1e-4)
    assert np.allclose(gradient, [[0.01, 0.005]], atol=1e-4)


def test_light_is_recovered(model: FaceModel) -> None:
    rng = np.random.default_rng(8)
    light = np.zeros((9, 3), np.float32)
    light[0], light[2], light[3] = 0.9, -0.2, [0.1, 0.12, 0.15]
    normals = np.broadcast_to(
        _normals(model), (3, len(model.mean) + len(model.triangles), 3)
    ).astype(np.float16)
    lit = model.albedo_mean * (harmonics(normals[:, : len(model.mean)].astype(np.float32)) @ light)
    noisy = np.clip((lit + rng.normal(0, 0.01, lit.shape)) * 255, 0, 255).astype(np.uint8)
    empty = np.zeros(normals.shape[:2], np.float16)
    surface = Surface(noisy, empty, np.zeros((*empty.shape, 2), np.float16), normals)
    solved = solve_light(surface, model, np.zeros(len(model.albedo), np.float32))
    shown = harmonics(_normals(model)[: len(model.mean)]) @ solved
    wanted = harmonics(_normals(model)[: len(model.mean)]) @ light
    front = _normals(model)[: len(model.mean), 2] < -0.4
    assert np.abs(shown - wanted)[:, front].mean() < 0.03


def _normals(model: FaceModel) -> np.ndarray:
    """Normals at vertices, then at triangle centers, of the mean face."""
    corner = vertex_normals(model.mean, model.triangles)
    return np.concatenate([corner, corner[model.triangles].mean(1)])


def test_too_little_is_refused(track: FaceTrack, truth: FaceParams, model: FaceModel) -> None:
    unseen = replace(track, observed=np.zeros(_FRAMES, bool))
    with pytest.raises(FitError, match="0 observed frames"):
        _check(unseen, model, FitConfig())
    with pytest.raises(FitError, match="another"):
        _check(track, model, FitConfig(known=replace(truth, model="another")))
    with pytest.raises(ConfigError, match="batch"):
        FitConfig(batch=0)
