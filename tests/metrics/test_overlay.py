"""Lines and points land where they were asked for."""

from __future__ import annotations

import numpy as np
import torch

from likeness.metrics.overlay import draw_lines, draw_points, edges

WHITE = (1.0, 1.0, 1.0)


def floats(*rows: tuple[float, float]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.array(rows, np.float32)


def test_each_edge_counts_once() -> None:
    assert edges(np.array([[0, 1, 2], [2, 1, 3]])).tolist() == [
        [0, 1],
        [0, 2],
        [1, 2],
        [1, 3],
        [2, 3],
    ]


def test_a_line_through_pixel_centers_is_one_pixel_wide() -> None:
    drawn = draw_lines(torch.zeros(3, 8, 10), floats((1.5, 3.5)), floats((7.5, 3.5)), WHITE)
    assert torch.all(drawn[:, 3, 2:7] == 1)
    drawn[:, 3] = 0
    assert float(drawn.max()) < 1e-6


def test_between_two_rows_a_line_is_shared() -> None:
    drawn = draw_lines(torch.zeros(3, 8, 10), floats((1.5, 4.0)), floats((7.5, 4.0)), WHITE)
    assert torch.allclose(drawn[:, 3, 2:7], drawn[:, 4, 2:7])
    assert float(drawn[0, 3, 4]) > 0.4


def test_strength_and_color_blend() -> None:
    frame = torch.full((3, 5, 5), 0.5)
    drawn = draw_lines(frame, floats((0.5, 2.5)), floats((4.5, 2.5)), (1.0, 0.0, 0.5), 0.5)
    assert torch.allclose(drawn[:, 2, 2], torch.tensor([0.75, 0.25, 0.5]))
    assert torch.equal(drawn[:, 0], frame[:, 0])


def test_what_lies_outside_or_nowhere_is_left_out() -> None:
    frame = torch.zeros(3, 6, 6)
    far = draw_lines(frame, floats((-50, -50)), floats((-20, -90)), WHITE)
    nowhere = draw_points(frame, floats((np.nan, 2)), WHITE)
    huge = draw_lines(frame, floats((3, 3)), floats((1e9, 3)), WHITE)
    assert float(far.max()) == 0
    assert float(nowhere.max()) == 0
    assert float(huge[0, :, 5].max()) > 0


def test_a_dot_has_its_center_at_the_point() -> None:
    drawn = draw_points(torch.zeros(3, 9, 9), floats((4.0, 6.0)), WHITE)[0].numpy()
    rows, columns = np.mgrid[0:9, 0:9] + 0.5
    assert np.isclose((columns * drawn).sum() / drawn.sum(), 4.0)
    assert np.isclose((rows * drawn).sum() / drawn.sum(), 6.0)
