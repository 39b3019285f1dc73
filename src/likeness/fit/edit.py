"""Editing by hand: any named value of a performance, set or added to, for a while or throughout.

    smile=0.6         set to 0.6                 yaw=+12        add 12 degrees
    yaw==-12          set to -12                 gaze_x=-8      add -8 degrees
    blink=1@2.0-2.2   set to 1 from 2.0 s to 2.2 s, with eased ends outside

A number with a sign is added, a number without one is set; `==` sets a negative one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from likeness.controls import Values, control_names, controls_of, with_controls
from likeness.errors import ConfigError
from likeness.fit.edit_names import Meaning, hard_limits, meaning_of
from likeness.fit.seen_range import Seen, SeenRange, seen_rows, warnings_of
from likeness.provenance.motion import Motion, open_motion
from likeness.store.tables import read_table
from likeness.types import Bools, FaceParams

_TEXT = re.compile(
    r"(?P<name>[A-Za-z]\w*)=(?P<exact>=?)(?P<value>[+-]?[0-9.]+(?:e[+-]?[0-9]+)?)"
    r"(?:@(?P<start>[0-9.]*)-(?P<stop>[0-9.]*))?",
    re.IGNORECASE,
)
_TIMES = ("frame", "seconds", "observed")
_SNAP = 1e-3
"""Seconds by which a key may miss a frame and still stand on it; tables are printed rounded."""
_ROUNDING = 1e-3
_MARGIN = 0.1
"""How far beyond the seen range nobody is warned, in units of that range; as in transfer."""
_LID_GAIN = 1 / 30
"""Weight of the lids' following per degree of gaze: full at 30 degrees."""


@dataclass(frozen=True)
class EditConfig:
    """How edits begin and end."""

    ease: float = 0.12
    """Seconds over which an edit comes before its time range and goes after it: a lid's speed."""

    def __post_init__(self) -> None:
        if self.ease < 0:
            raise ConfigError(f"ease is {self.ease}; expected at least 0 seconds")


@dataclass(frozen=True)
class Edit:
    """One value, the same for the whole of its time range."""

    name: str
    value: float
    """Degrees, millimetres, expression weight or deviations of a shape mode."""
    adds: bool
    """Added to what is there, rather than put in its place."""
    start: float = -math.inf
    """Seconds from the first frame at which the value is reached."""
    stop: float = math.inf
    """Seconds at which it begins to go."""

    def __str__(self) -> str:
        """Return the edit as `parse_edit` reads it."""
        number = f"{self.value:+.9g}" if self.adds else f"{self.value:.9g}"
        exact = "=" if number[0] in "+-" and not self.adds else ""
        ends = [f"{end:.9g}" if math.isfinite(end) else "" for end in (self.start, self.stop)]
        return f"{self.name}={exact}{number}" + (f"@{ends[0]}-{ends[1]}" if any(ends) else "")


@dataclass(frozen=True, eq=False)
class Curve:
    """One value by keys in time; between keys it is interpolated without overshoot."""

    name: str
    times: Values
    """(Q,) increasing: seconds from the first frame, or frame numbers."""
    values: Values
    """(Q,)."""
    adds: bool = False
    in_frames: bool = False
    """Times are frame numbers of the output."""
    origin: Motion | None = None
    """The file that the keys were read from: somebody's motion, unless proven otherwise."""

    def __str__(self) -> str:
        """Say how much of the performance the curve covers."""
        first, last = self.times[0], self.times[-1]
        unit = "frame " if self.in_frames else "second "
        sign = "+" if self.adds else ""
        return f"{sign}{self.name} by {len(self.times)} keys from {unit}{first:g} to {last:g}"


@dataclass(frozen=True, eq=False)
class Edited:
    """Params after edits, and what went beyond the target's clip."""

    params: FaceParams
    warnings: tuple[str, ...] = ()


def parse_edit(text: str) -> Edit:
    """Read an edit as it is typed.

    Raises:
        ConfigError: the text is no edit.

    >>> parse_edit("yaw=+12"), parse_edit("blink=1@2.0-2.2")
    (Edit(name='yaw', value=12.0, adds=True, start=-inf, stop=inf), \
Edit(name='blink', value=1.0, adds=False, start=2.0, stop=2.2))
    """
    found = _TEXT.fullmatch(text.replace(" ", ""))
    try:
        if found is None:
            raise ValueError
        value = float(found["value"])
        start, stop = float(found["start"] or -math.inf), float(found["stop"] or math.inf)
    except ValueError as error:
        raise ConfigError(
            f"the edit {text!r} cannot be read; expected NAME=VALUE or NAME=VALUE@START-STOP in "
            "seconds, such as smile=0.6, yaw=+12 (adds) or blink=1@2.0-2.2"
        ) from error
    if start > stop:
        raise ConfigError(f"the edit {text!r} ends at {stop} s before it starts at {start} s")
    signed = found["value"][0] in "+-"
    return Edit(found["name"], value, signed and not found["exact"], start, stop)


def read_curves(path: Path) -> tuple[Curve, ...]:
    """Read the edits that a table on disk holds; each knows its file, for permission and manifest.

    Raises:
        BundleError, MediaError: the file cannot be read as a table.
        ConfigError: the table has no times.
    """
    return curves_of(read_table(path), open_motion(path))


def motions_of(edits: Iterable[Edit | Curve]) -> tuple[Motion, ...]:
    """Return the files that edits were read from, each once, in order."""
    files = (edit.origin for edit in edits if isinstance(edit, Curve))
    return tuple(dict.fromkeys(file for file in files if file is not None))


def curves_of(table: Mapping[str, Values], origin: Motion | None = None) -> tuple[Curve, ...]:
    """Read curves off the columns of a table, such as `likeness track --csv` writes.

    Args:
        table: (R,) values by column name, NaN where a cell is empty and so no key stands. Keys are
            timed by the column `seconds`, else by `frame`; `observed` is not looked at. A name with
            a plus before it is added.
        origin: the file that the table was read from.

    Raises:
        ConfigError: the table has no times.
    """
    times = table.get("seconds", table.get("frame"))
    if times is None:
        raise ConfigError("the table has no column called seconds or frame; expected one of them")
    curves = []
    for name, values in table.items():
        keys = np.isfinite(values) & np.isfinite(times)
        if name in _TIMES or not keys.any():
            continue
        order = np.flatnonzero(keys)[np.argsort(times[keys], kind="stable")]
        plain = name.removeprefix("+")
        in_frames = "seconds" not in table
        key, adds = (times[order], values[order]), plain != name
        curves.append(Curve(plain, *key, adds, in_frames, origin))
    return tuple(curves)


def apply_edits(
    params: FaceParams,
    seconds: Values,
    edits: Sequence[Edit | Curve],
    target: FaceParams,
    config: EditConfig | None = None,
    seen: Seen | None = None,
) -> Edited:
    """Change named values; those that no edit names stay as they are, bit for bit.

    Edits act in the order given, each on what the ones before have made. A value may go beyond what
    the target's clip has shown, with a warning, but not beyond the hard limit of its kind.

    Args:
        params: N frames.
        seconds: (N,) when they are shown, from the first.
        edits: what to change.
        target: the target's clip, for what it has shown.
        config: settings.
        seen: frames of the performance and of the target's clip in which a face was seen; only
            those are counted in warnings.

    Raises:
        ConfigError: a name is unknown (near matches are told), an edit alone goes beyond the hard
            limit, or identity shall change for a while only.
    """
    config = config or EditConfig()
    names = control_names(params)
    values = controls_of(params)
    before = values.copy()
    shape = params.shape.astype(np.float64)
    low, high = hard_limits(names)
    touched = np.zeros(len(names), bool)
    lids = Meaning()
    for edit in edits:
        meaning = meaning_of(edit.name, names, len(shape))
        if isinstance(edit, Edit):
            _within_limits(edit, meaning, low, high)
        if meaning.mode is not None:
            shape = _reshaped(shape, edit, meaning.mode)
            continue
        columns = list(meaning.columns)
        wanted, weight = _course(edit, seconds, config.ease)
        there = values[:, columns]
        aim = (
            there + wanted[:, None] if edit.adds else np.broadcast_to(wanted[:, None], there.shape)
        )
        values[:, columns] = np.where(
            weight[:, None] == 1, aim, there + weight[:, None] * (aim - there)
        )
        touched[columns] = True
        lids = lids.joined(meaning)
    _lids_follow(values, before, lids, touched, names)
    changed = values != before
    values = np.where(changed, np.clip(values, low, high), values)
    # A table that is fed back sets values to what they are, but for rounding: nobody's edit.
    meant = (np.abs(values - before) > _ROUNDING) & touched
    edited = replace(with_controls(params, values), shape=shape.astype(np.float32))
    return Edited(edited, _beyond(values, meant, names, target, seen or Seen()))


def course(edit: Edit | Curve, seconds: Values, config: EditConfig | None = None) -> Values:
    """Return (N,) what an edit makes of a value of zero; zero where it does not hold."""
    wanted, weight = _course(edit, seconds, (config or EditConfig()).ease)
    return np.asarray(wanted * weight, np.float64)


def _beyond(
    values: Values, meant: NDArray[np.bool_], names: Sequence[str], target: FaceParams, seen: Seen
) -> tuple[str, ...]:
    """Say what edits (N,K) put beyond the target's clip, in frames that show a face."""
    sides = SeenRange.of(target, seen.target).sides(values, _MARGIN) * meant
    rows = seen_rows(len(values), seen.driver)
    return warnings_of(sides[rows].astype(np.int8), names, meant.any(0))


def _course(edit: Edit | Curve, seconds: Values, ease: float) -> tuple[Values, Values]:
    """Return (N,) wanted values and (N,) how much they count, 0 to 1."""
    if isinstance(edit, Edit):
        wanted = np.full(len(seconds), edit.value)
        return wanted, _eased(seconds, edit.start, edit.stop, ease)
    keys = edit.times.copy()
    if edit.in_frames:
        keys = np.interp(keys, np.arange(len(seconds)), seconds)
    nearest = np.abs(seconds[None] - keys[:, None]).argmin(1)
    near = np.abs(seconds[nearest] - keys) < _SNAP
    keys[near] = seconds[nearest[near]]
    keys, kept = np.unique(keys, return_index=True)
    at, between = np.clip(seconds, keys[0], keys[-1]), edit.values[kept]
    if len(keys) == 1:
        wanted = np.full(len(seconds), between[0])
    else:
        wanted = PchipInterpolator(keys, between)(at)
        # The interpolator's arithmetic may miss a key by its last bit.
        place = np.searchsorted(keys, at).clip(0, len(keys) - 1)
        wanted = np.where(keys[place] == at, between[place], wanted)
    return wanted, _eased(seconds, float(keys[0]), float(keys[-1]), ease)


def _eased(seconds: Values, start: float, stop: float, ease: float) -> Values:
    """1 from start to stop, with smooth flanks of `ease` seconds outside."""
    outside = np.maximum(np.maximum(start - seconds, seconds - stop), 0)
    near = np.clip(1 - outside / ease, 0, 1) if ease > 0 else (outside == 0).astype(np.float64)
    return np.asarray(near * near * (3 - 2 * near), np.float64)


def _within_limits(edit: Edit, meaning: Meaning, low: Values, high: Values) -> None:
    bounds = meaning.bounds(low, high)
    reach = bounds[1] - bounds[0] if edit.adds else 0.0
    if not bounds[0] - reach <= edit.value <= bounds[1] + reach:
        raise ConfigError(
            f"the edit {edit.name}={edit.value:g} is out of reach; expected {bounds[0]:g} to "
            f"{bounds[1]:g} {meaning.unit}"
        )


def _reshaped(shape: Values, edit: Edit | Curve, mode: int) -> Values:
    """Change one identity mode, which a person has throughout."""
    if isinstance(edit, Curve) or edit.start > -math.inf or edit.stop < math.inf:
        raise ConfigError(
            f"{edit.name} is identity and holds for the whole clip; give it without a time range"
        )
    changed = shape.copy()
    changed[mode] = edit.value + (changed[mode] if edit.adds else 0.0)
    return changed


def _lids_follow(
    values: Values, before: Values, lids: Meaning, touched: Bools, names: tuple[str, ...]
) -> None:
    """Let the lids go with eyes that were lifted or lowered, unless they are edited themselves."""
    for column, up, down in lids.followers:
        pair = [names.index(up), names.index(down)]
        if touched[pair].any():
            continue
        lowered = (values[:, column] - before[:, column]) * _LID_GAIN
        net = values[:, pair[1]] - values[:, pair[0]] + lowered
        moved = lowered != 0
        values[moved, pair[1]] = np.maximum(net, 0)[moved]
        values[moved, pair[0]] = np.maximum(-net, 0)[moved]
