"""How strong an edit is over time, as it is typed and as it runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from likeness.errors import ConfigError
from likeness.fit.edit import Curve, Edit
from likeness.methods.edit.strength import (
    over_time,
    paired,
    parse_strength,
    read_strengths,
    told,
)

SECONDS = np.arange(100) / 25


def course(text: str, ease: float = 0.3) -> np.ndarray:
    return over_time([parse_strength("age", text)], SECONDS, ["age"], ease)["age"]


def test_a_number_holds_throughout() -> None:
    assert np.allclose(course("-0.5"), -0.5)


def test_a_number_for_a_while_is_eased_outside() -> None:
    found = course("2@1-2")
    inside = (SECONDS >= 1) & (SECONDS <= 2)
    assert np.allclose(found[inside], 2)
    assert np.all(found[(SECONDS < 0.69) | (SECONDS > 2.31)] == 0)
    assert 0 < found[np.searchsorted(SECONDS, 0.8)] < 2


def test_a_ramp_runs_over_the_whole_clip_or_between_its_times() -> None:
    whole = course("0..2")
    assert whole[0] == 0
    assert whole[-1] == pytest.approx(2)
    assert np.all(np.diff(whole) > 0)
    part = course("1..-1@1-3")
    assert np.allclose(part[SECONDS <= 1], 1)
    assert np.allclose(part[SECONDS >= 3], -1)
    assert part[50] == pytest.approx(0, abs=1e-6)


def test_keys_are_met_and_held() -> None:
    found = course("0.4:0,1.2:1,3.2:0.3")
    for second, value in ((0.4, 0), (1.2, 1), (3.2, 0.3), (0, 0), (3.96, 0.3)):
        assert found[round(second * 25)] == pytest.approx(value, abs=1e-5)
    assert found.max() <= 1 + 1e-6


@pytest.mark.parametrize("text", ["much", "1@3-2", "1,2", "1:0,0.5:1", "0..1@2-2", ""])
def test_what_is_no_strength_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="age"):
        parse_strength("age", text)


def test_directions_and_strengths_are_paired() -> None:
    def names(*found: Edit | Curve) -> list[tuple[str, float]]:
        return [(one.name, one.value) for one in found if isinstance(one, Edit)]

    assert names(*paired(["age"], [])) == [("age", 1.0)]
    assert names(*paired(["age", "smile"], ["2", "-1"])) == [("age", 2.0), ("smile", -1.0)]
    assert names(*paired(["age=0.5", "smile"], ["2"])) == [("age", 0.5), ("smile", 2.0)]
    assert names(*paired(["age", "smile"], ["2"])) == [("age", 2.0), ("smile", 2.0)]
    with pytest.raises(ConfigError, match="one for each"):
        paired(["age", "smile", "slim"], ["1", "2"])
    with pytest.raises(ConfigError, match="twice"):
        paired(["age=1", "age=2"], [])


def test_an_unknown_direction_names_its_neighbor() -> None:
    with pytest.raises(ConfigError, match="did you mean smile"):
        over_time(paired(["smil"], []), SECONDS, ["age", "smile"], 0.3)


def test_a_table_holds_courses(tmp_path: Path) -> None:
    path = tmp_path / "strengths.csv"
    path.write_text("seconds,age,smile\n0,0,1\n2,1,1\n", encoding="utf-8")
    found = over_time(read_strengths(path), SECONDS, ["age", "smile"], 0.3)
    assert found["age"][25] == pytest.approx(0.5, abs=1e-6)
    assert np.allclose(found["age"][50:], 1)
    assert np.allclose(found["smile"], 1)


def test_what_was_asked_is_told() -> None:
    asked = paired(["age=0..2@1-3", "smile=0.5@1-2"], [])
    assert told(asked) == {"age": "1:0,3:2", "smile": "0.5@1-2"}
