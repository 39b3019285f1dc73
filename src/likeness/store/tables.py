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
from likeness.files import Sheet, open_sheet, why_unwritable
from likeness.outputs import atomic_file
from likeness.outputs.marks import TABLE
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
    try:
        with (
            atomic_file(path, TABLE) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(["frame", "seconds", "observed", *names, made_from(shot.clip.digest)])
            for i, row in enumerate(controls_of(shot.params)):
                facts = [int(frames[i]), f"{seconds[i]:.6f}", int(shot.track.observed[i])]
                writer.writerow([*facts, *map(_printed, row, decimals), ""])
    except OSError as error:
        raise BundleError(f"{path} cannot be written: {why_unwritable(error)}") from error


def read_table(path: Path) -> Mapping[str, Values]:
    """Read a table as columns of numbers by name; an empty cell is NaN.

    Commas, semicolons (with decimal commas) and tabs part the fields; rows without content are
    skipped and counted in a warning.
    The column that names a clip is left out; `provenance.motion.open_motion` reads it.

    Raises:
        BundleError: the file cannot be read, a row is too long, or a cell is no number.
    """
    sheet = open_sheet(Path(path), BundleError, "a table of named values")
    header = sheet.header
    different = len(set(header))
    if not header or different != len(header) or len(header) > _MOST_COLUMNS:
        lines = 1 if header else 0
        raise _no_table(path, lines, different, len(header))
    rows = [_values(sheet, line, cells) for line, cells in sheet.rows()]
    if not rows:
        raise _no_table(path, 1, different, len(header))
    values = np.stack(rows)
    return {name: values[:, j] for j, name in enumerate(header) if not clip_in([name])}


def _no_table(path: Path, lines: int, different: int, names: int) -> BundleError:
    return BundleError(
        f"{path} has {lines} lines and {different} different column names of {names}; expected a "
        "line of names, each once, and lines of numbers"
    )


def _values(sheet: Sheet, line: int, cells: list[str]) -> Values:
    row = np.full(len(cells), np.nan)
    for j, cell in enumerate(cells):
        if cell.strip():
            row[j] = sheet.number(line, sheet.header[j], cell)
    return row


def _printed(value: float, decimals: int) -> str:
    # Adding zero turns -0 into 0.
    return f"{round(value, decimals) + 0.0:.{decimals}f}"
