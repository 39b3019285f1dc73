"""Photos lit from one side are evened; what is not light stays."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from likeness.methods.photo.animation import Photo
from likeness.methods.swap.evened import evened
from likeness.store import load_face_model
from likeness.types import Floats, Ints
from tests.methods.swap.classic import photo_of
from tests.stage import film

MODEL = load_face_model()


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Photo:
    """A frame of an actor, evened once already, for they stand in light from the side."""
    shot = film(tmp_path_factory.mktemp("stage"), seed=4, motion=7, count=2)
    return evened(photo_of(shot, 0))


def picture_of(photo: Photo) -> Floats:
    return np.ascontiguousarray(photo.picture.permute(1, 2, 0).numpy())


def changed(photo: Photo, picture: Floats) -> Photo:
    return replace(photo, picture=torch.from_numpy(picture.transpose(2, 0, 1).copy()))


def side(photo: Photo, soft: float) -> Floats:
    """(h,w) from 0 to 1 across the line from the forehead's middle to the chin."""
    points = photo.track.landmarks[0, :, :2]
    top, chin = points[10], points[152]
    across = np.array([chin[1] - top[1], top[0] - chin[0]]) / np.linalg.norm(chin - top)
    h, w = photo.picture.shape[1:]
    ys, xs = np.mgrid[:h, :w] + 0.5
    away = (xs - top[0]) * across[0] + (ys - top[1]) * across[1]
    return np.asarray(np.clip(0.5 + away / soft, 0, 1), np.float32)


def apart(photo: Photo) -> float:
    """Median difference of the cheeks' logarithms of luma between the sides."""
    cheeks: Ints = MODEL.regions["cheeks"]
    luma = cv2.GaussianBlur(picture_of(photo).mean(-1), (0, 0), 1.5)
    points = photo.track.landmarks[0][:, :2]

    def at(vertices: Ints) -> Floats:
        x, y = np.floor(points[MODEL.landmark_vertices[:468][vertices]]).astype(int).T
        return np.asarray(np.log(luma[y, x]))

    twin: Ints = MODEL.regions["twin"]
    return float(np.median(np.abs(at(cheeks) - at(twin[cheeks]))))


@pytest.mark.parametrize("soft", [3.0, 40.0])
def test_a_shadow_on_one_side_is_taken_off(photo: Photo, soft: float) -> None:
    shade = 1 - 0.6 * side(photo, soft)[..., None] * np.array([0.9, 1.0, 1.1], np.float32)
    shaded = changed(photo, picture_of(photo) * shade)
    assert apart(shaded) > apart(photo) + 0.5
    assert apart(evened(shaded)) < apart(photo) + 0.12


def test_even_light_stays_to_the_bit_and_freckles_are_no_light(photo: Photo) -> None:
    h, w = photo.picture.shape[1:]
    picture = np.full((h, w, 3), (0.6, 0.45, 0.4), np.float32)
    for x, y in np.floor(photo.track.landmarks[0, [330, 347, 352, 425], :2]).astype(int):
        picture[y : y + 2, x : x + 2] *= 0.7
    plain = changed(photo, picture)
    assert evened(plain) is plain
    dim = changed(photo, picture * 0.3)
    assert evened(dim) is dim


def test_what_is_far_from_the_face_is_left_alone(photo: Photo) -> None:
    shaded = changed(photo, picture_of(photo) * (1 - 0.6 * side(photo, 3.0))[..., None])
    answer = evened(shaded)
    low, high = photo.track.boxes[0, :2], photo.track.boxes[0, 2:]
    margin = 0.4 * float(high[0] - low[0])
    x0, y0 = np.floor(low - margin).astype(int).clip(0)
    x1, y1 = np.ceil(high + margin).astype(int)
    outside = np.ones(photo.picture.shape[1:], bool)
    outside[y0:y1, x0:x1] = False
    assert outside.mean() > 0.1
    assert torch.equal(answer.picture[:, outside], shaded.picture[:, outside])


def test_hair_over_one_side_of_a_forehead_is_no_shadow(photo: Photo) -> None:
    picture, points = picture_of(photo).copy(), photo.track.landmarks[0, :, :2]
    lock = np.zeros(picture.shape[:2], np.uint8)
    corners = points[[10, 338, 297, 333, 299, 337]]
    cv2.fillConvexPoly(lock, cv2.convexHull(np.round(corners).astype(np.int32)), (1,))
    picture[lock > 0] *= 0.2
    answer = picture_of(evened(changed(photo, picture)))
    bare = points[[109, 67, 69, 108]]
    x, y = np.floor(bare).astype(int).T
    ratio = answer[y, x] / picture[y, x]
    assert np.abs(np.log(ratio)).max() < 0.05


def test_grain_of_a_brightened_shadow_is_calmed(photo: Photo) -> None:
    rng = np.random.default_rng(2)
    shade = side(photo, 3.0)
    noise = rng.normal(0, 0.03, (*shade.shape, 1)).astype(np.float32) * shade[..., None]
    grainy = picture_of(photo) * (1 - 0.7 * shade)[..., None] + noise
    answer = picture_of(evened(changed(photo, grainy.clip(0.01, 1))))

    def rough(picture: Floats) -> float:
        logs = np.log(np.maximum(picture.mean(-1), 0.02)).astype(np.float32)
        points = photo.track.landmarks[0]
        x, y = np.floor(points[[280, 330, 347, 346, 352, 376, 411, 425], :2]).astype(int).T
        there = np.abs(logs - cv2.medianBlur(logs, 5))
        return float(
            np.mean([there[b - 2 : b + 3, a - 2 : a + 3].mean() for a, b in zip(x, y, strict=True)])
        )

    assert rough(answer) < 0.6 * rough(grainy)


def test_a_large_photo_is_evened_like_a_small_one(photo: Photo) -> None:
    shaded = changed(photo, picture_of(photo) * (1 - 0.6 * side(photo, 20.0))[..., None])
    times = 8
    big = cv2.resize(picture_of(shaded), None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)
    track, params = shaded.track, shaded.params
    large = replace(
        changed(shaded, big.clip(0, 1)),
        track=replace(track, landmarks=track.landmarks * times, boxes=track.boxes * times),
        params=replace(params, focal=params.focal * times),
    )
    answer = cv2.resize(picture_of(evened(large)), (128, 128), interpolation=cv2.INTER_AREA)
    apart_now = np.abs(answer - picture_of(evened(shaded)))
    assert apart_now.mean() < 0.01
    assert apart(evened(large)) < apart(photo) + 0.15


def test_a_face_at_the_edge_of_a_photo_is_no_trouble(photo: Photo) -> None:
    picture = picture_of(photo) * (1 - 0.6 * side(photo, 3.0))[..., None]
    cut = int(photo.track.boxes[0, 0] + 0.3 * (photo.track.boxes[0, 2] - photo.track.boxes[0, 0]))
    left = replace(
        changed(photo, picture[:, cut:]),
        track=replace(
            photo.track,
            landmarks=photo.track.landmarks - np.float32([cut, 0, 0]),
            boxes=photo.track.boxes - np.float32([cut, 0, cut, 0]),
        ),
    )
    answer = evened(left)
    assert answer.picture.shape == left.picture.shape
    assert bool(torch.isfinite(answer.picture).all())
