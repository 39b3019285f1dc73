import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from torch.nn import functional

from likeness import geometry
from likeness.condition import cut, portrait_crop
from likeness.geometry import whole_square
from likeness.types import Crop, FaceTrack


def _track(boxes: np.ndarray) -> FaceTrack:
    n = len(boxes)
    return FaceTrack(
        0,
        boxes.astype(np.float32),
        np.zeros((n, 478, 3), np.float32),
        np.ones(n, np.float32),
        np.ones(n, bool),
    )


@settings(max_examples=60)
@given(
    st.integers(60, 400),
    st.integers(60, 400),
    st.floats(-20, 300),
    st.floats(-20, 300),
    st.floats(10, 200),
)
def test_portrait_crop_lies_inside_on_whole_pixels(
    height: int, width: int, x: float, y: float, side: float
) -> None:
    crop = portrait_crop(_track(np.array([[x, y, x + side, y + side]])), (height, width), 64)
    square = whole_square(crop, (height, width))
    assert square is not None
    left, top, length = square
    assert left >= 0
    assert top >= 0
    assert left + length <= width
    assert top + length <= height


def test_portrait_crop_holds_every_box() -> None:
    boxes = np.array([[100, 80, 160, 150], [120, 90, 180, 160]])
    crop = portrait_crop(_track(boxes), (300, 400), 128)
    corners = geometry.apply(crop.crop_from_frame[0], np.array([[100, 80], [180, 160]], np.float32))
    assert corners.min() > 0
    assert corners.max() < 128


def test_cut_of_equal_size_is_a_slice() -> None:
    frames = torch.rand(2, 3, 40, 50)
    crop = Crop((32, 32), np.repeat(geometry.crop_from_square(7, 5, 32, 32)[None], 2, 0))
    assert torch.equal(cut(frames, crop), frames[:, :, 5:37, 7:39])


def test_cut_anywhere_agrees_with_the_square_path() -> None:
    ys, xs = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    smooth = torch.stack([xs / 64, ys / 64, (xs + ys) / 128])[None]
    square = geometry.crop_from_square(8, 4, 48, 24)
    straight = cut(smooth, Crop((24, 24), square[None]))
    turned = square.copy()
    turned[0, 1], turned[1, 0] = 1e-5, -1e-5
    general = cut(smooth, Crop((24, 24), turned[None]))
    # Edges differ by how each path treats the outside.
    assert (straight - general)[..., 2:-2, 2:-2].abs().max() < 2e-2


def test_cut_does_not_alias() -> None:
    stripes = (torch.arange(128) % 2).float().expand(1, 3, 128, 128).clone()
    crop = Crop((32, 32), geometry.crop_from_square(0, 0, 128, 32)[None])
    assert (cut(stripes, crop)[..., 4:-4] - 0.5).abs().max() < 0.02


def _picture(seed: int, height: int, width: int) -> torch.Tensor:
    """A (1,3,H,W) picture with detail at several scales."""
    generator = torch.Generator().manual_seed(seed)
    picture = torch.zeros(1, 3, height, width)
    for step, share in ((1, 0.1), (3, 0.2), (9, 0.3), (27, 0.4)):
        size = (-(-height // step) + 1, -(-width // step) + 1)
        noise = torch.rand((1, 3, *size), generator=generator)
        picture += share * functional.interpolate(noise, size=(height, width), mode="bicubic")
    return picture.clamp(0, 1)


def _similarity(
    center: tuple[float, float], side: float, turn: float, size: tuple[int, int]
) -> np.ndarray:
    """Crop from frame: a square of `side` pixels around `center`, turned by `turn` radians."""
    cosine, sine = np.cos(turn), np.sin(turn)
    linear = size[0] / side * np.array([[cosine, -sine], [sine, cosine]])
    offset = np.array([size[1], size[0]]) / 2 - linear @ np.array(center)
    return np.concatenate([linear, offset[:, None]], 1).astype(np.float32)


def _reference(frame: torch.Tensor, crop_from_frame: np.ndarray, side: int) -> torch.Tensor:
    """Splines sampled far denser than the frame, then shrunk."""
    scale = float(np.sqrt(np.linalg.det(crop_from_frame[:, :2])))
    dense = max(1, int(np.ceil(2 / scale)))
    steps = (np.arange(side * dense) + 0.5) / dense
    xs, ys = np.meshgrid(steps, steps)
    places = np.stack([xs, ys], -1).reshape(-1, 2)
    x, y = geometry.apply(geometry.invert(crop_from_frame.astype(np.float64)), places).T - 0.5
    channels = [map_coordinates(c, [y, x], order=3, mode="nearest") for c in frame[0].numpy()]
    sampled = torch.from_numpy(np.stack(channels).reshape(1, 3, len(steps), len(steps))).float()
    if dense > 1:
        sampled = functional.interpolate(
            sampled, size=(side, side), mode="bicubic", align_corners=False, antialias=True
        )
    return sampled.clamp(0, 1)


def _psnr(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(-10 * torch.log10((one - other).square().mean()))


moves = st.lists(
    st.sampled_from(
        [
            geometry.crop_from_square(8, 4, 48, 24),
            geometry.crop_from_square(9, 4, 48, 24),
            geometry.crop_from_square(8.3, 4.1, 47, 24),
            geometry.crop_from_square(-8, 20, 40, 24),
            geometry.crop_from_square(20, 20, 12, 24),
            geometry.crop_from_square(0, 0, 24, 24),
            geometry.crop_from_square(-60, -60, 170, 24),
            _similarity((30, 30), 40, 0.3, (24, 24)),
        ]
    ),
    min_size=1,
    max_size=9,
)


@settings(max_examples=60, deadline=None)
@given(moves, st.data())
def test_a_crop_does_not_depend_on_the_window_it_is_cut_in(
    matrices: list[np.ndarray], drawn: st.DataObject
) -> None:
    generator = torch.Generator().manual_seed(len(matrices))
    frames = torch.rand((len(matrices), 3, 60, 70), generator=generator)
    crop = Crop((24, 24), np.stack(matrices))
    whole = cut(frames, crop)
    place = 0
    while place < len(frames):
        stop = drawn.draw(st.integers(place + 1, len(frames)))
        part = cut(frames[place:stop], Crop(crop.size, crop.crop_from_frame[place:stop]))
        assert torch.equal(part, whole[place:stop])
        place = stop


def test_frames_of_other_memory_layouts_give_the_same_bits_in_any_window() -> None:
    frames = torch.rand(5, 40, 50, 3).permute(0, 3, 1, 2)
    square = geometry.crop_from_square(7, 5, 32, 20)
    turned = _similarity((25, 20), 25, 0.1, (20, 20))
    crop = Crop((20, 20), np.stack([square, square, square, turned, turned]))
    whole = cut(frames, crop)
    for n in range(5):
        one = cut(frames[n : n + 1], Crop(crop.size, crop.crop_from_frame[n : n + 1]))
        assert torch.equal(one, whole[n : n + 1])


def test_no_frames_give_no_crops() -> None:
    assert cut(torch.zeros(0, 3, 8, 8), Crop((4, 6), np.zeros((0, 2, 3), np.float32))).shape == (
        0,
        3,
        4,
        6,
    )


@pytest.mark.parametrize(
    ("side", "least"), [(30, 44), (64, 38), (70, 38), (100, 46), (180, 44), (300, 46)]
)
def test_turned_crops_come_close_to_a_dense_reference(side: float, least: float) -> None:
    frame = _picture(1, 340, 360)
    matrix = _similarity((180.3, 170.7), side, 0.2, (64, 64))
    assert _psnr(cut(frame, Crop((64, 64), matrix[None])), _reference(frame, matrix, 64)) > least


def test_oblong_crops_are_cut_like_squares() -> None:
    frame = _picture(2, 200, 220)
    matrix = _similarity((110.4, 100.2), 120, 0.15, (48, 48))
    square = cut(frame, Crop((48, 48), matrix[None]))
    upper = cut(frame, Crop((20, 48), matrix[None]))
    assert (square[:, :, 2:18] - upper[:, :, 2:18]).abs().max() < 0.02


@pytest.mark.parametrize(("side", "lost"), [(64, 0.08), (90, 0.03), (128, 0.03), (320, 0.04)])
def test_a_square_stays_equally_sharp_between_whole_pixels(side: int, lost: float) -> None:
    frame = _picture(3, 400, 420)

    def sharpness(shift: float) -> float:
        crop = Crop((64, 64), geometry.crop_from_square(40 + shift, 30, side, 64)[None])
        return float(cut(frame, crop).diff(dim=2).abs().mean())

    assert sharpness(0.5) == pytest.approx(sharpness(0), rel=lost)
    assert sharpness(0.02) == pytest.approx(sharpness(0), rel=0.02)


@pytest.mark.parametrize("side", [20, 64, 200])
def test_places_outside_show_the_border(side: float) -> None:
    frame = torch.zeros(1, 3, 90, 110)
    frame[:, 0], frame[:, 1, :, :1], frame[:, 2, -1:] = 0.25, 1, 1
    left = _similarity((-300, 45), side, 0.0, (16, 16))
    below = _similarity((50, 500), side, 0.3, (16, 16))
    found = cut(frame.repeat(2, 1, 1, 1), Crop((16, 16), np.stack([left, below])))
    torch.testing.assert_close(found[:, 0], torch.full((2, 16, 16), 0.25))
    assert (found[0, 1] > 0.999).all()
    assert (found[1, 2] > 0.999).all()


def test_a_far_larger_square_is_cut_in_bounded_memory() -> None:
    frame = _picture(4, 1000, 1200)
    matrix = _similarity((600, 500), 60000, 0.1, (32, 32))
    found = cut(frame, Crop((32, 32), matrix[None]))
    assert found.shape == (1, 3, 32, 32)
    assert found.isfinite().all()
