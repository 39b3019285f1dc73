"""Photos that are larger than what is drawn from them, made smaller with their faces."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.actor import Actor, Motion, RenderConfig, truth
from likeness.actor.render import Film
from likeness.errors import ContractError
from likeness.face3d.camera import camera_points, pixels
from likeness.methods.photo.animation import Photo
from likeness.methods.photo.reduced import reduced, to_face
from likeness.store import load_face_model
from likeness.types import FaceTrack

SIZE = (240, 200)


@pytest.fixture(scope="module")
def photo() -> Photo:
    actor, motion = Actor.from_seed(3), Motion.from_seed(5, 1, 1.0)
    known = truth(actor, motion, RenderConfig(SIZE))
    low, high = known.landmarks[:, :, :2].min(1), known.landmarks[:, :, :2].max(1)
    track = FaceTrack(
        start=0,
        boxes=np.concatenate([low, high], 1),
        landmarks=known.landmarks,
        scores=np.ones(1, np.float32),
        observed=np.ones(1, bool),
    )
    picture = Film(actor, motion, RenderConfig(SIZE)).shoot(0).image
    return Photo(picture, track, known.params)


def projected(photo: Photo) -> np.ndarray:
    """(V,2) the fitted face in the photo."""
    params = photo.params
    points = load_face_model(params.model).vertices(params.shape, params.expression)
    seen = camera_points(points, params.rotation, params.translation)
    return pixels(seen, params.focal, tuple(photo.picture.shape[1:]))[0, :, :2]


def test_the_face_shrinks_with_the_picture(photo: Photo) -> None:
    half = reduced(photo, 0.5)
    assert half.picture.shape == (3, 120, 100)
    np.testing.assert_allclose(half.track.landmarks, photo.track.landmarks / 2, rtol=1e-5)
    np.testing.assert_allclose(half.track.boxes, photo.track.boxes / 2, rtol=1e-5)
    np.testing.assert_allclose(projected(half), projected(photo) / 2, atol=1e-3)
    np.testing.assert_array_equal(half.params.translation, photo.params.translation)
    # Nothing is left out between the pixels that remain.
    means = torch.nn.functional.avg_pool2d(photo.picture[None], 2)[0]
    assert float((half.picture - means).abs().mean()) < 0.01
    assert float((half.picture.mean() - photo.picture.mean()).abs()) < 1e-3


def test_sides_of_any_length_keep_points_in_place(photo: Photo) -> None:
    odd = reduced(photo, 0.377)
    assert odd.picture.shape == (3, 90, 75)
    np.testing.assert_allclose(
        odd.track.landmarks[0, :, 1], photo.track.landmarks[0, :, 1] * 90 / 240, rtol=1e-5
    )
    np.testing.assert_allclose(projected(odd), projected(photo) * [75 / 200, 90 / 240], atol=0.1)


def test_what_is_small_enough_stays_itself(photo: Photo) -> None:
    width = float(photo.track.boxes[0, 2] - photo.track.boxes[0, 0])
    assert to_face(photo, width + 1) is photo
    smaller = to_face(photo, width / 2)
    assert float(smaller.track.boxes[0, 2] - smaller.track.boxes[0, 0]) == pytest.approx(
        width / 2, rel=0.01
    )
    with pytest.raises(ContractError, match="expected above 0"):
        reduced(photo, 0.0)
