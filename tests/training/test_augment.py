"""Keyframes that are turned while a portrait is trained."""

import numpy as np
import torch

from likeness import geometry
from likeness.condition.gallery import turned
from likeness.training.augment import random_turns


def test_turned_pictures_and_turned_places_agree() -> None:
    random = np.random.default_rng(2)
    turns = random_turns(random, 8, 2, 64, share=1.0)[:, 0]
    places = random.uniform(22, 42, (8, 2)).astype(np.float32)
    ys, xs = np.mgrid[:64, :64].astype(np.float32) + 0.5
    spots = [np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 18) for x, y in places]
    moved = turned(torch.from_numpy(np.stack(spots)[:, None].astype(np.float32)), turns)[:, 0]
    weight = moved / moved.sum((1, 2), keepdim=True)
    centers = np.stack(
        [(weight * torch.from_numpy(xs)).sum((1, 2)), (weight * torch.from_numpy(ys)).sum((1, 2))],
        1,
    )
    expected = geometry.apply(turns, places[:, None])[:, 0]
    assert np.abs(centers - expected).max() < 0.1
    assert np.abs(expected - places).max() > 1


def test_bodies_and_samples_beyond_the_share_stay() -> None:
    still = np.broadcast_to(np.eye(2, 3, dtype=np.float32), (400, 5, 2, 3))
    turns = random_turns(np.random.default_rng(0), 400, 5, 256, share=0.25)
    assert np.allclose(turns[:, -1], still[:, -1], atol=1e-4)
    moved = np.abs(turns - still).max((1, 2, 3)) > 1e-3
    assert 60 < moved.sum() < 140
    none = random_turns(np.random.default_rng(0), 400, 5, 256, share=0.0)
    assert np.allclose(none, still, atol=1e-4)


def test_turns_are_small_and_drawn_from_the_seed() -> None:
    one, two = (random_turns(np.random.default_rng(7), 50, 5, 256, 1.0) for _ in range(2))
    assert np.array_equal(one, two)
    growth = np.hypot(one[..., 0, 0], one[..., 1, 0])
    assert 0.85 < growth.min() < growth.max() < 1.16
    middle = geometry.apply(one, np.full((1, 1, 1, 2), 128, np.float32))
    assert np.abs(middle - 128).max() < 0.09 * 256
