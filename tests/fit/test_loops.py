"""Compiled loops of the fit against their slow twins."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from likeness.face3d.light import vertex_normals
from likeness.face3d.raster import interpolate, rasterize
from likeness.fit import FitConfig, fit
from likeness.fit.appearance import sample_cross, sample_cross_reference
from likeness.fit.energy_loops import chain_to_modes, chain_to_pose
from likeness.fit.pixel_loops import lay_over
from likeness.geometry import rotation_matrix
from likeness.parallel import runs
from likeness.store import load_face_model
from tests.stage import film

RANDOM = np.random.default_rng(3)


def drawn(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize("many", [1, 2])
def test_derivatives_are_chained_as_written_out(many: int) -> None:
    by_point, turned = drawn(3, 7, many, 3), drawn(3, 7, 3)
    turn, modes = rotation_matrix(drawn(3, 3)), drawn(5, 7, 3)
    rows = np.full((3, 7 * many, 11), np.nan, np.float32)
    chain_to_pose(by_point, turned, rows)
    chain_to_modes(by_point, turn, np.ascontiguousarray(modes.transpose(1, 2, 0)), 6, rows)
    turning = np.cross(turned[:, :, None], by_point)
    by_mode = np.einsum("npdi,nij,kpj->npdk", by_point, turn, modes)
    expected = np.concatenate([turning, by_point, by_mode], -1).reshape(rows.shape)
    assert np.abs(rows - expected).max() < 1e-5


def test_a_derivative_by_rotation_is_that_of_turning() -> None:
    point, slope, step = drawn(3).astype(np.float64), drawn(3).astype(np.float64), 1e-6
    rows = np.zeros((1, 1, 6), np.float32)
    chain_to_pose(
        slope[None, None, None].astype(np.float32), point[None, None].astype(np.float32), rows
    )
    for axis in range(3):
        turned = np.cross(np.eye(3)[axis] * step, point)
        assert rows[0, 0, axis] == pytest.approx(slope @ turned / step, abs=1e-4)


def test_crosses_are_read_as_torch_samples_them_inside_and_at_the_edge() -> None:
    frames = RANDOM.random((2, 3, 21, 34), np.float32)
    points = (RANDOM.random((2, 300, 2)) * (44, 31) - 5).astype(np.float32)
    for arm in (0.75, 2.6):
        ours = sample_cross(frames, points, arm)
        theirs = sample_cross_reference(torch.from_numpy(frames), points, arm)
        for one, other in zip(ours, theirs, strict=True):
            assert np.abs(one - other).max() < 1e-5


def test_points_that_are_nowhere_are_read_without_harm() -> None:
    frames = np.full((1, 3, 8, 8), 0.25, np.float32)
    nowhere = np.array([[[np.nan, 1], [np.inf, -np.inf], [1e30, -1e30]]], np.float32)
    colors, gradient = sample_cross(frames, nowhere, 1.0)
    assert np.all(colors == 0.25)
    assert np.all(gradient == 0)


def test_references_are_laid_over_by_their_meshes() -> None:
    side = 48
    y, x = np.meshgrid([4.0, 24.0, 44.0], [4.0, 24.0, 44.0], indexing="ij")
    mesh = np.stack([x.ravel(), y.ravel(), np.full(9, 5.0)], -1).astype(np.float32)
    squares = [(0, 1, 4, 3), (1, 2, 5, 4), (3, 4, 7, 6), (4, 5, 8, 7)]
    triangles = np.array([t for a, b, c, d in squares for t in ((a, b, c), (a, c, d))])
    ids, weights = rasterize(mesh, triangles, (side, side))
    luma = RANDOM.integers(0, 256, (side, side), np.uint8)
    references = RANDOM.integers(0, 256, (3, side, side), np.uint8)
    meshes = np.stack([mesh[:, :2] + 6 * drawn(9, 2) for _ in range(3)])
    result = np.empty_like(luma)
    lay_over(luma, ids, weights, triangles, meshes, references, result)
    mean = np.zeros((side, side))
    for one, reference in zip(meshes, references, strict=True):
        way = interpolate(ids, weights, one, triangles) - 0.5
        mean += map_coordinates(
            reference.astype(np.float64), [way[..., 1], way[..., 0]], order=1, mode="nearest"
        )
    off = ids < 0
    assert 0.2 < off.mean() < 0.4
    assert np.array_equal(result[off], luma[off])
    assert np.abs(result - mean / 3)[~off].max() <= 0.501


def test_normals_are_sums_of_the_triangles_around() -> None:
    model = load_face_model()
    points = model.mean + drawn(2, *model.mean.shape) * 0.3
    a, b, c = (points[:, model.triangles[:, k]] for k in range(3))
    sums = np.zeros(points.shape, np.float64)
    for n, face in enumerate(np.cross(b - a, c - a)):
        np.add.at(sums[n], model.triangles.ravel(), np.repeat(face, 3, 0))
    length = np.linalg.norm(sums, axis=-1, keepdims=True)
    assert np.all(length > 0)
    assert np.abs(vertex_normals(points, model.triangles) - sums / length).max() < 1e-6


def test_runs_cover_every_frame_once() -> None:
    for count in (0, 1, 4, 5, 31):
        covered = [n for run in runs(count, 4) for n in range(count)[run]]
        assert covered == list(range(count))


def test_a_fit_does_not_depend_on_the_number_of_cores(tmp_path: object) -> None:
    shot = film(tmp_path, seed=4, motion=7, count=22)
    model, config = load_face_model(), FitConfig(shared_frames=20)
    found = []
    for count in (1, 3):
        with (
            patch("likeness.fit.solve.cores", lambda count=count: count),
            patch("likeness.fit.appearance.cores", lambda count=count: count),
            patch("likeness.fit.alignment.cores", lambda count=count: count),
            patch("likeness.fit.landmarks.cores", lambda count=count: count),
        ):
            found.append(fit(shot.clip, shot.track, model, config))
    one, three = found
    for name in ("shape", "albedo", "expression", "rotation", "translation", "light", "gaze"):
        assert np.array_equal(getattr(one, name), getattr(three, name)), name
    assert one.focal == three.focal
