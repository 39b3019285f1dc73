"""DeepFaceLab's crops and masks: the mean face lands where it belongs, whatever the head does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness import geometry
from likeness.condition.face_types import (
    EXTENTS,
    FITTED,
    MEAN_FACE,
    SIXTY_EIGHT,
    face_crop,
    feature_mask,
    hull_mask,
    sixty_eight,
    with_raised_brows,
)
from likeness.errors import ContractError
from likeness.types import Shot


def mean_points() -> np.ndarray:
    """(1,68,2) a face of 100 pixels whose inner points are the mean face, jaw on a half circle."""
    points = np.zeros((1, 68, 2))
    points[0, list(FITTED)] = MEAN_FACE * 100
    angle = np.linspace(np.pi, 0, 17)
    points[0, :17] = np.stack([49 + 60 * np.cos(angle), 30 + 80 * np.sin(angle)], 1)
    for index in range(48, 68):
        if index not in FITTED:
            points[0, index] = (49, 78)
    return points


@pytest.mark.parametrize(
    ("face_type", "side", "rise"),
    [
        ("half", 1.0, 0),
        ("mid_full", 1.1909, 0),
        ("full", 1.5966, 0),
        ("whole_face", 2.1314, 0.07),
        ("head", 2.9799, 0.5),
    ],
)
def test_extents_are_deepfacelabs(face_type: str, side: float, rise: float) -> None:
    assert EXTENTS[face_type].side == pytest.approx(side, abs=1e-4)
    crop = face_crop(mean_points() + 0.5, face_type, 256)  # type: ignore[arg-type]
    # The unit square's middle lies below the crop's by the rise, in crops that count from corners.
    middle = geometry.apply(crop.crop_from_frame[0], np.array([[50.5, 50.5]]))[0]
    scale = 256 / side
    np.testing.assert_allclose(middle, [128.5, 128.5 + rise * scale], atol=0.02)
    np.testing.assert_allclose(crop.crop_from_frame[0, 0, 0], scale / 100, rtol=1e-3)


@settings(max_examples=25, deadline=None)
@given(
    angle=st.floats(-3, 3), scale=st.floats(0.3, 8), x=st.floats(-50, 900), y=st.floats(-50, 900)
)
def test_crops_follow_the_face(angle: float, scale: float, x: float, y: float) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = mean_points() @ turn.T + [x, y]
    still, found = (face_crop(points, "full", 128) for points in (mean_points(), moved))
    there = geometry.apply(found.crop_from_frame.astype(np.float64), moved)
    here = geometry.apply(still.crop_from_frame.astype(np.float64), mean_points())
    np.testing.assert_allclose(there, here, atol=0.05)


def test_widened_crops_have_the_same_middle() -> None:
    points = mean_points()
    one, wide = (face_crop(points, "whole_face", 100, widen) for widen in (1.0, 1.5))
    corner = geometry.apply(geometry.invert(one.crop_from_frame), np.array([[50.5, 50.5]]))
    np.testing.assert_allclose(
        geometry.apply(wide.crop_from_frame, corner), [[[50.5, 50.5]]], atol=1e-3
    )
    ratio = one.crop_from_frame[0, 0, 0] / wide.crop_from_frame[0, 0, 0]
    assert ratio == pytest.approx(1.5, rel=1e-5)


def test_the_trackers_points_stand_where_the_mean_face_has_them(actor_shot: Shot) -> None:
    points = sixty_eight(actor_shot.track.landmarks)
    crop = face_crop(points, "half", 100)
    laid = geometry.apply(crop.crop_from_frame, points)[:, list(FITTED)] - 0.5
    # An actor is another person than the mean, and turns: by a few hundredths of the square.
    assert np.linalg.norm(laid - 100 * MEAN_FACE, axis=-1).mean() < 7
    assert len(SIXTY_EIGHT) == 68
    # Twins stand on either side, and the nose between them.
    assert (points[:, 36, 0] < points[:, 27, 0]).all()
    assert (points[:, 27, 0] < points[:, 45, 0]).all()


def test_the_hull_holds_the_face_and_the_brows() -> None:
    points = mean_points() * 0.8 + 40
    mask = hull_mask(points, 160)[0, 0]
    assert mask.shape == (160, 160)
    for x, y in points[0, [8, 27, 30, 33, 57]] + [0, -3]:
        assert mask[int(y), int(x)] == 1
    assert mask[:8].max() == mask[:, :8].max() == 0
    plain, high = (hull_mask(points, 160, brows).sum() for brows in (0.0, 1.0))
    assert high > plain * 1.05
    # Convex shapes: on the way from chin to nose there is no hole.
    assert (mask[60:100, 79] == 1).all()


def test_brows_move_up_and_the_rest_stays() -> None:
    points = mean_points()
    raised = with_raised_brows(points)
    brows = list(range(17, 27))
    assert (raised[0, brows, 1] < points[0, brows, 1]).all()
    rest = [i for i in range(68) if i not in brows]
    np.testing.assert_array_equal(raised[0, rest], points[0, rest])
    # Written out for the first point: half of how far it stands above the eye's half-way line.
    line = (points[0, 17] + points[0, 36]) / 2
    expected = points[0, 17] + 0.5 * (points[0, 17] - line)
    np.testing.assert_allclose(raised[0, 17], expected)


def test_features_are_eyes_and_mouth() -> None:
    points = mean_points() * 0.8 + 40
    points[0, 48:60] = [[79 + 20 * np.cos(a), 105 + 8 * np.sin(a)] for a in np.arange(12) * 0.5236]
    mask = feature_mask(points, 160)[0, 0]
    for group in (range(36, 42), range(42, 48), range(48, 60)):
        x, y = points[0, list(group)].mean(0)
        assert mask[int(y), int(x)] > 0.9
    nose = points[0, 30]
    assert mask[int(nose[1]), int(nose[0])] < 0.2
    assert mask[0].max() == 0


def test_points_of_another_shape_are_refused() -> None:
    with pytest.raises(ContractError, match=r"expected \(N, 68, 2\)"):
        face_crop(np.zeros((1, 5, 2)), "full", 64)
