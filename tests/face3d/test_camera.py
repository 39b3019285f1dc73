"""Projection and its derivative."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.errors import ContractError
from likeness.face3d.camera import camera_points, default_focal, pixel_jacobian, pixels, project

ZERO = np.zeros((1, 3), np.float32)


def test_axis_lands_in_the_middle() -> None:
    points = np.array([[0.0, 0, 0], [100, 0, 0], [0, 50, 0]], np.float32)
    found = project(points, ZERO, np.array([[0, 0, 1000]], np.float32), 500.0, (240, 320))
    np.testing.assert_allclose(found[0], [[160, 120, 1000], [210, 120, 1000], [160, 145, 1000]])


def test_frames_are_independent() -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(0, 50, (4, 10, 3)).astype(np.float32)
    rotation = rng.normal(0, 0.3, (4, 3)).astype(np.float32)
    shift = rng.normal([0, 0, 700], 20, (4, 3)).astype(np.float32)
    together = project(points, rotation, shift, 600.0, (256, 256))
    for k in range(4):
        one = project(points[k], rotation[k : k + 1], shift[k : k + 1], 600.0, (256, 256))
        np.testing.assert_allclose(one[0], together[k], rtol=1e-5)


def test_jacobian_equals_differences() -> None:
    point = np.array([[30.0, -20, 500]], np.float64)
    slope = pixel_jacobian(point, 400.0)[0]
    for axis in range(3):
        step = np.zeros((1, 3))
        step[0, axis] = 0.5
        ahead = pixels(point + step, 400.0, (100, 100)).astype(np.float64)
        behind = pixels(point - step, 400.0, (100, 100))
        np.testing.assert_allclose((ahead - behind)[0, :2], slope[:, axis], atol=1e-3)


def test_points_behind_the_camera_stay_finite() -> None:
    points = camera_points(np.array([[0, 0, -900.0]]), ZERO, np.array([[5.0, 0, 100]]))
    assert np.all(np.isfinite(pixels(points, 500.0, (64, 64))))


def test_focal_must_be_positive() -> None:
    with pytest.raises(ContractError, match="focal"):
        project(np.zeros((1, 3)), ZERO, ZERO, 0.0, (64, 64))
    assert default_focal((256, 512), 0.6) == pytest.approx(256 / np.tan(0.3))
