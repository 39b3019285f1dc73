"""Pairing of videos that differ in rate, length and size."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from likeness.decode import open_clip
from likeness.errors import MediaError
from likeness.metrics.aligned import common_size, match_frames, seconds, stream_pairs
from likeness.types import Clip


@pytest.fixture(scope="module")
def clips(make_clip, frames, tmp_path_factory):
    """25 fps of 20 frames, the same at 50 fps with each frame twice, and at half the size."""
    folder = tmp_path_factory.mktemp("pairs")
    pictures = frames(20, (64, 96))
    twice = np.repeat(pictures, 2, 0)
    return {
        "plain": open_clip(make_clip(folder / "plain.mp4", pictures)),
        "double": open_clip(
            make_clip(folder / "double.mp4", twice, time_base=Fraction(1, 50), pts=range(40))
        ),
        "small": open_clip(make_clip(folder / "small.mp4", pictures[:13, ::2, ::2])),
        "tall": open_clip(make_clip(folder / "tall.mp4", frames(4, (96, 64)))),
    }


def test_equal_timing_pairs_one_to_one(clips):
    for found in match_frames(clips["plain"], clips["plain"]):
        assert found.tolist() == list(range(20))


def test_the_slower_clip_leads(clips):
    slow, fast = match_frames(clips["plain"], clips["double"])
    assert slow.tolist() == list(range(20))
    assert fast.tolist() == list(range(0, 40, 2))
    fast, slow = match_frames(clips["double"], clips["plain"])
    assert (len(fast), slow[-1]) == (20, 19)


def test_a_longer_tail_has_no_partner(clips):
    one, other = match_frames(clips["small"], clips["plain"])
    assert one.tolist() == other.tolist() == list(range(13))


@given(
    counts=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    rates=st.tuples(*[st.sampled_from([24, 25, 30, 50])] * 2),
)
def test_partners_are_near_in_time_and_in_order(counts, rates, clips):
    one, other = (
        replace(
            clips["plain"],
            pts=np.arange(count, dtype=np.int64),
            time_base=Fraction(1, rate),
            last_duration=1,
        )
        for count, rate in zip(counts, rates, strict=True)
    )
    first, second = match_frames(one, other)
    assert len(first) == len(second) >= 1
    assert (np.diff(first) >= 0).all()
    assert (np.diff(second) >= 0).all()
    apart = np.abs(seconds(one)[first] - seconds(other)[second])
    # Half a frame of the faster clip; a whole one where that clip has just ended.
    assert apart.max() <= 1 / max(rates) + 1e-9


def test_the_larger_is_shrunk(clips):
    pair = clips["plain"], clips["small"]
    assert common_size(*pair) == (32, 48)
    steps = list(stream_pairs(pair, match_frames(*pair), 5))
    assert [len(one) for one, _ in steps] == [5, 5, 3]
    one, other = (torch.cat([step[side] for step in steps]) for side in (0, 1))
    assert one.shape == other.shape == (13, 3, 32, 48)
    # The bar that tells a frame's number stands at the same place, give or take a pixel.
    places = [pictures[:, 1, 4].argmax(-1) for pictures in (one, other)]
    assert (places[0] - places[1]).abs().max() <= 2
    assert places[0][12] - places[0][0] == pytest.approx(18, abs=2)


def test_other_shapes_are_refused(clips):
    with pytest.raises(MediaError, match=r"plain.mp4 shows 96x64, tall.mp4 64x96"):
        common_size(clips["plain"], clips["tall"])


def test_seconds_start_at_zero(clips: dict[str, Clip]):
    late = replace(clips["plain"], pts=clips["plain"].pts + 1000)
    assert seconds(late)[0] == 0
    assert match_frames(late, clips["plain"])[0].tolist() == list(range(20))
