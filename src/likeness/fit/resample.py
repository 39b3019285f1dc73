"""Params at other moments than those of their own frames.

Performances of different frame rates meet by time stamp, never by frame number: what lies between
two frames is interpolated, rotations on the shortest way between them (slerp, Shoemake 1985).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from likeness.controls import Values
from likeness.geometry import axis_angle, rotation_matrix
from likeness.types import FaceParams, Floats, Ints

Extrapolation = Literal["loop", "hold"]
"""What a performance does that is over too soon: go back and forth, or stand still."""


def positions(times: Values, wanted: Values, extrapolation: Extrapolation = "loop") -> Values:
    """Return where wanted moments lie between the frames of a performance.

    Args:
        times: (N,) seconds of the frames, increasing.
        wanted: (M,) seconds on the same clock.
        extrapolation: "loop" plays backward from the end and forward from the start again, so that
            nothing jumps; "hold" stays at the last frame.

    Returns:
        (M,) fractional frame numbers in [0, N-1]; whole where a moment is a frame's own.

    >>> positions(np.array([0.0, 1.0, 2.0]), np.array([0.5, 2.0, 3.5])).tolist()
    [0.5, 2.0, 0.5]
    """
    length = float(times[-1] - times[0])
    since = wanted - times[0]
    if extrapolation == "loop" and length > 0:
        since = np.where(since > length, length - np.abs(since % (2 * length) - length), since)
    at = np.interp(since + times[0], times, np.arange(len(times), dtype=np.float64))
    whole = np.round(at)
    # Time stamps of one rate in two time bases differ by rounding; such frames are the same.
    return np.where(np.abs(at - whole) < 1e-3, whole, at)


def resample(params: FaceParams, at: Values) -> FaceParams:
    """Return params at fractional frame numbers; whole numbers give the frames as they are.

    Args:
        params: N frames.
        at: (M,) in [0, N-1].

    Returns:
        M frames.
    """
    first = np.floor(at).astype(np.int64).clip(0, len(params) - 1)
    second = (first + 1).clip(0, len(params) - 1)
    share = (at - first).astype(np.float32)
    return replace(
        params,
        expression=_between(params.expression, first, second, share),
        rotation=_turned(params.rotation, first, second, share),
        translation=_between(params.translation, first, second, share),
        light=_between(params.light, first, second, share),
        gaze=_between(params.gaze, first, second, share),
    )


def _between(values: Floats, first: Ints, second: Ints, share: Floats) -> Floats:
    weight = share.reshape(-1, *[1] * (values.ndim - 1))
    mixed: Floats = values[first] + weight * (values[second] - values[first])
    return mixed


def _turned(rotation: Floats, first: Ints, second: Ints, share: Floats) -> Floats:
    """Spherical interpolation: turn by a share of the rotation that leads from first to second."""
    start = rotation[first].copy()
    between = np.flatnonzero(share > 0)
    if len(between):
        here = rotation_matrix(start[between])
        there = rotation_matrix(rotation[second[between]])
        way = axis_angle(np.swapaxes(here, -1, -2) @ there) * share[between, None]
        start[between] = axis_angle(here @ rotation_matrix(way))
    return start
