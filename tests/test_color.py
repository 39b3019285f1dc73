"""Matrices, ranges and curves."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.color import (
    coded_tags,
    describe,
    linear_from_srgb,
    rgb_from_yuv,
    srgb_from_linear,
    yuv_from_rgb,
)
from likeness.errors import MediaError
from likeness.types import ColorTags


@settings(max_examples=40)
@given(
    st.sampled_from([1, 4, 5, 6, 7, 9]), st.booleans(), st.sampled_from([8, 10, 12]),
    st.integers(0, 2**31),
)  # fmt: skip
def test_matrices_are_undone(matrix, full, bits, seed):
    rgb = torch.rand((3, 5, 7), generator=torch.Generator().manual_seed(seed))
    tags = ColorTags(matrix=matrix, full_range=full)
    assert torch.allclose(rgb_from_yuv(yuv_from_rgb(rgb, tags, bits), tags, bits), rgb, atol=2e-6)


def test_known_code_values():
    colors = torch.tensor([[1.0, 1, 1], [0, 0, 0], [1, 0, 0], [0, 0, 1]]).T[:, None]
    yuv = yuv_from_rgb(colors, ColorTags(matrix=1), 8)[:, 0].T
    # BT.709 in limited range: white, black, red and blue of the 100 % color bars.
    expected = torch.tensor([[235, 128, 128], [16, 128, 128], [63, 102, 240], [32, 240, 118]])
    assert torch.equal(yuv.round().int(), expected.int())
    full = yuv_from_rgb(colors, ColorTags(matrix=6, full_range=True), 10)[:, 0].T
    assert full[0].tolist() == pytest.approx([1023, 512, 512])
    assert full[2, 0].item() == pytest.approx(0.299 * 1023, abs=1e-3)


def test_guess_follows_the_lines():
    assert coded_tags(ColorTags(), 720).matrix == 1
    assert coded_tags(ColorTags(), 719).matrix == 6
    picture = coded_tags(ColorTags(matrix=0, full_range=True), 512)
    assert (picture.matrix, picture.full_range) == (6, False)
    tagged = ColorTags(9, 16, 9, True)
    assert coded_tags(tagged, 100) == tagged


def test_unknown_matrix_is_an_error():
    with pytest.raises(MediaError, match="matrix 14"):
        coded_tags(ColorTags(matrix=14), 720)


def test_srgb_curve():
    x = torch.linspace(0, 1, 1001)
    assert torch.allclose(srgb_from_linear(linear_from_srgb(x)), x, atol=1e-6)
    assert linear_from_srgb(torch.tensor(0.5)).item() == pytest.approx(0.2140, abs=1e-4)


def test_describe():
    assert describe(ColorTags(1, 13, 6)) == (
        "BT.709 primaries, sRGB transfer, BT.601 (525 lines) matrix, limited range"
    )
