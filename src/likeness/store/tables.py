"""A performance as a table for people and spreadsheets: one line per frame, degrees and seconds."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from likeness.controls import (
    ANGLES,
    GAZE,
    POSITION,
    Values,
    clip_in,
    control_names,
    controls_of,
    made_from,
)
from likeness.errors import BundleError
from likeness.types import Shot

_DECIMALS = {**dict.fromkeys((*ANGLES, *GAZE), 4), **dict.fromkeys(POSITION, 3)}
"""Ten-thousandths of a degree and thousandths of a millimetre: what single precision still tells
apart, so that a table that is read and written again is the same."""
_WEIGHT_DECIMALS = 6
_MOST_COLUMNS = 2000


def write_table(shot: Shot, path: Path) -> None:
    """Write a shot's performance as CSV.

    Columns: frame (in the clip), seconds, observed (0 or 1), head angles in degrees, head position
    in millimetres, gaze angles in degrees, then every expression weight under its name, and an
    empty one that names the clip by its sha256 (`controls.made_from`).

    Raises:
        BundleError: the file cannot be written.
    """
    names = control_names(shot.params)
    decimals = [_DECIMALS.get(name, _WEIGHT_DECIMALS) for name in names]
    frames = np.arange(shot.track.start, shot.track.start + len(shot.track))
    seconds = (shot.clip.pts[frames] - shot.clip.pts[0]) * float(shot.clip.time_base)
    path = Path(path)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["frame", "seconds", "observed", *names, made_from(shot.clip.digest)])
            for i, row in enumerate(controls_of(shot.params)):
                facts = [int(frames[i]), f"{seconds[i]:.6f}", int(shot.track.observed[i])]
                writer.writerow([*facts, *map(_printed, row, decimals), ""])
        temporary.replace(path)
    except OSError as error:
        raise BundleError(f"{path} cannot be written ({error.strerror})") from error
    finally:
        temporary.unlink(missing_ok=True)


def read_table(path: Path) -> Mapping[str, Values]:
    """Read a table as columns of numbers by name; an empty cell is NaN.

    The column that names a clip is left out; `provenance.motion.open_motion` reads it.

    Raises:
        BundleError: the file cannot be read, or a cell is no number.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BundleError(f"{path} cannot be read as CSV ({error})") from error
    header = [name.strip() for name in rows[0]] if rows else []
    if len(rows) < 2 or len(set(header)) != len(header) or len(header) > _MOST_COLUMNS:
        raise BundleError(
            f"{path} has {len(rows)} lines and {len(set(header))} different column names of "
            f"{len(header)}; expected a line of names, each once, and lines of numbers"
        )
    values = np.full((len(rows) - 1, len(header)), np.nan)
    for i, row in enumerate(rows[1:]):
        for j, cell in enumerate(row[: len(header)]):
            if cell.strip():
                values[i, j] = _number(path, i + 2, header[j], cell)
    return {name: values[:, j] for j, name in enumerate(header) if not clip_in([name])}


def _number(path: Path, line: int, column: str, cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        raise BundleError(
            f"{path}, line {line}: {column} is {cell!r}; expected a number or nothing"
        )
    return number


def _printed(value: float, decimals: int) -> str:
    # Adding zero turns -0 into 0.
    return f"{round(value, decimals) + 0.0:.{decimals}f}"
