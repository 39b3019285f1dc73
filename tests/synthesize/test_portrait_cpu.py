"""The compiled portrait against the one in torch."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from likeness.synthesize import portrait_cpu, portrait_loops
from likeness.synthesize.portrait import (
    FLOW_LIMIT,
    GUIDES,
    Portrait,
    PortraitConfig,
    at_size,
    sample_layers,
    trusted,
)
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
        made.unet.flow.weight.normal_(0, 0.5)
        made.unet.head.weight.normal_(0, 0.1)
    return made.eval()


def test_compiled_and_torch_draw_the_same(portrait: Portrait) -> None:
    # In half precision two orders of the same sum differ by more than the two implementations.
    portrait = portrait.exact()
    random = torch.Generator().manual_seed(5)
    # Smooth pictures: in white noise a thousandth of a pixel is already a visible difference.
    small = torch.rand((6, 4, 16, 16), generator=random)
    keyframes = functional.interpolate(small, size=64, mode="bicubic").unflatten(0, (2, 3))
    maps = torch.rand((2, GUIDES + 9, 32, 32), generator=random)
    # Ways of several pixels, also out of the picture.
    motion = maps[:, GUIDES:].unflatten(1, (3, 3))
    motion[:, :, :2] = motion[:, :, :2] * 40 - 20
    # And of less than one, where stillness counts.
    motion[:, :, :2, :, 16:] /= 40
    code = torch.randn((2, 20), generator=random)
    with torch.inference_mode():
        exact = portrait(keyframes, maps, code).numpy()
    fast = PortraitCPU(portrait)(keyframes, maps, code).numpy()
    told = PortraitCPU(portrait).tell(keyframes, maps)
    assert (told - portrait.tell(keyframes, maps)).abs().max() < 1e-4
    assert fast.shape == exact.shape
    difference = np.abs(fast - exact)
    assert difference.max() < 0.2 / 255


def test_a_window_of_any_length_draws_the_same(portrait: Portrait) -> None:
    random = torch.Generator().manual_seed(6)
    keyframes = torch.rand((3, 3, 4, 64, 64), generator=random)
    maps = torch.rand((3, GUIDES + 9, 32, 32), generator=random)
    code = torch.randn((3, 20), generator=random)
    draw = PortraitCPU(portrait)
    whole = draw(keyframes, maps, code)
    alone = torch.cat(
        [draw(keyframes[i : i + 1], maps[i : i + 1], code[i : i + 1]) for i in range(3)]
    )
    assert torch.allclose(whole, alone, atol=1 / 255)


def test_large_portraits_are_drawn_in_small_parts(
    portrait: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = torch.Generator().manual_seed(7)
    keyframes = torch.rand((5, 3, 4, 64, 64), generator=random)
    maps = torch.rand((5, GUIDES + 9, 32, 32), generator=random)
    code = torch.randn((5, 20), generator=random)
    draw = PortraitCPU(portrait)
    whole = draw(keyframes, maps, code)
    lengths = []
    inner = PortraitCPU._draw

    def counted(self: PortraitCPU, *told: torch.Tensor) -> torch.Tensor:
        lengths.append(len(told[0]))
        return inner(self, *told)

    monkeypatch.setattr(PortraitCPU, "_draw", counted)
    monkeypatch.setattr(portrait_cpu, "_TOLD_BYTES", 2 * 4 * portrait.config.told * 16**2)
    parts = draw(keyframes, maps, code)
    assert lengths == [2, 2, 1]
    assert torch.allclose(whole, parts, atol=1 / 255)


def test_a_portrait_is_carried_to_another_size(portrait: Portrait) -> None:
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    larger = Portrait(PortraitConfig(128, 3, 20, (8, 16, 24)))
    larger.load_state_dict(at_size({**portrait.state_dict(), "plate": ramp}, 128))
    assert torch.equal(larger.unet.stem.weight, portrait.unet.stem.weight)
    assert larger.canvas.shape[-1] == 32
    assert (functional.avg_pool2d(larger.plate, 2) - ramp).abs().max() < 0.005
    same = at_size(portrait.state_dict(), 64)
    assert all(torch.equal(same[k], v) for k, v in portrait.state_dict().items())


def test_corrections_reach_as_far_on_the_face_at_any_size() -> None:
    wish = torch.tensor([1e6, 0.5])
    near, far = (PortraitConfig(size).limited(wish) / size for size in (256, 512))
    assert torch.allclose(near, far)
    assert near[0].item() == pytest.approx(FLOW_LIMIT / 256)
    assert near[1].item() == pytest.approx(0.5 / 256, rel=0.01)


def test_stillness_is_trusted_where_one_warp_hardly_moves() -> None:
    flow = torch.zeros(1, 2, 2, 64, 64)
    flow[:, :, 0] = torch.tensor([5.0, 2.0])[None, :, None, None]
    flow[:, 1, 0, :, 32:] = -3.0
    flow[:, :, 1, 0] = 4.0
    trust = trusted(flow)
    assert trust.shape == (1, 1, 64, 64)
    assert torch.allclose(trust[0, 0, 1:, :32], torch.tensor(0.5))
    assert torch.allclose(trust[0, 0, 1:, 32:], torch.tensor(0.25))
    assert (trust[0, 0, 0] == 0).all()


def test_an_offset_that_is_no_number_reads_inside_the_picture():
    """A network that diverged, or was made to, must not read foreign memory."""
    picture = np.random.default_rng(0).random((8, 8, 4)).astype(np.float32)
    for x, y in ((np.nan, 2.0), (2.0, np.nan), (np.inf, -np.inf), (1e30, -1e30)):
        portrait_loops._color(picture, np.float32(x), np.float32(y))
    inside = portrait_loops._color(picture, np.float32(2), np.float32(3))
    assert np.allclose(inside, picture[3, 2])


def test_hair_at_the_upper_edge_is_not_drawn_out_but_a_body_at_the_lower_is() -> None:
    layers = torch.ones(1, 4, 16, 16)
    flow = torch.zeros(1, 2, 16, 16)
    flow[:, 1, :8] = -10.0
    flow[:, 1, 8:] = 10.0
    drawn = sample_layers(layers, flow)
    assert (drawn[:, :, :8] == 0).all()
    assert (drawn[:, :, 8:] == 1).all()
    assert torch.equal(sample_layers(layers, flow * 0), layers)


def test_one_keyframe_draws_the_outline_where_coverages_are_apart() -> None:
    plain = Portrait(PortraitConfig(64, 3, 20, (8, 16, 24))).eval()
    with torch.no_grad():
        plain.plate.fill_(0.2)
        plain.unet.head.weight.zero_()
        plain.unet.flow.weight.zero_()
    keyframes = torch.zeros(1, 3, 4, 64, 64)
    keyframes[:, 2, :, :, :32] = 1  # the keyframe that lends the body shows somebody on the left
    maps = torch.zeros(1, GUIDES + 9, 32, 32)
    maps[:, GUIDES + 2 :: 3] = 1
    drawn = PortraitCPU(plain)(keyframes, maps, torch.zeros(1, 20))
    # An even blend of the three would show (1 + 2 * 0.2) / 3 = 0.47.
    assert drawn[0, :, 20:40, 8:24].min() > 0.6
    assert (drawn[0, :, 20:40, 44:] - 0.2).abs().max() < 1e-3
