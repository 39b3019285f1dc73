"""One person's shots as one: what is known stays, gaps follow the rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.condition.conditioner import select
from likeness.errors import ConfigError, ContractError, TrackError
from likeness.people import check_face, chooser
from likeness.plan.joining import joined
from likeness.plan.performance import BLEND, absences, away, performance_of
from likeness.types import Shot


def part(shot: Shot, start: int, stop: int) -> Shot:
    """Some frames of a shot, as a shot of their own."""
    rows = np.arange(start, stop)
    track = replace(
        shot.track,
        start=shot.track.start + start,
        **{
            name: getattr(shot.track, name)[rows]
            for name in ("boxes", "landmarks", "scores", "observed")
        },
    )
    return Shot(shot.clip, track, select(shot.params, rows))


def test_what_is_known_stays_and_the_gap_is_unobserved(actor_shot: Shot) -> None:
    whole = joined([part(actor_shot, 30, 48), part(actor_shot, 2, 12)])
    assert (whole.track.start, len(whole.track)) == (2, 46)
    known = np.r_[2:12, 30:48]
    np.testing.assert_array_equal(
        whole.params.rotation[known - 2], actor_shot.params.rotation[known]
    )
    np.testing.assert_array_equal(
        whole.track.landmarks[known - 2], actor_shot.track.landmarks[known]
    )
    assert not whole.track.observed[10:28].any()
    assert whole.track.observed.sum() == len(known)
    # 18 frames are 0.72 s: held until 0.4 s before the next, then blended.
    held = whole.params.expression[10:17]
    np.testing.assert_allclose(held, np.repeat(held[:1], 7, 0), atol=1e-6)
    performance = performance_of(whole, "driver")
    assert performance.guessed[:2].all()
    (told,) = absences(performance)
    assert "frames 12 to 29" in told


def test_a_short_gap_is_bridged(actor_shot: Shot) -> None:
    whole = joined([part(actor_shot, 0, 20), part(actor_shot, 24, 48)])
    low, high = actor_shot.params.translation[19], actor_shot.params.translation[24]
    steps = np.linalg.norm(np.diff(whole.params.translation[19:25], axis=0), axis=1)
    assert steps.max() < 0.6 * np.linalg.norm(high - low) + 1e-3
    assert absences(performance_of(whole, "driver")) == ()


def test_a_cut_without_a_gap_jumps(actor_shot: Shot) -> None:
    whole = joined([part(actor_shot, 0, 20), part(actor_shot, 20, 48)])
    np.testing.assert_array_equal(whole.params.rotation, actor_shot.params.rotation)
    assert whole.track.observed.all()


def test_shots_seen_together_are_two_people(actor_shot: Shot) -> None:
    with pytest.raises(ContractError, match="overlap"):
        joined([part(actor_shot, 0, 20), part(actor_shot, 10, 30)])


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.sampled_from([10.0, 25.0, 60.0]))
def test_away_is_what_lasts_longer_than_the_blend(seen: list[bool], fps: float) -> None:
    observed = np.array(seen)
    gone = away(observed, np.arange(len(seen)) / fps)
    assert not (gone & observed).any()
    run = 0
    for n, (here, lost) in enumerate(zip(observed, gone, strict=True)):
        run = 0 if here else run + 1
        if run and n + 1 < len(seen) and observed[n + 1]:
            assert gone[n] == (run / fps > BLEND)
            assert lost == gone[n - run + 1]


def test_people_are_named_by_size_number_or_photo(actor_shot: Shot) -> None:
    people = (part(actor_shot, 0, 20), part(actor_shot, 10, 30))
    assert chooser("largest")(people) is people[0]
    assert chooser("1")(people) is people[1]
    with pytest.raises(TrackError, match="from 0 to 1"):
        chooser("2")(people)
    with pytest.raises(ConfigError, match="no such photo"):
        check_face("like=nobody.jpg")
    with pytest.raises(ConfigError, match="largest"):
        check_face("leftmost")
