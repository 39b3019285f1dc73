"""Swaps without training, on actors: identity, truth, windows, refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.actor import Motion
from likeness.composite import composite
from likeness.composite.mask import face_hull
from likeness.errors import BundleError, ConfigError
from likeness.face3d.light import irradiance
from likeness.methods.photo.animation import Photo
from likeness.methods.swap.library import LibraryConfig, LibrarySwapper, open_library
from likeness.methods.swap.match import MatchConfig, gain, mirrored_light, steadiest
from likeness.methods.swap.mesh import MeshConfig, open_mesh, placed
from likeness.methods.swap.method import Swapped
from likeness.methods.swap.photo_views import flipped, shares, source_view, source_views
from likeness.methods.swap.source import photos_bundle
from likeness.methods.swap.surface import FaceSurface
from likeness.methods.swap.warp import open_warp
from likeness.methods.table import METHODS
from likeness.plan.plan import repetition
from likeness.store import load_face_model
from likeness.types import Bundle, Shot
from tests.methods.swap.classic import (
    decibels,
    frames_of,
    photo_of,
    right_answer,
    seen,
    with_face_of,
)
from tests.opened import CPU
from tests.stage import film

SOURCE, TARGET = 6, 8
COUNT = 20
OPEN: dict[str, Callable[..., Swapped]] = {
    "warp": open_warp,
    "mesh": open_mesh,
    "library": open_library,
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    return film(tmp_path_factory.mktemp("target"), TARGET, 9, COUNT)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    return film(tmp_path_factory.mktemp("source"), SOURCE, 5, COUNT)


@pytest.fixture(scope="module")
def surface() -> FaceSurface:
    return FaceSurface.of(load_face_model())


def opened(name: str, photos: list[Photo], target: Shot, **given: Any) -> Swapped:
    bundle = photos_bundle(f"swap.{name}", photos, training={"settings": given})
    return OPEN[name](bundle, repetition(target), CPU)


@pytest.mark.parametrize(("name", "least"), [("warp", 38.0), ("mesh", 28.0), ("library", 33.0)])
def test_a_face_swapped_with_itself_is_itself(name: str, least: float, target: Shot) -> None:
    method = opened(name, [photo_of(target, 6)], target)
    view = seen(method, frames_of(target, [6]), 6)
    face = method.synthesize(view)
    hull = face_hull(view.landmarks, view.crop.size, 0.08)
    where = (face.alpha * hull > 0.5).float()
    assert float(where.mean()) > 0.1
    assert decibels(face.rgb, view.pixels, where) > least


@pytest.mark.parametrize(("name", "better"), [("warp", 0.5), ("mesh", 1.5), ("library", 0.5)])
def test_a_swap_is_nearer_to_the_truth_than_the_untouched_clip(
    name: str, better: float, source: Shot, target: Shot
) -> None:
    rows = [2, 9, 16]
    motion = Motion.from_seed(9, COUNT / 25, style="expressive")
    right, face = right_answer(with_face_of(SOURCE, TARGET), target, motion, rows)
    where = (face > 0.99).float()
    method, frames = opened(name, [photo_of(source, 0)], target), frames_of(target, rows)
    drawn = torch.cat(
        [
            composite(frame, method.synthesize(seen(method, frame, row)))
            for row, frame in zip(rows, frames.split(1), strict=True)
        ]
    )
    assert decibels(drawn, right, where) > decibels(frames, right, where) + better


@pytest.mark.parametrize("name", ["warp", "mesh", "library"])
def test_frames_do_not_depend_on_their_window(name: str, source: Shot, target: Shot) -> None:
    photos = [photo_of(source, row) for row in (0, 7, 15)]
    given = {"choose": "frame"} if name == "library" else {}
    method, frames = opened(name, photos, target, **given), frames_of(target, range(5))
    whole = method.swapper.draw(seen(method, frames, 0))
    for first, stop in ((0, 1), (1, 3), (3, 5)):
        part = method.swapper.draw(seen(method, frames[first:stop], first))
        assert torch.equal(part.rgb, whole.rgb[first:stop])
        assert torch.equal(part.alpha, whole.alpha[first:stop])


def test_eyes_and_open_mouth_stay_the_targets_own(source: Shot, target: Shot) -> None:
    method = opened("warp", [photo_of(source, 0)], target)
    row = int(target.params.column("jawOpen").argmax())
    view = seen(method, frames_of(target, [row]), row)
    face = method.swapper.draw(view)
    for several in ([13, 14], [468], [473]):
        x, y = view.landmarks[0, several, :2].mean(0).astype(int).tolist()
        assert float(face.alpha[0, 0, y, x]) < 0.4
        assert torch.equal(face.rgb[0, :, y, x], view.pixels[0, :, y, x])


def test_a_target_outside_the_picture_is_left_alone(source: Shot, target: Shot) -> None:
    away = replace(target.track, landmarks=target.track.landmarks + np.float32(5000))
    for name in OPEN:
        method = opened(name, [photo_of(source, 0)], target)
        beyond = replace(method.target, shot=replace(target, track=away))
        view = beyond.view(seen(method, frames_of(target, [0]), 0).window, frames_of(target, [0]))
        if name == "mesh":
            continue
        assert float(method.swapper.draw(view).alpha.max()) == 0


def test_the_nearest_of_several_photos_counts_most(
    source: Shot, target: Shot, surface: FaceSurface
) -> None:
    photos = [photo_of(source, row) for row in (0, 17)]
    views = source_views(photos, surface, 60)
    counts = shares(views, source.params, source.track.observed)
    assert np.allclose(counts[:, ::2].sum(1), 1, atol=1e-5)
    assert np.allclose(counts[:, ::2], counts[:, 1::2])
    assert [int(counts[row, ::2].argmax()) for row in (0, 17)] == [0, 1]
    # Nobody was seen: one choice for all, and no division by nothing.
    blind = shares(views, source.params, np.zeros(COUNT, bool))
    assert np.isfinite(blind).all()


def test_a_photo_turned_twice_is_the_photo(source: Shot, surface: FaceSurface) -> None:
    view = source_view(photo_of(source, 3), surface, 60)
    twice = flipped(flipped(view, surface), surface)
    assert np.array_equal(twice.picture, view.picture)
    assert np.allclose(twice.face.places, view.face.places, atol=1e-3)
    assert np.allclose(twice.face.normals, view.face.normals)
    once = flipped(view, surface)
    assert np.allclose(once.face.places[:, 1], view.face.places[surface.mirrored(), 1])


@given(st.lists(st.floats(-1, 1), min_size=30, max_size=30))
@settings(max_examples=25, deadline=None)
def test_mirrored_light_falls_on_mirrored_skin_alike(numbers: list[float]) -> None:
    light = np.array(numbers[:27], np.float32).reshape(9, 3)
    normal = np.array(numbers[27:], np.float32) + np.array([0, 0, -1.5], np.float32)
    normal /= np.linalg.norm(normal)
    other = irradiance(normal * np.array([-1, 1, 1], np.float32), mirrored_light(light))
    assert np.allclose(irradiance(normal, light), other, atol=1e-5)


def test_light_that_is_the_same_changes_nothing() -> None:
    shading = np.random.default_rng(3).uniform(0.2, 1, (50, 3)).astype(np.float32)
    assert np.allclose(gain(shading, shading), 1, atol=1e-5)
    assert np.allclose(gain(2 * shading, shading), 2, atol=1e-5)
    harsh = np.concatenate([shading[:25] * 100, shading[25:]])
    factor = gain(harsh, shading)
    assert float((factor.max(0) / factor.min(0)).max()) < np.exp(2 * 0.7) + 1e-3


@given(st.lists(st.integers(0, 9), min_size=15, max_size=15), st.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_stand_ins_are_changed_as_rarely_as_it_pays(numbers: list[int], change: int) -> None:
    cost = np.array(numbers, np.float32).reshape(5, 3)

    def total(chosen: tuple[int, ...]) -> float:
        own = sum(float(cost[n, k]) for n, k in enumerate(chosen))
        return own + change * sum(a != b for a, b in pairwise(chosen))

    best = min(total(chosen) for chosen in product(range(3), repeat=5))
    assert total(tuple(steadiest(cost, change).tolist())) == pytest.approx(best)


def test_the_library_takes_the_face_that_looks_the_same_way(
    source: Shot, target: Shot, tmp_path_factory: pytest.TempPathFactory
) -> None:
    turned = np.abs(target.params.rotation - target.params.rotation[0]).sum(1).argmax()
    photos = [photo_of(source, 0), photo_of(target, int(turned)), photo_of(target, 0)]
    method = opened("library", photos, target, mirror=False)
    assert isinstance(method.swapper, LibrarySwapper)
    assert [one.photo for one in method.swapper.chosen] != [0]
    second = opened("library", photos, target, mirror=False, rank=2)
    assert isinstance(second.swapper, LibrarySwapper)
    assert [one.photo for one in second.swapper.chosen] == [0]
    each = opened("library", photos, target, mirror=False, choose="frame", match={"change": 0.1})
    assert isinstance(each.swapper, LibrarySwapper)
    assert len(each.swapper.chosen) >= 2


def test_a_face_laid_on_rigidly_brings_its_own_eyes(source: Shot, target: Shot) -> None:
    method = opened("library", [photo_of(source, 0)], target, follow="rigid", mirror=False)
    view = seen(method, frames_of(target, [4]), 4)
    face = method.swapper.draw(view)
    x, y = view.landmarks[0, 468, :2].astype(int).tolist()
    assert float(face.alpha[0, 0, y, x]) > 0.9


def test_a_source_like_the_target_stands_where_the_target_does(
    target: Shot, surface: FaceSurface
) -> None:
    there = placed(surface.model.neutral(target.params.shape), target, surface.model)
    assert np.allclose(there[:, :, :2], np.eye(2), atol=0.03)
    middle = target.track.landmarks[:, :, :2].mean(1)
    moved = (there[:, :, :2] @ middle[..., None])[..., 0] + there[:, :, 2]
    assert np.abs(moved - middle).max() < 1.0


def test_what_cannot_be_done_is_refused_in_words(source: Shot, target: Shot) -> None:
    photo = photo_of(source, 0)
    foreign = replace(photo, params=replace(photo.params, model="basel"))
    for name in OPEN:
        with pytest.raises(BundleError, match="'basel'.*expected the same"):
            opened(name, [foreign], target)
        with pytest.raises(BundleError, match="holds no photos"):
            OPEN[name](Bundle(f"swap.{name}", {}, {}, {}, ""), repetition(target), CPU)
    with pytest.raises(BundleError, match="rank 4 was asked for, the library holds 1"):
        opened("library", [photo], target, rank=4)
    with pytest.raises(ConfigError, match="rank is -1"):
        LibraryConfig(rank=-1)
    with pytest.raises(ConfigError, match=r"turn is 0.0; expected more than 0"):
        MatchConfig(turn=0.0)
    with pytest.raises(ConfigError, match="texels is 8"):
        MeshConfig(texels=8)
    with pytest.raises(ConfigError, match="outline is 2"):
        MeshConfig(outline=2)


def test_they_are_rows_of_the_table() -> None:
    for name, function in OPEN.items():
        recipe = METHODS[f"swap.{name}"]
        assert recipe.open is function
        assert recipe.roles == ("source", "target")
        assert recipe.parts == ()
