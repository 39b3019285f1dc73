"""ARKit face captures as Live Link Face writes them: a CSV of 52 weights and 9 angles a frame.

The columns are Timecode (HH:MM:SS:FF.fff, frames of the capture's rate), BlendShapeCount (61, or
0 in a row in which the phone saw no face; newer files spell it BlendshapeCount), 52 weights under
ARKit's names with a capital first letter, then yaw, pitch and roll of head, left and right eye in
radians.

Convention:
    The angles are those of an Unreal rotator in the axes of somebody who looks at the face: yaw
    turns first about the vertical, then pitch, then roll. In camera axes (x right, y down, z
    forward) R = Ry(yaw) Rx(pitch) Rz(roll): yaw > 0 turns toward the person's right, which is image
    left; pitch > 0 down; roll > 0 clockwise in the image. Left is the person's left in both.
    Public recordings say so of the eyes (docs/methods/transfer.md); of the head it is inferred.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from likeness.controls import Values, clip_in, made_from
from likeness.errors import MediaError
from likeness.files import Sheet, open_sheet, why_unwritable
from likeness.files.sheets import columns_of
from likeness.geometry import axis_angle, rotation_matrix
from likeness.outputs import atomic_file
from likeness.outputs.marks import TABLE
from likeness.plan.performance import Performance
from likeness.provenance.manifest import Ingredient, sha256_of
from likeness.types import Bools, FaceParams, Floats, Ints, Timeline

SHAPES = (
    "EyeBlinkLeft", "EyeLookDownLeft", "EyeLookInLeft", "EyeLookOutLeft", "EyeLookUpLeft",
    "EyeSquintLeft", "EyeWideLeft", "EyeBlinkRight", "EyeLookDownRight", "EyeLookInRight",
    "EyeLookOutRight", "EyeLookUpRight", "EyeSquintRight", "EyeWideRight", "JawForward",
    "JawRight", "JawLeft", "JawOpen", "MouthClose", "MouthFunnel", "MouthPucker", "MouthRight",
    "MouthLeft", "MouthSmileLeft", "MouthSmileRight", "MouthFrownLeft", "MouthFrownRight",
    "MouthDimpleLeft", "MouthDimpleRight", "MouthStretchLeft", "MouthStretchRight",
    "MouthRollLower", "MouthRollUpper", "MouthShrugLower", "MouthShrugUpper", "MouthPressLeft",
    "MouthPressRight", "MouthLowerDownLeft", "MouthLowerDownRight", "MouthUpperUpLeft",
    "MouthUpperUpRight", "BrowDownLeft", "BrowDownRight", "BrowInnerUp", "BrowOuterUpLeft",
    "BrowOuterUpRight", "CheekPuff", "CheekSquintLeft", "CheekSquintRight", "NoseSneerLeft",
    "NoseSneerRight", "TongueOut",
)  # fmt: skip
"""In the order of the file."""
ANGLES = (
    "HeadYaw", "HeadPitch", "HeadRoll", "LeftEyeYaw", "LeftEyePitch", "LeftEyeRoll",
    "RightEyeYaw", "RightEyePitch", "RightEyeRoll",
)  # fmt: skip
COLUMNS = (*SHAPES, *ANGLES)

log = logging.getLogger("likeness.importers")

_TIMECODE = re.compile(r"([0-9]{1,4}):([0-9]{2}):([0-9]{2})[:;]([0-9]{1,4})(?:[.,]([0-9]{1,3}))?")
_RATES = (24, 25, 30, 50, 60)
_RATE = 60
"""What the app captures at unless told otherwise."""
_DECIMALS = 10
"""As the app prints."""


@dataclass(frozen=True, eq=False)
class Capture:
    """N frames of a phone's face capture, as the file has them."""

    ticks: Ints
    """(N,) thousandths of a frame since midnight, increasing."""
    rate: int
    """Frames per second that the timecodes count in."""
    values: Values
    """(N,61) in the order of `COLUMNS`; double precision, so that it prints as it was read."""
    observed: Bools
    """(N,) False where the phone saw no face; such rows repeat the one before."""
    clip: str | None = None
    """sha256 of the clip that it was made from, where it came from no phone."""

    def __len__(self) -> int:
        return len(self.ticks)


def read_arkit(path: Path, rate: int | None = None) -> Capture:
    """Read a face capture.

    Args:
        path: the CSV; columns may stand in any order, and names may begin with a small letter.
        rate: frames per second of the timecodes; by default the least usual rate that holds all
            frame numbers, 60 where the file is shorter than a second.

    Raises:
        MediaError: the file cannot be read or is no such capture.
    """
    sheet = open_sheet(path, MediaError, "a face capture as Live Link Face writes it")
    header = [name[:1].upper() + name[1:] for name in sheet.header]
    header = ["BlendShapeCount" if name == "BlendshapeCount" else name for name in header]
    missing = [name for name in ("Timecode", "BlendShapeCount", *SHAPES) if name not in header]
    if missing:
        more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
        raise MediaError(
            f"{path} lacks the columns {', '.join(missing[:4])}{more}; expected a face capture as "
            "Live Link Face writes it"
        )
    times, values, seen = _rows(sheet, header)
    rate = rate or _rate_of(times)
    ticks = _unwrapped(np.array([_ticks(time, rate) for time in times], np.int64), rate)
    # A phone that stutters repeats a timecode; the later row is of no moment of its own.
    fresh = np.concatenate([[True], ticks[1:] > np.maximum.accumulate(ticks)[:-1]])
    _tell_of_stutter(path, np.flatnonzero(~fresh), len(ticks))
    return Capture(ticks[fresh], rate, values[fresh], seen[fresh], clip_in(sheet.header))


def _unwrapped(ticks: Ints, rate: int) -> Ints:
    """Count on past midnight, where the clock begins anew."""
    day = 24 * 3600 * rate * 1000
    turns = np.diff(ticks, prepend=ticks[:1]) < -day // 2
    return ticks + day * np.cumsum(turns)


def _tell_of_stutter(path: Path, rows: Ints, count: int) -> None:
    if len(rows):
        log.warning(
            "%s: %d of %d rows were left out, because their clock stands still or goes back (the "
            "first is frame %d)",
            *(path.name, len(rows), count, int(rows[0]) + 1),
        )


def write_arkit(capture: Capture, path: Path) -> None:
    """Write a face capture; reading it again and writing it gives the same bytes.

    Raises:
        MediaError: the file cannot be written.
    """
    try:
        with (
            atomic_file(path, TABLE) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            stated = [made_from(capture.clip)] if capture.clip else []
            writer.writerow(["Timecode", "BlendShapeCount", *COLUMNS, *stated])
            for tick, row, observed in zip(
                capture.ticks, capture.values, capture.observed, strict=True
            ):
                count = len(COLUMNS) if observed else 0
                # Adding zero turns -0 into 0.
                cells = [f"{value:.{_DECIMALS}f}" for value in np.round(row, _DECIMALS) + 0.0]
                cells += [""] * len(stated)
                writer.writerow([_timecode(int(tick), capture.rate), count, *cells])
    except OSError as error:
        raise MediaError(f"{path} cannot be written: {why_unwritable(error)}") from error


def capture_of(performance: Performance) -> Capture:
    """Return what a phone would have captured of a performance; detail modes are left out.

    Raises:
        MediaError: the face model does not have ARKit's expressions.
    """
    params = performance.params
    _expect_names(params)
    roll = np.zeros(len(params))
    eyes = params.gaze.astype(np.float64) * [-1, 1]
    right, left = (np.column_stack([eyes[:, i], roll]) for i in (0, 1))
    angles = _angles(rotation_matrix(params.rotation))
    shapes = np.stack([params.column(_ours(name)) for name in SHAPES], 1)
    return Capture(
        np.round(performance.seconds * _RATE * 1000).astype(np.int64),
        _RATE,
        np.concatenate([shapes, angles, left, right], 1, dtype=np.float64),
        ~performance.guessed,
        performance.ingredient.sha256 or None,
    )


def performance_of_capture(capture: Capture, like: FaceParams, path: Path) -> Performance:
    """Return the motion of a capture in the terms of a target's face model.

    Args:
        capture: N frames.
        like: the target: its face model, identity, focal length, and the middle of where its head
            is, because a capture says nothing of position.
        path: the file, for manifests.

    Raises:
        MediaError: the face model does not have ARKit's expressions.
    """
    _expect_names(like)
    n = len(capture)
    shapes, angles = np.split(capture.values, [len(SHAPES)], 1)
    head, left, right = np.split(angles, 3, 1)
    expression = np.zeros((n, len(like.expression_names)), np.float32)
    expression[:, [like.expression_names.index(_ours(name)) for name in SHAPES]] = shapes
    params = replace(
        like,
        expression=expression,
        rotation=axis_angle(_rotation(head)),
        translation=np.repeat(np.median(like.translation, 0, keepdims=True), n, 0),
        light=np.repeat(like.light.mean(0, keepdims=True), n, 0),
        gaze=np.asarray(np.stack([right, left], 1)[..., :2] * [-1, 1], np.float32),
    )
    pts = capture.ticks - capture.ticks[0]
    base = Fraction(1, capture.rate * 1000)
    last = int(np.median(np.diff(pts))) if n > 1 else 1000
    ingredient = Ingredient("driver", path.name, sha256_of(path))
    timeline = Timeline(pts, base, last, None)
    return Performance(params, timeline, ~capture.observed, ingredient)


def _rotation(angles: Values) -> Floats:
    """(N,3,3) head to camera of (N,3) yaw, pitch and roll."""
    x, y, z = np.eye(3)
    yaw, pitch, roll = (angles[:, i, None] for i in range(3))
    turned: Floats = (
        rotation_matrix(yaw * y) @ rotation_matrix(pitch * x) @ rotation_matrix(roll * z)
    )
    return turned


def _angles(rotation: Floats) -> Values:
    """Return (N,3) yaw, pitch and roll, the inverse of `_rotation` for |pitch| < pi/2."""
    turned = rotation.astype(np.float64)
    yaw = np.arctan2(turned[:, 0, 2], turned[:, 2, 2])
    pitch = -np.arcsin(np.clip(turned[:, 1, 2], -1, 1))
    roll = np.arctan2(turned[:, 1, 0], turned[:, 1, 1])
    return np.stack([yaw, pitch, roll], 1)


def _rows(sheet: Sheet, header: Sequence[str]) -> tuple[list[tuple[int, ...]], Values, Bools]:
    """Return timecodes as (h, m, s, frames, thousandths), values and what was seen."""
    column = columns_of(header)
    shapes, angles = [column[name] for name in SHAPES], [column.get(name) for name in ANGLES]
    times, values, seen = [], [], []
    last = np.zeros(len(COLUMNS))
    for line, row in sheet.rows():
        code = row[column["Timecode"]].strip()
        found = _TIMECODE.fullmatch(code)
        if found is None:
            raise MediaError(
                f"{sheet.path}, line {line}: no timecode HH:MM:SS:FF.fff; found {code[:40]!r}: "
                "correct the line or remove it"
            )
        numbers = [row[index] for index in shapes]
        full = all(cell.strip() for cell in numbers)
        if full:
            turns = ["0" if index is None else row[index].strip() or "0" for index in angles]
            last = _numbers(sheet, line, [*numbers, *turns])
        thousandths = (found[5] or "0").ljust(3, "0")
        times.append(tuple(int(part) for part in (*found.groups()[:4], thousandths)))
        values.append(last)
        seen.append(full and row[column["BlendShapeCount"]].strip() != "0")
    if not times:
        raise MediaError(f"{sheet.path} has no frames below its header")
    return times, np.array(values), np.array(seen)


def _numbers(sheet: Sheet, line: int, cells: Sequence[str]) -> Values:
    return np.array(
        [sheet.number(line, name, cell) for name, cell in zip(COLUMNS, cells, strict=True)]
    )


def _rate_of(times: Sequence[tuple[int, ...]]) -> int:
    if times[0][:3] == times[-1][:3]:
        return max(_RATE, max(time[3] for time in times) + 1)
    most = max(time[3] for time in times)
    return next((rate for rate in _RATES if rate > most), most + 1)


def _ticks(time: tuple[int, ...], rate: int) -> int:
    hours, minutes, seconds, frames, thousandths = time
    return ((hours * 60 + minutes) * 60 + seconds) * rate * 1000 + frames * 1000 + thousandths


def _timecode(ticks: int, rate: int) -> str:
    seconds, rest = divmod(ticks, rate * 1000)
    frames, thousandths = divmod(rest, 1000)
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours:02}:{minutes:02}:{seconds % 60:02}:{frames:02}.{thousandths:03}"


def _ours(name: str) -> str:
    return name[0].lower() + name[1:]


def _expect_names(params: FaceParams) -> None:
    missing = [name for name in map(_ours, SHAPES) if name not in params.expression_names]
    if missing:
        raise MediaError(
            f"face model {params.model!r} has no expression called {missing[0]}; expected ARKit's "
            "52. Track the clip with the model that comes with likeness"
        )
