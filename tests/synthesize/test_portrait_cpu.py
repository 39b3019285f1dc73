"""The compiled portrait against the one in torch."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch.nn import functional

from likeness.synthesize.portrait import GUIDES, Portrait, PortraitConfig
from likeness.synthesize.portrait_cpu import PortraitCPU


@pytest.fixture(scope="module")
def portrait() -> Portrait:
    torch.manual_seed(3)
    made = Portrait(PortraitConfig(64, 3, 20, (8, 16, 24)))
    with torch.no_grad():
        made.plate.uniform_()
        made.still.uniform_()
        made.canvas.normal_()
        # Large enough that corrections, scores and gains matter.
        made.flow.weight.normal_(0, 0.5)
        made.head.weight.normal_(0, 0.1)
    return made.eval()


def test_compiled_and_torch_draw_the_same(
    portrait: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In half precision two orders of the same sum differ by more than the two implementations.
    monkeypatch.setattr(torch, "autocast", lambda *_: nullcontext())
    random = torch.Generator().manual_seed(5)
    # Smooth pictures: in white noise a thousandth of a pixel is already a visible difference.
    small = torch.rand((6, 3, 16, 16), generator=random)
    keyframes = functional.interpolate(small, size=64, mode="bicubic").unflatten(0, (2, 3))
    maps = torch.rand((2, GUIDES + 9, 32, 32), generator=random)
    # Ways of several pixels, also out of the picture.
    motion = maps[:, GUIDES:].unflatten(1, (3, 3))
    motion[:, :, :2] = motion[:, :, :2] * 40 - 20
    code = torch.randn((2, 20), generator=random)
    with torch.inference_mode():
        exact = portrait(keyframes, maps, code).numpy()
    fast = PortraitCPU(portrait)(keyframes, maps, code).numpy()
    assert fast.shape == exact.shape
    difference = np.abs(fast - exact)
    assert difference.max() < 0.1 / 255


def test_a_window_of_any_length_draws_the_same(portrait: Portrait) -> None:
    random = torch.Generator().manual_seed(6)
    keyframes = torch.rand((3, 3, 3, 64, 64), generator=random)
    maps = torch.rand((3, GUIDES + 9, 32, 32), generator=random)
    code = torch.randn((3, 20), generator=random)
    draw = PortraitCPU(portrait)
    whole = draw(keyframes, maps, code)
    alone = torch.cat(
        [draw(keyframes[i : i + 1], maps[i : i + 1], code[i : i + 1]) for i in range(3)]
    )
    assert torch.allclose(whole, alone, atol=1 / 255)
