import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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
