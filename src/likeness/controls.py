"""Params as a table of named values: what a person edits, a spreadsheet holds, a warning names.

Convention:
    Angles are degrees here and radians in FaceParams. yaw > 0 turns the face toward image right,
    pitch > 0 nods down, roll > 0 tilts clockwise in the image; head position in millimetres in
    camera axes; gaze per eye, yaw > 0 toward image right, pitch > 0 down; expression weights 0 at
    rest, 1 at full.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from likeness.geometry import (
    axis_angle,
    euler_from_rotation,
    rotation_from_euler,
    rotation_matrix,
)
from likeness.types import FaceParams, check

Values = NDArray[np.float64]
"""(N,K) controls; double precision, so that degrees come back as they went in."""

ANGLES = ("yaw", "pitch", "roll")
POSITION = ("x_mm", "y_mm", "z_mm")
POSE = (*ANGLES, *POSITION)
GAZE = ("gaze_right_yaw", "gaze_right_pitch", "gaze_left_yaw", "gaze_left_pitch")


_MADE_FROM = "made_from_"
_STATED = re.compile(_MADE_FROM + "([0-9a-f]{64})")


def made_from(clip: str) -> str:
    """Name the column by which a table says from which clip it was made; its cells are empty.

    Args:
        clip: sha256 of the clip, hexadecimal.
    """
    return _MADE_FROM + clip


def clip_in(names: Iterable[str]) -> str | None:
    """Return the sha256 of the clip that a table's column names say it was made from, or None.

    >>> clip_in(["frame", "yaw", made_from("0f" * 32)]) == "0f" * 32, clip_in(["frame"])
    (True, None)
    """
    stated = (_STATED.fullmatch(name.strip().lower()) for name in names)
    return next((found.group(1) for found in stated if found), None)


def control_names(params: FaceParams) -> tuple[str, ...]:
    """Name the K columns of `controls_of`: pose, gaze, expression."""
    return (*POSE, *GAZE, *params.expression_names)


def controls_of(params: FaceParams) -> Values:
    """Return (N,K) values of pose, gaze and expression in the units of this module."""
    angles = np.degrees(np.stack(euler_from_rotation(rotation_matrix(params.rotation)), -1))
    gaze = np.degrees(params.gaze.reshape(len(params), 4))
    columns = [angles, params.translation, gaze, params.expression]
    return np.concatenate(columns, axis=1, dtype=np.float64)


def near_turn(values: Values, middle: Values) -> Values:
    """Return (N,K) controls whose head angles lie within half a turn of a middle.

    A head that stands on its crown is turned by 180 degrees, and by -180 in the next frame: one and
    the same, which must not pass for a wide range. Angles that are near already stay bit for bit.

    Args:
        values: (N,K) in the columns of `control_names`.
        middle: (K,) of the same.
    """
    angles = len(ANGLES)
    turns = np.round((values[:, :angles] - middle[:angles]) / 360)
    return np.concatenate([values[:, :angles] - 360 * turns, values[:, angles:]], axis=1)


def with_controls(params: FaceParams, values: Values) -> FaceParams:
    """Return params that have these values; what is unchanged stays as it is, bit for bit.

    Args:
        params: N frames.
        values: (N,K) in the columns of `control_names`.
    """
    before = controls_of(params)
    check(values.shape == before.shape, f"values have shape {values.shape}, not {before.shape}")
    a, b = len(POSE), len(POSE) + len(GAZE)
    yaw, pitch, roll = np.radians(values[:, :3]).T
    turned = (values[:, :3] != before[:, :3]).any(1)
    rotation = params.rotation.copy()
    if turned.any():
        angles = rotation_from_euler(yaw[turned], pitch[turned], roll[turned])
        rotation[turned] = axis_angle(angles)
    looked = values[:, a:b] != before[:, a:b]
    gaze = np.where(looked, np.radians(values[:, a:b]), params.gaze.reshape(-1, 4))
    return replace(
        params,
        rotation=rotation,
        translation=values[:, 3:a].astype(np.float32),
        gaze=gaze.astype(np.float32).reshape(-1, 2, 2),
        expression=values[:, b:].astype(np.float32),
    )
