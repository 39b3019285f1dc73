"""A shot as a table for people and spreadsheets: one line per frame, degrees and seconds."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from likeness.errors import BundleError
from likeness.geometry import euler_from_rotation, rotation_matrix
from likeness.types import Shot

POSE = ("yaw", "pitch", "roll", "x_mm", "y_mm", "z_mm")
GAZE = ("gaze_right_yaw", "gaze_right_pitch", "gaze_left_yaw", "gaze_left_pitch")


def write_table(shot: Shot, path: Path) -> None:
    """Write a shot's performance as CSV.

    Columns: frame (in the clip), seconds, observed (0 or 1), head angles in degrees, head position
    in millimetres, gaze angles in degrees, then every expression weight under its name.

    Raises:
        BundleError: the file cannot be written.
    """
    params = shot.params
    angles = np.degrees(np.stack(euler_from_rotation(rotation_matrix(params.rotation)), -1))
    gaze = np.degrees(params.gaze.reshape(len(params), 4))
    values = np.concatenate([angles, params.translation, gaze, params.expression], axis=1)
    frames = np.arange(shot.track.start, shot.track.start + len(shot.track))
    seconds = (shot.clip.pts[frames] - shot.clip.pts[0]) * float(shot.clip.time_base)
    path = Path(path)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(
                ["frame", "seconds", "observed", *POSE, *GAZE, *params.expression_names]
            )
            for i, row in enumerate(values):
                facts = [int(frames[i]), f"{seconds[i]:.6f}", int(shot.track.observed[i])]
                writer.writerow([*facts, *(f"{value:.5g}" for value in row)])
        temporary.replace(path)
    except OSError as error:
        raise BundleError(f"{path} cannot be written ({error.strerror})") from error
    finally:
        temporary.unlink(missing_ok=True)
