"""How the trained detector wants a face laid."""

from __future__ import annotations

from likeness.condition.align import Template
from likeness.nets.forensic import POINTS, SIDE


def face_template(size: int = SIDE, field: float = 1.0) -> Template:
    """Return the template of the detector's crops.

    Args:
        size: side of the crop in pixels.
        field: how much wider the crop is than what the detector sees.
    """
    points = tuple(
        (size * (0.5 + (x - 0.5) / field), size * (0.5 + (y - 0.5) / field)) for x, y in POINTS
    )
    return Template(size, points)
