"""FFHQ's square around a face."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from likeness import geometry
from likeness.condition.ffhq import squares_of

EYES = ((33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380))


def face(eye: float = 30.0, mouth: float = 60.0) -> np.ndarray:
    """(1,478,2): eyes at -eye and eye, mouth below by `mouth`, all about (100, 80)."""
    points = np.zeros((1, 478, 2), np.float32)
    points[0, list(EYES[0])] = [-eye, 0]
    points[0, list(EYES[1])] = [eye, 0]
    points[0, 61], points[0, 291] = [-20, mouth], [20, mouth]
    return points + np.array([100, 80], np.float32)


def test_an_upright_face_lies_as_the_paper_says() -> None:
    squares = squares_of(face())
    # c = eyes + 0.1 mouth; half the side is the larger of 2 * 60 and 1.8 * 60.
    np.testing.assert_allclose(squares.center, [[100, 86]], atol=1e-4)
    np.testing.assert_allclose(squares.axis, [[120, 0]], atol=1e-4)
    crop = squares.crop(64)
    corners = np.array([[-20, -34], [220, 206]], np.float32)
    np.testing.assert_allclose(
        geometry.apply(crop.crop_from_frame[0], corners), [[0, 0], [64, 64]], atol=1e-3
    )


@given(
    angle=st.floats(-1.2, 1.2),
    scale=st.floats(0.2, 5),
    x=st.floats(-300, 300),
    y=st.floats(-300, 300),
)
def test_the_square_follows_any_similarity(angle: float, scale: float, x: float, y: float) -> None:
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    moved = np.array([[c, -s, x], [s, c, y]], np.float32)
    plain = squares_of(face()).crop(32)
    there = squares_of(geometry.apply(moved, face())).crop(32)
    points = np.array([[90.0, 70.0], [130.0, 110.0]], np.float32)
    np.testing.assert_allclose(
        geometry.apply(there.crop_from_frame[0], geometry.apply(moved, points)),
        geometry.apply(plain.crop_from_frame[0], points),
        atol=2e-2,
    )
