"""Spherical harmonics, normals and the light that explains a picture."""

from __future__ import annotations

import numpy as np

from likeness.face3d.light import harmonics, irradiance, shade, solve_light, vertex_normals
from likeness.store import load_face_model


def directions(count: int) -> np.ndarray:
    points = np.random.default_rng(3).normal(size=(count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def test_basis_is_orthogonal_on_the_sphere() -> None:
    basis = harmonics(directions(200_000)).astype(np.float64)
    gram = basis.T @ basis / len(basis)
    scale = np.sqrt(np.outer(np.diag(gram), np.diag(gram)))
    off = np.abs(gram / scale - np.eye(9))
    assert off.max() < 0.02


def test_normals_of_the_face_point_outward() -> None:
    model = load_face_model()
    normals = vertex_normals(model.mean, model.triangles)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-5)
    assert normals[[1, 9, 152], 2].max() < -0.3
    assert normals[234, 0] < -0.5
    assert normals[454, 0] > 0.5


def test_normals_of_a_batch_equal_those_of_each() -> None:
    model = load_face_model()
    both = np.stack([model.mean, model.mean * [1.0, 1.2, 0.9]]).astype(np.float32)
    batch = vertex_normals(both, model.triangles)
    for one, normals in zip(both, batch, strict=True):
        np.testing.assert_allclose(vertex_normals(one, model.triangles), normals, atol=1e-6)


def test_light_is_recovered_despite_outliers() -> None:
    model = load_face_model()
    rng = np.random.default_rng(0)
    light = np.zeros((9, 3), np.float32)
    light[0] = [0.9, 0.8, 0.7]
    light[1:4] = rng.normal(0, 0.12, (3, 3))
    light[4:] = rng.normal(0, 0.03, (5, 3))
    normals = vertex_normals(model.mean, model.triangles)
    colors = shade(model.albedo_mean, normals, light) + rng.normal(0, 0.005, (468, 3))
    spoiled = rng.random(468) < 0.15
    colors[spoiled] = rng.random((int(spoiled.sum()), 3))
    visible = normals[:, 2] < 0
    found = solve_light(colors.astype(np.float32), model.albedo_mean, normals, visible)
    error = irradiance(normals, found)[visible] - irradiance(normals, light)[visible]
    assert np.sqrt(np.mean(error**2)) < 0.03


def test_too_few_vertices_give_ambient_light() -> None:
    normals = np.tile([0.0, 0.0, -1.0], (20, 1)).astype(np.float32)
    albedo = np.full((20, 3), 0.5, np.float32)
    light = solve_light(albedo, albedo, normals, np.zeros(20, bool))
    np.testing.assert_allclose(irradiance(normals, light), 1.0, atol=1e-5)
