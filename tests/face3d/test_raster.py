"""The compiled rasterizer against its slow twin, and the rules both must keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.errors import ContractError
from likeness.face3d.camera import project
from likeness.face3d.raster import interpolate, rasterize, rasterize_reference, visible_vertices
from likeness.store import load_face_model

SIZE = (24, 31)


@st.composite
def meshes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    count = draw(st.integers(3, 12))
    # Quarter pixels put many corners and edges exactly on pixel centers.
    quarters = st.integers(-40, 4 * 40)
    places = draw(st.lists(st.tuples(quarters, quarters), min_size=count, max_size=count))
    depth = draw(st.lists(st.integers(-1, 8), min_size=count, max_size=count))
    faces = draw(st.lists(st.tuples(*[st.integers(0, count - 1)] * 3), min_size=1, max_size=10))
    vertices = np.concatenate([np.array(places) / 4, np.array(depth)[:, None] * 50.0], axis=1)
    return vertices.astype(np.float32), np.array(faces, np.int64)


@settings(max_examples=60)
@given(meshes(), st.booleans())
def test_fast_equals_reference(mesh: tuple[np.ndarray, np.ndarray], perspective: bool) -> None:
    ids, weights = rasterize(*mesh, SIZE, perspective)
    slow_ids, slow_weights = rasterize_reference(*mesh, SIZE, perspective)
    np.testing.assert_array_equal(ids, slow_ids)
    np.testing.assert_allclose(weights, slow_weights, atol=1e-6)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(4, 90), st.integers(4, 90)), min_size=5, max_size=5))
def test_triangles_sharing_edges_cover_each_pixel_once(places: list[tuple[int, int]]) -> None:
    """A fan around a point inside a square tiles the square, wherever that point is."""
    hub = np.array(places[0]) / 4
    corners = np.array([[1, 1], [23.5, 1], [23.5, 23.5], [1, 23.5]])
    hub = np.clip(hub, 1.25, 23.25)
    vertices = np.concatenate([corners, hub[None]], axis=0)
    vertices = np.concatenate([vertices, np.full((5, 1), 100.0)], 1).astype(np.float32)
    count = np.zeros(SIZE, int)
    for face in ([0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]):
        count += rasterize(vertices, np.array([face]), SIZE)[0] >= 0
    expected = np.zeros(SIZE, int)
    expected[1:23, 1:23] = 1
    # A side through pixel centers belongs to the square on its left and top, not on the others.
    np.testing.assert_array_equal(count, expected)


def test_top_left_rule() -> None:
    square = np.array([[0.5, 0.5, 1], [2.5, 0.5, 1], [2.5, 2.5, 1], [0.5, 2.5, 1]], np.float32)
    ids, _ = rasterize(square, np.array([[0, 1, 2], [0, 2, 3]]), (4, 4))
    np.testing.assert_array_equal(ids[:3, :3], [[0, 0, -1], [1, 0, -1], [-1, -1, -1]])


def test_nearest_wins_and_windings_are_equal() -> None:
    vertices = np.array(
        [[0, 0, 9], [8, 0, 9], [0, 8, 9], [0, 0, 5], [8, 0, 5], [0, 8, 5]], np.float32
    )
    ids, _ = rasterize(vertices, np.array([[0, 1, 2], [3, 5, 4]]), (8, 8))
    assert set(np.unique(ids)) == {-1, 1}


def test_perspective_matches_the_plane() -> None:
    """Attributes that are linear in space come back as the ray meets the plane."""
    points = np.array([[-40.0, -40, 300], [60, -30, 500], [-20, 50, 900]], np.float32)
    screen = project(points, np.zeros((1, 3)), np.zeros((1, 3)), 120.0, (64, 64))[0]
    ids, weights = rasterize(screen, np.array([[0, 1, 2]]), (64, 64))
    found = interpolate(ids, weights, points, np.array([[0, 1, 2]]))
    row, column = np.nonzero(ids >= 0)
    assert len(row) > 50
    hit = found[row, column]
    # Corner rounding to 1/256 pixel costs a little.
    np.testing.assert_allclose(120 * hit[:, 0] / hit[:, 2] + 32, column + 0.5, atol=0.01)
    np.testing.assert_allclose(120 * hit[:, 1] / hit[:, 2] + 32, row + 0.5, atol=0.01)


def test_barycentrics_sum_to_one_and_repeat() -> None:
    model = load_face_model()
    place = np.array([[0, 10, 800]], np.float32)
    screen = project(model.mean, np.array([[0.1, 0.4, 0.0]], np.float32), place, 700.0, (128, 128))
    ids, weights = rasterize(screen[0], model.triangles, (128, 128))
    covered = ids >= 0
    assert 0.3 < covered.mean() < 0.9
    np.testing.assert_allclose(weights.sum(-1)[covered], 1.0, atol=1e-5)
    assert np.all(weights[~covered] == 0)
    again = rasterize(screen[0], model.triangles, (128, 128))
    assert np.array_equal(ids, again[0])
    assert np.array_equal(weights, again[1])


def test_turned_face_hides_its_far_side() -> None:
    model = load_face_model()
    turned = np.array([[0.0, -0.9, 0.0]], np.float32)
    screen = project(model.mean, turned, np.array([[0, 10, 800]], np.float32), 700.0, (128, 128))
    seen = visible_vertices(screen[0], model.triangles, (128, 128))
    left, right = model.regions["face_oval"][9], model.regions["face_oval"][27]
    assert seen[right] != seen[left]
    assert 0.4 < seen.mean() < 0.9


def test_bad_input_is_refused() -> None:
    with pytest.raises(ContractError, match="outside"):
        rasterize(np.ones((3, 3), np.float32), np.array([[0, 1, 3]]), (4, 4))
    with pytest.raises(ContractError, match="empty"):
        rasterize(np.ones((3, 3), np.float32), np.array([[0, 1, 2]]), (0, 4))
    broken = np.array([[0, 0, np.nan], [np.inf, 0, 1], [0, 4, 1]], np.float32)
    assert np.all(rasterize(broken, np.array([[0, 1, 2]]), (4, 4))[0] == -1)
