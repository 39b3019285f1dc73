"""Transforms and rotations: what composes, inverts and round-trips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from likeness import geometry
from likeness.types import Floats

CORNERS = np.array([[0, 0], [640, 0], [640, 480], [0, 480], [320.5, 239.5]], np.float64)

angles = st.floats(-3.1, 3.1)
scales = st.floats(0.1, 10.0)
shifts = st.floats(-500.0, 500.0)


@st.composite
def similarities(draw: st.DrawFn) -> Floats:
    angle, scale = draw(angles), draw(scales)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, draw(shifts)], [s, c, draw(shifts)]])


@given(similarities())
def test_paste_undoes_crop(crop_from_frame: Floats) -> None:
    there = geometry.apply(crop_from_frame, CORNERS)
    back = geometry.apply(geometry.invert(crop_from_frame), there)
    np.testing.assert_allclose(back, CORNERS, atol=1e-8)


@given(similarities(), similarities(), similarities())
def test_composition_associates(d_from_c: Floats, c_from_b: Floats, b_from_a: Floats) -> None:
    left = geometry.compose(geometry.compose(d_from_c, c_from_b), b_from_a)
    right = geometry.compose(d_from_c, geometry.compose(c_from_b, b_from_a))
    np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-6)


@given(similarities(), similarities())
def test_composing_is_applying_twice(c_from_b: Floats, b_from_a: Floats) -> None:
    twice = geometry.apply(c_from_b, geometry.apply(b_from_a, CORNERS))
    once = geometry.apply(geometry.compose(c_from_b, b_from_a), CORNERS)
    np.testing.assert_allclose(once, twice, rtol=1e-9, atol=1e-6)


def test_transforms_broadcast_over_frames() -> None:
    crop_from_frame = np.stack([np.eye(2, 3), 2 * np.eye(2, 3)]).astype(np.float32)
    points = np.ones((2, 4, 2), np.float32)
    assert geometry.apply(crop_from_frame, points)[:, 0].tolist() == [[1, 1], [2, 2]]
    assert geometry.invert(crop_from_frame)[1, 0, 0] == pytest.approx(0.5)


@given(shifts, shifts, st.floats(1, 500), st.integers(16, 512))
def test_a_square_lands_on_the_whole_crop(x: float, y: float, side: float, size: int) -> None:
    crop_from_frame = geometry.crop_from_square(x, y, side, size).astype(np.float64)
    corners = np.array([[x, y], [x + side, y + side]])
    landed = geometry.apply(crop_from_frame, corners)
    # The transform itself rests in float32: its offset is good to one part in ten million.
    tolerance = 1e-6 * (size + abs(crop_from_frame).max())
    np.testing.assert_allclose(landed, [[0, 0], [size, size]], atol=tolerance)


# Below pi the axis of a rotation is unique; at pi itself it may flip.
vectors = hnp.arrays(np.float64, (3,), elements=st.floats(-1.75, 1.75, width=32))


@given(vectors)
def test_axis_angle_round_trips(vector: Floats) -> None:
    back = geometry.axis_angle(geometry.rotation_matrix(vector))
    np.testing.assert_allclose(back, vector, atol=2e-3 if np.linalg.norm(vector) > 2.9 else 2e-6)


@given(vectors)
def test_rotations_keep_lengths_and_orientation(vector: Floats) -> None:
    rotation = geometry.rotation_matrix(vector).astype(np.float64)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(rotation) == pytest.approx(1, abs=1e-6)


@given(st.floats(-1.4, 1.4), angles, angles)
def test_euler_angles_round_trip(yaw: float, pitch: float, roll: float) -> None:
    wanted = [np.float32(value) for value in (yaw, pitch, roll)]
    rotation = geometry.rotation_from_euler(*map(np.asarray, wanted))
    back = geometry.euler_from_rotation(rotation)
    np.testing.assert_allclose(np.array(back), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("angles_given", "looks_at"),
    [
        ((0.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
        ((0.3, 0.0, 0.0), (np.sin(0.3), 0.0, -np.cos(0.3))),  # image right
        ((0.0, 0.3, 0.0), (0.0, np.sin(0.3), -np.cos(0.3))),  # down
    ],
)
def test_angles_turn_the_face_as_the_words_say(
    angles_given: tuple[float, float, float], looks_at: tuple[float, float, float]
) -> None:
    rotation = geometry.rotation_from_euler(*(np.asarray(a, np.float32) for a in angles_given))
    np.testing.assert_allclose(rotation @ [0.0, 0.0, -1.0], looks_at, atol=1e-6)


def test_roll_tilts_clockwise_in_the_image() -> None:
    zero = np.asarray(0, np.float32)
    rotation = geometry.rotation_from_euler(zero, zero, np.asarray(0.3, np.float32))
    top_of_head = rotation @ np.array([0.0, -1.0, 0.0])
    assert top_of_head[0] == pytest.approx(np.sin(0.3), abs=1e-6)


def test_a_direction_has_its_gaze_angles() -> None:
    gaze = np.array([[0.0, 0.0], [0.4, 0.0], [0.0, 0.4], [0.2, -0.3]], np.float32)
    direction = geometry.gaze_direction(gaze)
    np.testing.assert_allclose(np.linalg.norm(direction, axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(direction[0], [0, 0, -1])
    assert direction[1, 0] > 0
    assert direction[2, 1] > 0
