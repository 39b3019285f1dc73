"""What the names mean that a person edits by: expressions, pairs of them, pose, gaze, identity."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

import numpy as np

from likeness.controls import ANGLES, GAZE, POSITION, Values
from likeness.errors import ConfigError

_ALIASES: dict[str, tuple[str, ...]] = {
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
    "frown": ("mouthFrownLeft", "mouthFrownRight"),
    "blink": ("eyeBlinkLeft", "eyeBlinkRight"),
    "wink_left": ("eyeBlinkLeft",),
    "wink_right": ("eyeBlinkRight",),
    "wide_eyes": ("eyeWideLeft", "eyeWideRight"),
    "squint": ("eyeSquintLeft", "eyeSquintRight"),
    "mouth_open": ("jawOpen",),
    "pucker": ("mouthPucker",),
    "funnel": ("mouthFunnel",),
    "puff": ("cheekPuff",),
    "sneer": ("noseSneerLeft", "noseSneerRight"),
    "brows_up": ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    "brows_down": ("browDownLeft", "browDownRight"),
    "x": ("x_mm",),
    "y": ("y_mm",),
    "z": ("z_mm",),
    "gaze_x": ("gaze_right_yaw", "gaze_left_yaw"),
    "gaze_y": ("gaze_right_pitch", "gaze_left_pitch"),
}
"""Friendly names."""

_NO_PAIRS = ("jaw", "mouth")
"""jawLeft and mouthLeft are directions, not one side of something."""
_SHAPE = "shape_"
_SHAPE_LIMIT = 5.0
_LIMITS = {
    "yaw": (-75.0, 75.0),
    "pitch": (-60.0, 60.0),
    "roll": (-75.0, 75.0),
    "x_mm": (-1e4, 1e4),
    "y_mm": (-1e4, 1e4),
    "z_mm": (50.0, 1e5),
    **dict.fromkeys(GAZE, (-45.0, 45.0)),
}
_NAMED, _UNNAMED = (0.0, 1.25), (-4.0, 4.0)
"""Hard limits of ARKit's weights, and of coefficients whose scale is another."""
_NAMED_BEGINNINGS = ("brow", "cheek", "eye", "jaw", "mouth", "nose", "tongue")


@dataclass(frozen=True)
class Meaning:
    """What one name stands for."""

    columns: tuple[int, ...] = ()
    """Controls that get the value."""
    mode: int | None = None
    """Identity mode that gets it instead."""
    unit: str = ""
    followers: tuple[tuple[int, str, str], ...] = ()
    """Gaze columns whose lids shall follow, with the expressions that lift and lower them."""

    def bounds(self, low: Values, high: Values) -> tuple[float, float]:
        """Return the hard limits that all of its values share."""
        if self.mode is not None:
            return -_SHAPE_LIMIT, _SHAPE_LIMIT
        columns = list(self.columns)
        return float(low[columns].max()), float(high[columns].min())

    def joined(self, other: Meaning) -> Meaning:
        """Return the columns and followers of both."""
        followers = dict.fromkeys((*self.followers, *other.followers))
        return Meaning((*self.columns, *other.columns), followers=tuple(followers))


def meaning_of(name: str, names: tuple[str, ...], modes: int) -> Meaning:
    """Look up a name.

    Args:
        name: as typed.
        names: the K controls, `likeness.controls.control_names`.
        modes: how many identity modes the face has.

    Raises:
        ConfigError: nothing is called so; near matches are told.
    """
    number = name.removeprefix(_SHAPE)
    if name.startswith(_SHAPE) and number.isdigit():
        if int(number) >= modes:
            raise ConfigError(f"{name} is unknown; this face has shape_0 to shape_{modes - 1}")
        return Meaning(mode=int(number), unit="standard deviations")
    wanted = _ALIASES.get(name) or _pair(name, names) or (name,)
    if not all(each in names for each in wanted):
        raise ConfigError(f"nothing is called {name!r}{_near(name, names)}")
    columns = tuple(names.index(each) for each in wanted)
    return Meaning(columns, unit=_unit(wanted[0]), followers=_followers(name, names))


def known_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return every name that can be edited, but for the identity modes: friendly ones first."""
    aliases = [alias for alias, wanted in _ALIASES.items() if all(w in names for w in wanted)]
    pairs = [name[:-4] for name in names if name.endswith("Left") and _pair(name[:-4], names)]
    return (*aliases, *pairs, *names)


def hard_limits(names: tuple[str, ...]) -> tuple[Values, Values]:
    """Return (K,) lowest and (K,) highest values that an edit may reach."""
    limits = [
        _LIMITS.get(name, _NAMED if name.startswith(_NAMED_BEGINNINGS) else _UNNAMED)
        for name in names
    ]
    low, high = np.array(limits, np.float64).T
    return low, high


def _pair(name: str, names: tuple[str, ...]) -> tuple[str, ...]:
    both = (f"{name}Left", f"{name}Right")
    return both if name not in _NO_PAIRS and all(side in names for side in both) else ()


def _followers(name: str, names: tuple[str, ...]) -> tuple[tuple[int, str, str], ...]:
    found = [
        (f"gaze_{side.lower()}_pitch", f"eyeLookUp{side}", f"eyeLookDown{side}")
        for side in ("Right", "Left")
    ]
    if name != "gaze_y" or not all(up in names and down in names for _, up, down in found):
        return ()
    return tuple((names.index(column), up, down) for column, up, down in found)


def _unit(name: str) -> str:
    if name in ANGLES or name in GAZE:
        return "degrees"
    return "millimetres" if name in POSITION else "(1 is full)"


def _near(name: str, names: tuple[str, ...]) -> str:
    lower = {known.lower(): known for known in (*known_names(names), f"{_SHAPE}0")}
    close = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)
    # A part of a name is as good a hint as a slip of the pen.
    close += [low for low in lower if name.lower() in low and low not in close][:3]
    if close:
        return "; did you mean " + " or ".join(repr(lower[low]) for low in close[:4]) + "?"
    return "; expected a name such as smile, blink, yaw, gaze_x, jawOpen or shape_0"
