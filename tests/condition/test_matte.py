"""Head and background as two layers."""

import numpy as np
import pytest
import torch

from likeness.condition.matte import (
    Layers,
    complete_plate,
    fill_holes,
    layered,
    refine_mattes,
    separate,
)
from likeness.types import Floats

SIDE = 64


def wall() -> Floats:
    """(h,w,3) a wall with stripes, brighter to the right."""
    columns = np.arange(SIDE)
    shade = 0.3 + 0.3 * columns / SIDE + 0.1 * (columns // 8 % 2)
    return np.broadcast_to(shade[None, :, None], (SIDE, SIDE, 3)).astype(np.float32)


def scene(count: int = 12, span: float = 36.0) -> tuple[torch.Tensor, torch.Tensor, Floats]:
    """A dark disk that wanders over the wall: pictures, its true mattes, outlines of its middle."""
    ys, xs = np.mgrid[:SIDE, :SIDE] + 0.5
    angles = np.arange(16) * np.pi / 8
    pictures, mattes, outlines = [], [], []
    for x in np.linspace(32 - span / 2, 32 + span / 2, count):
        matte = np.clip(12.5 - np.hypot(xs - x, ys - 32), 0, 1)[..., None]
        pictures.append(matte * np.array([0.1, 0.05, 0.05]) + (1 - matte) * wall())
        mattes.append(matte[..., 0])
        outlines.append(np.stack([x + 6 * np.cos(angles), 32 + 6 * np.sin(angles)], 1))
    return (
        _bytes(np.stack(pictures)).permute(0, 3, 1, 2),
        _bytes(np.stack(mattes)),
        np.stack(outlines),
    )


def _bytes(values: Floats) -> torch.Tensor:
    return torch.from_numpy((values * 255 + 0.5).astype(np.uint8))


def test_what_one_keyframe_hides_another_shows() -> None:
    pictures, mattes, _ = scene()
    plate = complete_plate(pictures, mattes)
    assert np.abs(plate.picture - wall()).max() < 1.5 / 255
    assert plate.steady.min() > 0.95


def test_what_nobody_shows_is_made_up_from_around_it() -> None:
    pictures, mattes, _ = scene(span=0)
    plate = complete_plate(pictures, mattes)
    assert np.abs(plate.picture[32, 32] - wall()[32].mean(0)).max() < 0.12
    assert plate.picture.min() > 0.25  # the disk has 0.1


def test_a_background_that_moves_stays_with_its_keyframe() -> None:
    pictures, mattes, _ = scene()
    pictures[::2, :, :16] = 20
    pictures[1::2, :, :16] = 230
    plate = complete_plate(pictures, mattes)
    assert plate.steady[:12].max() < 0.1
    assert plate.steady[24:].min() > 0.95
    refined = refine_mattes(pictures, mattes, plate)
    assert (refined[:, :12] > 240).all()
    assert (refined[:, 50:] == 0).all()


def test_mattes_follow_the_outline_that_the_plate_tells() -> None:
    pictures, true, outlines = scene()
    loose = torch.from_numpy(np.stack([_grown(matte.numpy(), 1) for matte in true]))
    layers = separate(pictures, loose, outlines)
    error = (layers.mattes.float() - true.float()).abs() / 255
    before = (loose.float() - true.float()).abs() / 255
    assert error.mean() < 0.3 * before.mean()


def _grown(matte: np.ndarray, radius: int) -> np.ndarray:
    padded = np.pad(matte, radius)
    side = len(matte)
    shifts = range(2 * radius + 1)
    return np.max([padded[y : y + side, x : x + side] for y in shifts for x in shifts], 0)


def test_a_strand_beside_the_outline_goes_with_the_head() -> None:
    pictures, mattes, outlines = scene()
    x = int(outlines[0, :, 0].mean())
    pictures[0, :, 18:20, x : x + 2] = 0
    layers = separate(pictures, mattes, outlines)
    assert layers.mattes[0, 18:20, x : x + 2].min() > 200


def test_layers_over_the_plate_are_the_picture() -> None:
    pictures, mattes, outlines = scene()
    layers = separate(pictures, mattes, outlines)
    kept = layered(pictures / 255, layers.mattes / 255, layers.plate)
    assert kept.shape == (12, 4, SIDE, SIDE)
    assert (kept[:, :3] <= kept[:, 3:] + 1e-6).all()
    again = kept[:, :3] + (1 - kept[:, 3:]) * layers.plate
    assert (again - pictures / 255).abs().mean() < 1 / 255


def test_a_person_that_was_not_found_stays_in_one_piece() -> None:
    pictures, mattes, outlines = scene()
    layers = separate(pictures, torch.zeros_like(mattes), outlines)
    assert (layers.mattes == 255).all()
    assert (layers.plate * 255 - pictures.median(0).values).abs().max() < 1


def test_layers_shrink_with_their_pictures() -> None:
    layers = Layers(torch.full((3, 64, 64), 200, dtype=torch.uint8), torch.full((3, 64, 64), 0.25))
    smaller = layers.shrunk(32)
    assert smaller.mattes.shape == (3, 32, 32)
    assert smaller.mattes.dtype == torch.uint8
    assert (smaller.mattes == 200).all()
    assert smaller.plate.numpy() == pytest.approx(0.25)


def test_holes_are_filled_from_the_finest_level_that_knows() -> None:
    picture = np.zeros((16, 16, 3), np.float32)
    picture[:, 8:] = 1
    known = np.ones((16, 16), np.float32)
    known[4:6, 2:4] = known[4:6, 12:14] = 0
    filled = fill_holes(np.where(known[..., None] > 0, picture, 0.5).astype(np.float32), known)
    assert filled[4:6, 2:4].max() < 0.05
    assert filled[4:6, 12:14].min() > 0.95
