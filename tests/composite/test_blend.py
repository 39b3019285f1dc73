import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness import geometry
from likeness.composite import composite, soft_rectangle
from likeness.types import Crop, Layer


def _crop(x: float, y: float, side: float, size: int = 16) -> Crop:
    return Crop((size, size), geometry.crop_from_square(x, y, side, size)[None])


@settings(max_examples=40)
@given(st.floats(-20, 60), st.floats(-20, 60), st.floats(4, 90))
def test_alpha_zero_leaves_every_bit(x: float, y: float, side: float) -> None:
    frames = torch.rand(1, 3, 40, 48)
    layer = Layer(_crop(x, y, side), torch.rand(1, 3, 16, 16), torch.zeros(1, 1, 16, 16))
    assert torch.equal(composite(frames, layer), frames)


def test_alpha_one_at_scale_one_is_a_paste() -> None:
    frames, rgb = torch.rand(1, 3, 40, 48), torch.rand(1, 3, 16, 16)
    painted = composite(frames, Layer(_crop(10, 5, 16), rgb, torch.ones(1, 1, 16, 16)))
    torch.testing.assert_close(painted[:, :, 5:21, 10:26], rgb, atol=1e-5, rtol=0)
    outside = painted.clone()
    outside[:, :, 5:21, 10:26] = frames[:, :, 5:21, 10:26]
    assert torch.equal(outside, frames)


@settings(max_examples=20)
@given(st.integers(-10, 40), st.integers(-10, 40))
def test_whole_pixels_are_copied_as_they_would_be_interpolated(x: int, y: int) -> None:
    frames, rgb, alpha = (
        torch.rand(1, 3, 40, 48),
        torch.rand(1, 3, 16, 16),
        torch.rand(1, 1, 16, 16),
    )
    copied = composite(frames, Layer(_crop(x, y, 16), rgb, alpha))
    interpolated = composite(frames, Layer(_crop(x + 1e-4, y, 16), rgb, alpha))
    torch.testing.assert_close(copied, interpolated, atol=2e-3, rtol=0)


def test_input_frames_are_not_touched() -> None:
    frames = torch.rand(1, 3, 40, 48)
    kept = frames.clone()
    composite(frames, Layer(_crop(1, 1, 30), torch.rand(1, 3, 16, 16), torch.ones(1, 1, 16, 16)))
    assert torch.equal(frames, kept)


def test_rectangle_fades_only_where_the_frame_goes_on() -> None:
    alpha = soft_rectangle(_crop(0, 4, 40, 64), (60, 60))[0, 0]
    assert alpha[32, 0] == 1  # left edge coincides with the frame's
    assert alpha[32, -1] < 0.1
    assert alpha[0, 20] < 0.1
    assert alpha[32, 32] == 1
    whole = soft_rectangle(_crop(0, 0, 60, 64), (60, 60))
    assert np.array_equal(whole.numpy(), np.ones((1, 1, 64, 64), np.float32))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([(4, 3, 24), (4.5, 3, 24), (5, 3, 25), (-6, 9, 20)]), min_size=2))
def test_a_layer_does_not_depend_on_the_window_it_is_painted_in(
    squares: list[tuple[float, float, float]],
) -> None:
    matrices = [geometry.crop_from_square(x, y, side, 16) for x, y, side in squares]
    crop, count = Crop((16, 16), np.stack(matrices)), len(squares)
    generator = torch.Generator().manual_seed(count)
    frames, rgb = (torch.rand((count, 3, size, size), generator=generator) for size in (40, 16))
    alpha = torch.rand((count, 1, 16, 16), generator=generator)
    whole = composite(frames, Layer(crop, rgb, alpha))
    for n in range(count):
        one = Layer(Crop(crop.size, crop.crop_from_frame[n : n + 1]), rgb[n, None], alpha[n, None])
        assert torch.equal(composite(frames[n, None], one), whole[n, None])
