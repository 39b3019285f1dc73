"""How far apart a fit sees two eyes look, whatever they do meanwhile."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from likeness.fit.vergence import vergence_of, with_vergence
from likeness.types import FaceParams, Floats, Shot


def looking(params: FaceParams, apart: Floats, noise: float = 1.2) -> FaceParams:
    """Params whose eyes are so many degrees apart, and as unsure as fits are."""
    count = len(params.gaze)
    rng = np.random.default_rng(3)
    both = np.radians(rng.normal(0, 8, (count, 1, 2)))
    half = np.radians(apart + rng.normal(0, noise, count)) / 2
    gaze = np.repeat(both, 2, 1)
    gaze[:, 0, 0] += half
    gaze[:, 1, 0] -= half
    return replace(params, gaze=gaze.astype(np.float32))


@pytest.mark.parametrize("own", [-8.0, 0.0, 12.0])
def test_eyes_that_look_at_one_thing_tell_their_own(actor_shot: Shot, own: float) -> None:
    count = len(actor_shot.params.gaze)
    found = vergence_of(looking(actor_shot.params, np.full(count, own)))
    # A little below the mean: eyes may cross and never look apart.
    assert np.degrees(found[0]) == pytest.approx(own - 1.5, abs=1.0)
    assert abs(np.degrees(found[1])) < 0.01


def test_who_hardly_ever_looks_straight_is_told_from_who_is_fitted_so(actor_shot: Shot) -> None:
    count = len(actor_shot.params.gaze)
    crossed = 4.0 + np.linspace(2, 30, count)[np.random.default_rng(1).permutation(count)]
    found = np.degrees(vergence_of(looking(actor_shot.params, crossed))[0])
    tenth = np.percentile(crossed, 10)
    assert found < tenth - 4
    assert abs(found - 4.0) < 6


def test_eyes_of_another_take_over_what_both_share(actor_shot: Shot) -> None:
    gaze = actor_shot.params.gaze
    own, wanted = np.array([0.1, 0.02], np.float32), np.array([-0.05, 0.0], np.float32)
    found = with_vergence(gaze, own, wanted)
    assert np.allclose(found.mean(1), gaze.mean(1), atol=1e-6)
    assert np.allclose(found[:, 0] - found[:, 1], gaze[:, 0] - gaze[:, 1] + wanted - own, atol=1e-6)
