from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from likeness.synthesize.mouth_texture import (
    high_pass,
    nearest_weights,
    overlay,
    sharpen,
    teeth_mask,
    weighted_median,
)


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=9), st.integers(0, 8))
def test_one_weight_above_half_decides(values: list[float], heavy: int) -> None:
    heavy %= len(values)
    weights = torch.full((len(values),), 0.4 / len(values))
    weights[heavy] = 0.7
    assert weighted_median(torch.tensor(values), weights) == values[heavy]


def test_equal_weights_give_the_median() -> None:
    values = torch.tensor([[5.0, 1.0], [1.0, 2.0], [3.0, 9.0]])
    assert weighted_median(values, torch.ones(3, 1)).tolist() == [3.0, 2.0]


@given(st.integers(0, 50), st.integers(2, 30))
def test_the_nearest_hold_their_share(seed: int, count: int) -> None:
    distances = np.random.default_rng(seed).uniform(1, 20, 200)
    order, weights = nearest_weights(distances, count)
    assert np.array_equal(order, np.argsort(distances)[:count])
    assert weights.sum() == pytest.approx(1, abs=1e-5)
    assert (np.diff(weights) <= 1e-7).all()
    # Recover sigma from the answer and weigh all candidates with it.
    gap = distances[order[-1]] - distances[order[0]]
    rate = float(np.log(weights[0] / weights[-1])) / gap
    everything = np.exp(-rate * (distances - distances.min()))
    assert everything[order].sum() / everything.sum() == pytest.approx(0.9, abs=1e-3)


def test_teeth_are_bright_pale_and_between_the_lips() -> None:
    picture = torch.tensor([0.6, 0.15, 0.15]).view(1, 3, 1, 1).repeat(1, 1, 24, 24)
    picture[:, :, 8:16, 4:12] = 0.8
    picture[:, :, 8:16, 16:20] = 0.05
    between = torch.zeros(1, 1, 24, 24)
    between[..., 6:18, 8:22] = 1
    found = teeth_mask(picture, between)[0, 0]
    assert found[11:13, 9:11].min() > 0.8
    assert found[11, 5] < 0.05
    assert found[11, 18] < 0.05


def test_grey_detail_changes_nothing_and_detail_is_laid_over() -> None:
    flat = torch.full((1, 3, 16, 16), 0.6)
    torch.testing.assert_close(overlay(flat, high_pass(flat, 2.0)), flat, atol=1e-5, rtol=0)
    edge = flat.clone()
    edge[..., 8:] = 0.8
    assert overlay(flat, high_pass(edge, 2.0)).std() > 0.02


def test_sharpening_raises_contrast_at_edges_only() -> None:
    picture = torch.full((1, 3, 16, 16), 0.3)
    picture[..., 8:] = 0.6
    sharp = sharpen(picture)
    assert sharp[0, 0, 8, 7] < 0.3 < 0.6 < sharp[0, 0, 8, 8]
    torch.testing.assert_close(sharp[..., :3], picture[..., :3], atol=1e-4, rtol=0)
