"""A source's fringe stays behind, skin is made up over the target's brows, its own come along."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from likeness.face3d.model import FaceModel
from likeness.methods.swap.skin import BROWS, clear_of_fringe, skin_likeness, without_brows
from likeness.store import load_face_model
from likeness.types import Bools, Floats

SIDE = 256
SKIN, HAIR, BROW = (0.75, 0.58, 0.48), (0.16, 0.10, 0.06), (0.30, 0.20, 0.14)


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_face_model()


@pytest.fixture(scope="module")
def places(model: FaceModel) -> Floats:
    """Vertices of a face from the front that fills most of a picture."""
    flat = model.mean[:, :2] - model.mean[:, :2].min(0)
    return np.asarray(flat * (0.8 * SIDE / flat.max()) + 0.1 * SIDE, np.float32)


def zone(places: Floats, model: FaceModel) -> Bools:
    """(h,w) where brows are."""
    flat = np.zeros((SIDE, SIDE), np.uint8)
    for name in BROWS:
        hull = cv2.convexHull(places[model.regions[name]])
        cv2.fillConvexPoly(flat, np.round(hull).astype(np.int32), (1,))
    return flat > 0


def drawn(places: Floats, model: FaceModel) -> tuple[Floats, int]:
    """A face with brows and a fringe that ends in strands just above them; also its lowest row."""
    picture = np.tile(np.array(SKIN, np.float32), (SIDE, SIDE, 1))
    picture[zone(places, model)] = BROW
    top = int(places[np.concatenate([model.regions[name] for name in BROWS]), 1].min())
    picture[: top - 6] = HAIR
    picture[top - 6 : top - 1, ::4] = HAIR
    return cv2.GaussianBlur(picture, (0, 0), 0.8), top


def test_a_fringe_stays_behind_with_its_strands_but_brows_come_along(
    model: FaceModel, places: Floats
) -> None:
    picture, top = drawn(places, model)
    likely = skin_likeness(picture, places, model)
    clear = clear_of_fringe(likely, places, model)
    brows = cv2.erode(zone(places, model).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert likely[top - 5 : top - 2].mean() > 0.3  # the strands alone are taken for skin
    assert clear[top - 5 : top - 2].mean() < 0.15
    assert clear[brows].mean() > 0.9
    assert clear[int(places[:, 1].mean()) + 20 :].min() > 0.99


def test_background_beside_the_cheeks_moves_nothing(model: FaceModel, places: Floats) -> None:
    likely = np.ones((SIDE, SIDE), np.float32)
    likely[int(places[:, 1].mean()) :, : SIDE // 4] = 0
    assert np.array_equal(clear_of_fringe(likely, places, model), likely)


def test_skin_is_made_up_from_skin_and_not_from_brows(model: FaceModel, places: Floats) -> None:
    picture, _ = drawn(places, model)
    clear = clear_of_fringe(skin_likeness(picture, places, model), places, model)
    # The target's brows lie higher, under the fringe.
    target = places.copy()
    for name in BROWS:
        target[model.regions[name], 1] -= 14
    hidden = zone(target, model) & ~zone(places, model) & (clear < 0.05)
    assert hidden.sum() > 100
    filled, skin = without_brows(picture.copy(), clear.copy(), places, target, model)
    assert skin[hidden].min() > 0.8
    assert np.abs(filled[hidden] - np.array(SKIN)).mean() < 0.06
