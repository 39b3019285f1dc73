"""Settings: what wins, what is refused, and what the refusal says."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.config import digest, read_toml, resolve, to_json
from likeness.errors import ConfigError


class Kind(enum.Enum):
    ROUND = "round"
    SQUARE = "square"


@dataclass(frozen=True)
class Fit:
    iterations: int = 40
    weight: float = 0.5
    robust: bool = True


@dataclass(frozen=True)
class Run:
    size: tuple[int, int] = (256, 256)
    preset: Literal["fast", "paper"] = "fast"
    kind: Kind = Kind.ROUND
    rate: Fraction = Fraction(25)
    output: Path | None = None
    names: tuple[str, ...] = ()
    limits: dict[str, float] = field(default_factory=dict)
    fit: Fit = Fit()


@dataclass(frozen=True)
class Needed:
    clip: Path


def test_flags_win_over_file_and_file_over_defaults() -> None:
    table = {"preset": "paper", "fit": {"iterations": 7, "weight": 2}}
    run = resolve(Run, table, {"fit": {"iterations": 9}, "preset": None})
    assert run == Run(preset="paper", fit=Fit(iterations=9, weight=2.0))
    assert isinstance(run.fit.weight, float)


@dataclass(frozen=True)
class Trials:
    quick: Fit = Fit(iterations=3)
    slow: Fit = field(default_factory=lambda: Fit(robust=False))


def test_a_table_changes_what_the_field_has_by_default() -> None:
    trials = resolve(Trials, {"quick": {"weight": 2.0}, "slow": {"iterations": 9}})
    assert trials == Trials(Fit(3, 2.0), Fit(9, 0.5, robust=False))


def test_values_become_the_field_types() -> None:
    table = {
        "size": [128, 64],
        "kind": "square",
        "rate": "30000/1001",
        "output": "a/b.mp4",
        "names": ["x", "y"],
        "limits": {"jaw": 1},
    }
    expected = Run(
        (128, 64), "fast", Kind.SQUARE, Fraction(30000, 1001), Path("a/b.mp4"), ("x", "y")
    )
    assert resolve(Run, table) == resolve(Run, to_json(expected), {"limits": {"jaw": 1.0}})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"presset": "fast"}, "unknown setting 'presset'; did you mean 'preset'"),
        ({"fit": {"iteration": 1}}, "unknown setting 'fit.iteration'; did you mean 'iterations'"),
        ({"zzz": 1}, "expected one of: fit, kind"),
        ({"preset": "papper"}, "did you mean 'paper'"),
        ({"kind": "sqare"}, "did you mean 'square'"),
        ({"fit": {"iterations": 2.5}}, r"fit.iterations is 2.5 \(float\), expected int"),
        ({"fit": {"iterations": True}}, "expected int"),
        ({"fit": {"robust": 1}}, "expected bool"),
        ({"fit": {"weight": float("nan")}}, "expected float"),
        ({"fit": 3}, r"expected Fit \(a table\)"),
        ({"size": [1, 2, 3]}, "has 3 values, expected 2"),
        ({"size": ["1", 2]}, r"size\[0\] is '1'"),
        ({"rate": "1/0"}, "expected a fraction"),
        ({"limits": [1]}, "expected a table"),
    ],
)
def test_misfits_are_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(Run, table)


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(ConfigError, match="'track.clip' is missing"):
        resolve(Needed, {}, where="track")


def test_toml_errors_are_config_errors(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text('preset = "paper"\n[fit]\niterations = 3\n')
    bad.write_text("preset = \n")
    assert resolve(Run, read_toml(good)) == Run(preset="paper", fit=Fit(iterations=3))
    with pytest.raises(ConfigError, match="no valid TOML"):
        read_toml(bad)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_toml(tmp_path / "absent.toml")


def test_what_has_no_place_in_json_is_refused() -> None:
    with pytest.raises(ConfigError, match="type object"):
        to_json(object())


def test_arrays_are_settings_by_their_content() -> None:
    one, other = np.zeros(3, np.float32), np.array([0, 0, 1], np.float32)
    assert digest(one) == digest(one[::-1].copy())
    assert digest(one) != digest(other)
    assert to_json(other).startswith("float32[3] sha256 ")


@given(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_json_and_back_is_the_same(iterations: int, weight: float, robust: bool) -> None:
    run = Run(fit=Fit(iterations, weight, robust))
    assert resolve(Run, to_json(run)) == run


def test_digest_tells_settings_apart() -> None:
    assert digest(Run()) == digest(Run(fit=Fit()))
    assert digest(Run()) != digest(Run(fit=Fit(iterations=41)))
    # Written down so that a change of the digest, which empties every cache, is noticed.
    assert digest(Fit()).startswith("9de39ffc1258c75f")
