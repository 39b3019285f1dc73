from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.errors import MediaError
from likeness.methods.rewrite.retiming import motion, retime, voiced
from likeness.types import Shot


@given(st.integers(0, 40), st.integers(1, 60), st.integers(0, 30))
def test_frames_are_shown_in_order_and_at_most_twice(seed: int, count: int, more: int) -> None:
    rng = np.random.default_rng(seed)
    frames = -(-count // 2) + more
    path = retime(rng.random(count) < 0.5, rng.random(frames).astype(np.float32))
    assert path.min() >= 0
    assert path.max() < frames
    assert set(np.diff(path)) <= {0, 1}
    assert np.unique(path, return_counts=True)[1].max() <= 2


def test_the_head_rests_in_pauses() -> None:
    moves = np.ones(200, np.float32)
    moves[90:130] = 0.01
    speech = np.ones(80, bool)
    speech[30:50] = False
    path = retime(speech, moves)
    assert moves[path[30:50]].mean() < 0.2


def test_it_finds_the_cheapest_way() -> None:
    rng = np.random.default_rng(3)
    moves = rng.random(5).astype(np.float32)
    speech = np.array([False, False, True, False, True])

    def cost(path: list[int]) -> float:
        total = 0.0
        for i, j in enumerate(path):
            onset = i >= 3 and speech[i - 2] and not speech[i - 3]
            total += 0.0 if speech[i] else moves[j]
            total -= 2 * moves[j] if onset else 0.0
            total += 2 * moves[j] if i and path[i - 1] == j else 0.0
        return total

    def ways(path: list[int]) -> list[list[int]]:
        if len(path) == len(speech):
            return [path]
        last, twice = path[-1], len(path) > 1 and path[-2] == path[-1]
        steps = [last + 1] if twice else [last, last + 1]
        return [way for j in steps if j < len(moves) for way in ways([*path, j])]

    best = min(cost(way) for start in range(len(moves)) for way in ways([start]))
    assert cost(retime(speech, moves).tolist()) == pytest.approx(best, abs=1e-6)


def test_a_target_that_is_too_short_is_refused() -> None:
    with pytest.raises(MediaError, match="at least half"):
        retime(np.ones(21, bool), np.ones(10, np.float32))


def test_short_pauses_belong_to_speech() -> None:
    power = np.zeros(100)
    power[10:30] = power[36:60] = 0.01
    found = voiced(power, 25.0)
    assert found[10:60].all()
    assert not found[:10].any()
    assert not found[60:].any()


def test_blinks_count_as_motion(actor_shot: Shot) -> None:
    moved = motion(actor_shot.track)
    blink = actor_shot.params.column("eyeBlinkLeft")
    assert moved.shape == (48,)
    assert moved[blink > 0.9].min() > 0.9
    assert np.median(moved[blink < 0.1]) < 0.1
