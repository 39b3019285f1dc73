"""Alignment: least squares as Umeyama's, templates within their crops, dlib's own geometry."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.optimize import minimize

from likeness import geometry
from likeness.condition.align import (
    TEMPLATES,
    TURNED,
    aligned_crop,
    aligned_to_best,
    points_of,
    similarity,
)
from likeness.condition.chip import cut_chips
from likeness.errors import ContractError
from likeness.types import Crop, Floats

DLIB = TEMPLATES["dlib_150"]
ALL = pytest.mark.parametrize("name", TEMPLATES)


def laid(
    name: str, scale: float = 1.0, angle: float = 0.0, at: tuple[float, float] = (0, 0)
) -> Floats:
    """(1,478,3) landmarks whose template points lie exactly in place, turned and moved."""
    template = TEMPLATES[name]
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = np.zeros((1, 478, 3), np.float32)
    for point, several in zip(template.points, template.landmarks, strict=True):
        landmarks[0, list(several), :2] = turn @ point + at
    return landmarks


def test_a_known_similarity_is_found() -> None:
    random = np.random.default_rng(0)
    points = random.uniform(0, 100, (4, 5, 2))
    linear = np.array([[0.6, -0.8], [0.8, 0.6]]) * 1.7
    found = similarity(points, points @ linear.T + (3, -5))
    np.testing.assert_allclose(found[:, :, :2], np.broadcast_to(linear, (4, 2, 2)), atol=1e-9)
    np.testing.assert_allclose(found[:, :, 2], [[3, -5]] * 4, atol=1e-7)


@given(st.integers(0, 1000))
def test_no_other_similarity_has_a_smaller_error(seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.uniform(-50, 50, (2, 5, 2))

    def error(x: np.ndarray) -> float:
        matrix = np.array([[x[0], -x[1], x[2]], [x[1], x[0], x[3]]])
        return float(((geometry.apply(matrix, a) - b) ** 2).sum())

    found = similarity(a, b)[0]
    mine = error(np.array([found[0, 0], found[1, 0], *found[:, 2]]))
    assert mine <= minimize(error, [1.0, 0.0, 0.0, 0.0]).fun + 1e-4


def test_mirrored_points_are_still_turned_and_not_mirrored() -> None:
    points = np.random.default_rng(1).uniform(0, 9, (1, 5, 2))
    found = similarity(points, points * (-1, 1))
    assert np.linalg.det(found[0, :, :2]) > 0


@ALL
def test_templates_lie_in_their_crops_as_faces_do(name: str) -> None:
    template = TEMPLATES[name]
    points = np.array(template.points)
    assert len(points) == len(template.landmarks)
    assert points.min() > 0
    assert points.max() < template.size
    named = [index for several in template.landmarks for index in several]
    assert 0 <= min(named) <= max(named) < 478
    nose = points[4 if template.dlib else 2]
    eyes = points[:4] if template.dlib else points[:2]
    assert nose[1] > eyes[:, 1].max()
    assert eyes[:, 0].min() < nose[0] < eyes[:, 0].max()


@ALL
def test_landmarks_in_place_leave_the_frame_as_it_is(name: str) -> None:
    crop = aligned_crop(laid(name), TEMPLATES[name])
    assert crop.size == (TEMPLATES[name].size,) * 2
    np.testing.assert_allclose(crop.crop_from_frame[0], [[1, 0, 0], [0, 1, 0]], atol=1e-4)


@ALL
def test_turned_faces_are_turned_back(name: str) -> None:
    landmarks = np.concatenate([laid(name, 2.0, 0.5, (40, 70)), laid(name, 0.7, -0.3, (5, 9))])
    crop = aligned_crop(landmarks, TEMPLATES[name])
    found = geometry.apply(crop.crop_from_frame, points_of(landmarks, TEMPLATES[name]))
    # dlib's crops are a pixel wider or narrower: see docs/identity.md.
    tolerance = 1.0 if TEMPLATES[name].dlib else 1e-3
    np.testing.assert_allclose(found[0], TEMPLATES[name].points, atol=tolerance)
    np.testing.assert_allclose(found[1], TEMPLATES[name].points, atol=tolerance)


def test_known_numbers_of_published_templates() -> None:
    # Published for OpenCV, whose first pixel has its center at (0, 0).
    arcface = np.array(TEMPLATES["arcface_112"].points)
    np.testing.assert_allclose(arcface[0], (38.7946, 52.1963))
    shares = {
        "arcface_128": (0, (0.36168, 0.40388)),
        "simswap_224": (2, (0.50000, 0.61154)),
        "ffhq_512": (4, (0.61150, 0.72490)),
    }
    for name, (index, share) in shares.items():
        found = (np.array(TEMPLATES[name].points[index]) - 0.5) / TEMPLATES[name].size
        np.testing.assert_allclose(found, share, atol=1e-5)


def test_points_in_one_place_are_refused() -> None:
    for bad in (np.zeros((1, 478, 3), np.float32), np.full((1, 478, 3), np.nan, np.float32)):
        with pytest.raises(ContractError, match="expected a face"):
            aligned_crop(bad, DLIB)


def test_no_frames_are_no_crops() -> None:
    crop = aligned_crop(np.zeros((0, 478, 3), np.float32), DLIB)
    assert len(crop) == 0
    assert cut_chips(torch.zeros(0, 3, 20, 20), crop).shape == (0, 3, 150, 150)


def chip_like(points: np.ndarray) -> Crop:
    """The crop of five points in dlib's order, whole pixels counted from the first one's center."""
    landmarks = np.zeros((1, 478, 3), np.float32)
    for place, several in zip(points, DLIB.landmarks, strict=True):
        landmarks[0, list(several), :2] = place + 0.5
    return aligned_crop(landmarks, DLIB)


FACES = {
    "as large as the chip": (300, 400, 1.0, 0.0, (60, 50)),
    "smaller": (200, 180, 0.55, 0.1, (40, 40)),
    "turned": (420, 400, 1.45, -0.6, (60, 160)),
    "halved once": (700, 640, 2.9, 0.3, (120, 20)),
    "halved twice": (1000, 1100, 5.0, -0.1, (90, 170)),
    "over the edge": (260, 260, 1.3, 0.2, (-20, -60)),
}


@pytest.mark.parametrize("case", FACES)
def test_chips_are_dlib_s(case: str) -> None:
    dlib: ModuleType = pytest.importorskip("dlib", reason="dlib-bin is not installed")
    height, width, scale, angle, at = FACES[case]
    random = np.random.default_rng(3)
    small = random.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    picture = np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = np.round(np.array(DLIB.points) @ turn.T + at + random.normal(0, scale, (5, 2)))
    parts = [dlib.point(int(x), int(y)) for x, y in points]
    shape = dlib.full_object_detection(dlib.rectangle(0, 0, width, height), parts)
    expected = dlib.get_face_chip(picture, shape, size=150, padding=0.25)
    frame = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
    found = cut_chips(frame, chip_like(points))[0].permute(1, 2, 0).numpy() * 255
    off = np.abs(found - expected)
    # Now and then a value just below a whole level falls to the other side of it.
    assert off.max() < 1.01
    assert (off > 0.01).mean() < 2e-3


def test_gradients_pass_through_chips() -> None:
    for scale in (0.8, 3.0):
        side = int(200 * scale)
        frame = torch.rand(1, 3, side, side, requires_grad=True)
        chip = cut_chips(frame, aligned_crop(laid("dlib_150", scale), DLIB))
        chip.sum().backward()
        assert frame.grad is not None
        middle = frame.grad[0, :, side // 4 : side // 2, side // 4 : side // 2]
        # A pixel of the frame is so much of a pixel of the chip.
        assert float(middle.mean()) == pytest.approx(1 / scale**2, rel=0.05)


def test_chips_beyond_the_frame_are_black() -> None:
    frame = torch.ones(1, 3, 60, 60)
    assert not cut_chips(frame, aligned_crop(laid("dlib_150", at=(500, 500)), DLIB)).any()
    tiny = aligned_crop(laid("dlib_150", 20.0), DLIB)
    assert not cut_chips(frame, tiny).any()


def test_other_numbers_of_frames_are_refused() -> None:
    with pytest.raises(ContractError, match="2 frames for 1 crops"):
        cut_chips(torch.zeros(2, 3, 60, 60), aligned_crop(laid("dlib_150"), DLIB))


def test_a_template_is_data() -> None:
    larger = replace(DLIB, size=300, points=tuple((2 * x, 2 * y) for x, y in DLIB.points))
    crop = aligned_crop(laid("dlib_150"), larger)
    assert crop.crop_from_frame[0, 0, 0] == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize("name", TURNED)
def test_turned_faces_are_laid_onto_the_template_that_fits(name: str) -> None:
    """Landmarks that lie as one template has them, turned and scaled, choose it."""
    candidates = [TEMPLATES["simswap_224"], *TURNED.values()]
    chosen = TURNED[name]
    landmarks = np.zeros((2, 478, 2), np.float32)
    turn = 0.7 * np.array([[0.96, -0.28], [0.28, 0.96]])
    for point, several in zip(chosen.points, chosen.landmarks, strict=True):
        landmarks[:, list(several)] = turn @ np.array(point) + (30, 11)
    for point, several in zip(candidates[0].points, candidates[0].landmarks, strict=True):
        landmarks[1, list(several)] = point
    crop = aligned_to_best(landmarks, candidates)
    both = [aligned_crop(landmarks, one).crop_from_frame for one in (chosen, candidates[0])]
    np.testing.assert_allclose(crop.crop_from_frame[0], both[0][0], atol=1e-4)
    np.testing.assert_allclose(crop.crop_from_frame[1], both[1][1], atol=1e-4)
