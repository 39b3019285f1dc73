from __future__ import annotations

import pytest
import torch

from likeness.composite.pyramid import pyramid_blend
from likeness.errors import ContractError


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    made = torch.Generator().manual_seed(0)
    return tuple(torch.rand((2, 1, 3, 48, 64), generator=made))  # type: ignore[return-value]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_or_nothing_is_either_picture(value: float) -> None:
    under, over = pictures()
    blended = pyramid_blend(under, over, torch.full((1, 1, 48, 64), value))
    torch.testing.assert_close(blended, over if value else under, atol=1e-5, rtol=0)


def test_a_seam_between_flat_pictures_is_wide_and_even() -> None:
    under, over = torch.zeros(1, 3, 64, 64), torch.ones(1, 3, 64, 64)
    alpha = torch.zeros(1, 1, 64, 64)
    alpha[..., 32:] = 1
    row = pyramid_blend(under, over, alpha, levels=3)[0, 0, 32]
    assert row[0] == 0
    assert row[-1] == 1
    assert row.diff().max() < 0.5
    assert 8 < int(((row > 0.02) & (row < 0.98)).sum()) < 48


def test_pictures_of_two_sizes_are_refused() -> None:
    with pytest.raises(ContractError, match="match"):
        pyramid_blend(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9), torch.zeros(1, 1, 8, 8))
