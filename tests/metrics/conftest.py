"""A drawn face: tracker landmarks whose openness, gaze and place are known."""

from collections.abc import Callable

import numpy as np
import pytest

from likeness.metrics.regions import EYE_CONTOURS, FACE_OVAL, OUTER_LIPS
from likeness.track.measure import INNER_LIPS, IRIS_CENTERS, IRIS_RINGS
from likeness.types import Floats


def _ellipse(count: int, x: float, y: float, a: float, b: float, start: float, turn: int) -> Floats:
    angle = start + turn * 2 * np.pi * np.arange(count) / count
    return np.stack([x + a * np.cos(angle), y + b * np.sin(angle)], -1)


def draw_face(
    openness: float = 0.3,
    gaze: tuple[float, float] = (0.0, 0.0),
    mouth: float = 0.1,
    place: tuple[float, float] = (64.0, 64.0),
    scale: float = 1.0,
) -> Floats:
    """(478,3) landmarks; the face is 80 wide and 104 high at scale 1, eyes are 20 wide.

    `openness` is what `eye_openness` measures, up to the mean over lid pairs; `gaze` is the
    offset of both irises in half eye widths; `mouth` the gap of the inner lips in outer eye
    distances (60).
    """
    p = np.zeros((478, 3))
    p[:468, :2] = np.random.default_rng(3).uniform(-20, 20, (468, 2))
    p[FACE_OVAL, :2] = _ellipse(36, 0, 0, 40, 52, -np.pi / 2, 1)
    for eye, (contour, x) in enumerate(zip(EYE_CONTOURS, (-20, 20), strict=True)):
        start, turn = ((np.pi, -1), (0, 1))[eye]
        # The mean gap of the four lid pairs is 1.777 half heights.
        p[contour, :2] = _ellipse(16, x, -12, 10, openness * 20 / 1.777, start, turn)
        center = np.array([x + 10 * gaze[0], -12 + 10 * gaze[1]])
        p[IRIS_CENTERS[eye], :2] = center
        p[IRIS_RINGS[eye], :2] = center + 4 * np.array([[1, 0], [0, -1], [-1, 0], [0, 1]])
    gap = 60 * mouth
    p[OUTER_LIPS, :2] = _ellipse(20, 0, 26, 16, 5 + gap / 2, np.pi, -1)
    for x, (upper, lower) in zip((-3, 0, 3), INNER_LIPS, strict=True):
        p[upper, :2], p[lower, :2] = (x, 26 - gap / 2), (x, 26 + gap / 2)
    p[:, :2] = p[:, :2] * scale + place
    return p.astype(np.float32)


@pytest.fixture(scope="session")
def face() -> Callable[..., Floats]:
    """The function `draw_face(...)`."""
    return draw_face
