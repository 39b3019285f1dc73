"""One actor's face on another who does the same: the first one's own film is the right answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from likeness.composite import composite
from likeness.composite.finish import FinishConfig
from likeness.decode import Decoder
from likeness.errors import BundleError
from likeness.methods.swap.method import Swapped
from likeness.methods.swap.outline import Outline, facing_alike, tracked_vertices
from likeness.methods.swap.photo import PhotoSwapConfig, performed, photo_swapper
from likeness.methods.swap.photos import photos_in
from likeness.methods.swap.portrait import around
from likeness.methods.swap.skin import skin_likeness
from likeness.methods.swap.source import photos_bundle, photos_of
from likeness.methods.swap.view import Swapper, SwapTarget
from likeness.metrics.image import psnr
from likeness.metrics.regions import face_hull
from likeness.store import load_face_model
from likeness.types import Bundle, Shot, Window
from tests.stage import film

SECONDS = np.arange(48, dtype=np.float32) / 25


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    """Another actor doing what `actor_shot` does."""
    return film(tmp_path_factory.mktemp("other"), seed=8)


def read(shot: Shot, window: Window) -> torch.Tensor:
    with Decoder(shot.clip) as decoder:
        return decoder.read(window)


def method(swapper: Swapper, target: Shot, config: FinishConfig | None = None) -> Swapped:
    return Swapped(swapper, SwapTarget.of(target, SECONDS), config or FinishConfig())


def painted(made: Swapped, target: Shot, window: Window) -> torch.Tensor:
    frames = read(target, window)
    return composite(frames, made.synthesize(made.condition(window, frames)))


@pytest.fixture(scope="module")
def swap(actor_shot: Shot, other: Shot) -> Swapped:
    """The face of `actor_shot`, from its own photos, on the other actor."""
    return method(photo_swapper(photos_in(actor_shot, 2), other, PhotoSwapConfig()), other)


def test_the_result_shows_the_source(swap: Swapped, actor_shot: Shot, other: Shot) -> None:
    window = Window(10, 14)
    # The truth has the source's own skin: its color is not to be matched to the target's.
    own = method(swap.swapper, other, FinishConfig(color="none"))
    result, truth = painted(own, other, window), read(actor_shot, window)
    before = read(other, window)
    # The inner face: outline and hair stay the target's.
    inner = other.track.landmarks[10:14, :, :2].mean(1, keepdims=True)
    shrunk = inner + 0.7 * (other.track.landmarks[10:14, :, :2] - inner)
    mask = face_hull(shrunk.astype(np.float32), (128, 128))
    ours = float(psnr(result, truth, mask).mean())
    untouched = float(psnr(before, truth, mask).mean())
    assert ours > untouched + 2, (ours, untouched)


def test_what_is_around_the_face_stays_bit_for_bit(swap: Swapped, other: Shot) -> None:
    window = Window(20, 22)
    result, before = painted(swap, other, window), read(other, window)
    changed = (result != before).any(1)
    box = other.track.boxes[20:22]
    for n in range(2):
        rows, columns = torch.nonzero(changed[n]).T
        grown = 0.2 * (box[n, 2] - box[n, 0])
        assert columns.min() >= box[n, 0] - grown
        assert columns.max() <= box[n, 2] + grown
        assert rows.max() <= box[n, 3] + grown
    assert changed.any()


def test_a_frame_is_the_same_in_any_window(swap: Swapped, other: Shot) -> None:
    whole = painted(swap, other, Window(4, 8))
    parts = torch.cat([painted(swap, other, Window(4, 5)), painted(swap, other, Window(5, 8))])
    assert torch.equal(whole, parts)


def test_ones_own_photo_changes_little(actor_shot: Shot) -> None:
    made = method(
        photo_swapper(photos_in(actor_shot, 1), actor_shot, PhotoSwapConfig()), actor_shot
    )
    window = Window(0, 2)
    result, truth = painted(made, actor_shot, window), read(actor_shot, window)
    mask = face_hull(actor_shot.track.landmarks[:2, :, :2], (128, 128))
    assert float(psnr(result, truth, mask).mean()) > 24


def test_the_photos_expression_is_taken_off(actor_shot: Shot) -> None:
    photo = photos_in(actor_shot, 1)[0]
    motion = performed(photo.params, actor_shot, PhotoSwapConfig())
    kept = ~np.array([name.startswith("eyeBlink") for name in photo.params.expression_names])
    shown = photo.params.expression[0] + motion.expression
    assert np.abs(shown - actor_shot.params.expression)[:, kept].max() < 1e-5


def test_heads_are_seen_from_the_same_side_elsewhere() -> None:
    rotation, ahead = np.zeros((1, 3), np.float32), np.array([0, 0, 500], np.float32)
    beside = np.array([[200, 0, 500]], np.float32)
    turned = facing_alike(rotation, beside, ahead)
    # A head on the right that looks along the camera's axis is seen from its image-left side.
    assert np.degrees(turned[0]) == pytest.approx(
        [0, -np.degrees(np.arctan2(200, 500)), 0], abs=1e-3
    )
    assert facing_alike(rotation, ahead[None], ahead)[0] == pytest.approx([0, 0, 0], abs=1e-6)


def test_an_outline_becomes_the_targets_and_features_keep_their_places(actor_shot: Shot) -> None:
    model = load_face_model()
    outline = Outline(model)
    source = model.mean[:, :2].astype(np.float32)
    target = tracked_vertices(actor_shot.track.landmarks[0], model)
    placed, matrix = outline.onto(source, target)
    oval, tip = model.regions["face_oval"], model.regions["rigid"][0]
    # A little beyond it, so that the source's edge, which is half background, is cut off.
    beyond = target[oval] - target[oval].mean(0)
    assert np.abs(placed[oval] - target[oval].mean(0) - 1.05 * beyond).max() < 1e-3
    assert outline.share[tip] == 0
    expected = source @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(placed[tip] - expected[tip]).max() < 1e-3


def test_skin_is_told_in_a_part_as_in_the_whole(actor_shot: Shot) -> None:
    """What a swap by portrait is laid in holds the face, and what looks at its surroundings."""
    model = load_face_model(actor_shot.params.model)
    places = tracked_vertices(actor_shot.track.landmarks[12], model)
    frame = read(actor_shot, Window(12, 13))[0].permute(1, 2, 0).numpy()
    large = cv2.resize(frame, None, fx=3, fy=3)
    size = (large.shape[0] // 8 * 8, large.shape[1] // 8 * 8)
    large, places = np.ascontiguousarray(large[: size[0], : size[1]]), places * 3
    rows, columns = box = around(places, size)
    assert (rows.stop - rows.start) * (columns.stop - columns.start) < 0.6 * size[0] * size[1]
    corner = np.array([columns.start, rows.start], np.float32)
    whole = skin_likeness(large, places, model)
    part = skin_likeness(np.ascontiguousarray(large[box]), places - corner, model)
    assert whole[box].min() < 0.5
    inner = np.s_[8:-8, 8:-8]
    np.testing.assert_allclose(part[inner], whole[box][inner], atol=2e-3)
    assert around(places + 10000, size) is None


def test_a_fringe_and_the_strands_in_which_it_ends_stay_behind(other: Shot, tmp_path: Path) -> None:
    photo = photos_in(film(tmp_path, seed=4, motion=7), 1)[0]
    points = photo.track.landmarks[0, :, :2]
    top, brows = points[[109, 10, 338]].mean(0), points[[66, 9, 296]].mean(0)
    fringe = np.zeros(photo.picture.shape[1:], np.uint8)
    corners = np.concatenate([points[[103, 109, 10, 338, 332]], [(2 * brows + top) / 3]])
    cv2.fillConvexPoly(fringe, cv2.convexHull(np.round(corners).astype(np.int32)), (1,))
    picture = photo.picture.clone()
    picture[:, torch.from_numpy(fringe) > 0] *= 0.15
    window = Window(10, 11)
    shown = []
    for one in (photo, replace(photo, picture=picture)):
        made = method(photo_swapper([one], other, PhotoSwapConfig()), other)
        view = made.condition(window, read(other, window))
        alpha = made.swapper.draw(view).alpha[0, 0]
        x, y = np.floor(view.landmarks[0, [10, 151, 9, 1, 152], :2]).astype(int).T
        shown.append(alpha[y, x])
    bare, hidden = shown
    assert bare.min() > 0.9
    assert hidden[:2].max() < 0.1
    assert hidden[2:].min() > 0.6


def test_photos_travel_as_a_bundle(actor_shot: Shot) -> None:
    photos = photos_in(actor_shot, 3)
    found = photos_of(photos_bundle("swap.photo", photos))
    assert len(found) == len(photos) > 1
    for one, other in zip(photos, found, strict=True):
        assert torch.equal(one.picture, other.picture)
        assert np.array_equal(one.track.landmarks, other.track.landmarks)
        assert np.array_equal(one.params.expression, other.params.expression)
        assert one.params.focal == other.params.focal
    with pytest.raises(BundleError, match="holds no photos"):
        photos_of(Bundle("swap.photo", {}, {}, {}, ""))


def test_photos_of_a_clip_are_turned_differently(actor_shot: Shot, tmp_path: Path) -> None:
    rows = [photo.track.start for photo in photos_in(actor_shot, 5)]
    assert len(set(rows)) == len(rows)
