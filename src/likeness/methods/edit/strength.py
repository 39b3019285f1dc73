"""How strong each direction of an edit is over time: a constant, a ramp, or keys.

    1             throughout                   0..2       from the first frame to the last
    1@2.0-3.5     from 2 s to 3.5 s, eased     0..2@1-3   from 1 s to 3 s, held outside
    0:0,1.5:1,4:0.3                            keys, second:strength

The vocabulary is that of editing by hand (`fit.edit`): an `Edit` holds one value, a `Curve` goes
through keys without overshoot.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from likeness.controls import Values
from likeness.errors import ConfigError
from likeness.fit.edit import Curve, Edit, EditConfig, course, curves_of
from likeness.store.tables import read_table
from likeness.types import Floats

Strength = Edit | Curve
"""A direction's name and its course."""

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_TIME = r"(?:\d+\.?\d*|\.\d+)"
_COURSE = re.compile(
    rf"(?P<first>{_NUMBER})(?:\.\.(?P<last>{_NUMBER}))?"
    rf"(?:@(?P<start>{_TIME})?-(?P<stop>{_TIME})?)?"
)
_KEYS = re.compile(rf"{_TIME}:{_NUMBER}(?:,{_TIME}:{_NUMBER})*")
_HOW = (
    "expected a number such as 1 or -0.5, one for a while such as 1@2.0-3.5, a ramp such as 0..2 "
    "or 0..2@1-3, or keys such as 0:0,1.5:1,4:0.3 (second:strength)"
)


def parse_strength(direction: str, text: str) -> Strength:
    """Read a strength as it is typed.

    Raises:
        ConfigError: the text is none, or its times run backward.

    >>> parse_strength("age", "1.5@2-3").value, parse_strength("smile", "0:0,1:1").times
    (1.5, array([0., 1.]))
    """
    text = text.replace(" ", "")
    if _KEYS.fullmatch(text):
        pairs = [pair.split(":") for pair in text.split(",")]
        return _curve(direction, [(float(time), float(value)) for time, value in pairs], text)
    found = _COURSE.fullmatch(text)
    if found is None:
        raise ConfigError(f"the strength {text!r} of {direction} cannot be read; {_HOW}")
    first, last = float(found["first"]), found["last"]
    start, stop = float(found["start"] or -math.inf), float(found["stop"] or math.inf)
    if start > stop or (last and start == stop):
        raise ConfigError(f"the strength {text!r} of {direction} ends at {stop} s, when it starts")
    if last is None:
        return Edit(direction, first, False, start, stop)
    # Infinite ends are those of the clip, whose length is not known yet.
    return Curve(direction, np.array([start, stop]), np.array([first, float(last)]))


def read_strengths(path: Path) -> tuple[Strength, ...]:
    """Read strengths off a table: a column `seconds` or `frame`, and one per direction.

    Raises:
        MediaError, BundleError: the file cannot be read as a table.
        ConfigError: it has no times.
    """
    return curves_of(read_table(path))


def paired(directions: Sequence[str], strengths: Sequence[str]) -> tuple[Strength, ...]:
    """Pair directions with strengths as they are typed.

    A direction may bring its strength along (`age=1`); those that don't take the given strengths in
    order, or all of them the only one; without any they have strength 1.

    Raises:
        ConfigError: the numbers don't match, a direction is given twice, or a text can't be read.

    >>> [(s.name, s.value) for s in paired(["age=2", "smile"], ["0.5"])]
    [('age', 2.0), ('smile', 0.5)]
    """
    bare = [text for text in directions if "=" not in text]
    if len(strengths) not in (0, 1, len(bare)) or (strengths and not bare):
        raise ConfigError(
            f"{len(strengths)} strengths were given for {len(bare)} directions without one; "
            "expected one for all of them or one for each, such as --direction age --strength 1, "
            "or --direction age=1"
        )
    given = iter(strengths if len(strengths) != 1 else list(strengths) * len(bare))
    found = []
    for text in directions:
        name, brings, value = text.partition("=")
        found.append(parse_strength(name.strip(), value if brings else next(given, "1")))
    names = [strength.name for strength in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"the direction {name} was given twice; give it once, with its keys")
    return tuple(found)


def over_time(
    strengths: Iterable[Strength], seconds: Values, known: Sequence[str], ease: float
) -> dict[str, Floats]:
    """Tell how strong each direction is in every frame.

    Args:
        strengths: of the edit.
        seconds: (M,) when frames are shown, from the first.
        known: directions that the engine has.
        ease: seconds over which an edit that holds for a while comes and goes.

    Returns:
        (M,) per direction, in the order given.

    Raises:
        ConfigError: a direction is unknown.
    """
    courses: dict[str, Floats] = {}
    for strength in strengths:
        if strength.name not in known:
            near = get_close_matches(strength.name, known, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ConfigError(
                f"there is no direction {strength.name!r}; {hint}expected one of {', '.join(known)}"
            )
        courses[strength.name] = np.asarray(_course(strength, seconds, ease), np.float32)
    return courses


def told(strengths: Iterable[Strength]) -> Mapping[str, str]:
    """Say what was asked, for manifests: a text per direction."""
    return {strength.name: _said(strength) for strength in strengths}


def _said(strength: Strength) -> str:
    if isinstance(strength, Edit):
        return str(strength).partition("=")[2].lstrip("=")
    unit = "frame " if strength.in_frames else ""
    pairs = zip(strength.times.tolist(), strength.values.tolist(), strict=True)
    return unit + ",".join(f"{time:g}:{value:g}" for time, value in pairs)


def _course(strength: Strength, seconds: Values, ease: float) -> Values:
    if isinstance(strength, Edit):
        return course(strength, seconds, EditConfig(ease))
    times = strength.times
    if strength.in_frames:
        times = np.interp(times, np.arange(len(seconds)), seconds)
    first, last = float(seconds[0]), float(seconds[-1])
    # A ramp without times runs from the first frame to the last.
    times = np.where(np.isposinf(times), max(last, first + 1e-6), np.maximum(times, first))
    # What an edit by hand leaves alone outside its keys, a strength holds.
    held = np.clip(seconds, times[0], times[-1])
    return course(Curve(strength.name, times, strength.values), held, EditConfig(0.0))


def _curve(direction: str, keys: list[tuple[float, float]], text: str) -> Curve:
    times, values = (np.array(column, np.float64) for column in zip(*keys, strict=True))
    if (np.diff(times) <= 0).any():
        raise ConfigError(f"the keys {text!r} of {direction} run backward; expected rising seconds")
    return Curve(direction, times, values)
