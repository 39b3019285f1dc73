"""The compiled portrait against the one in torch."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from likeness.synthesize import portrait_blend, portrait_cpu, portrait_loops
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
from likeness.synthesize.portrait_unet import UNet
from likeness.synthesize.portrait_unet_cpu import FastUNet


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
    return made.eval().requires_grad_(False)


def told_of(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Keyframes, maps and codes of `count` frames, with ways of several pixels and of none."""
    random = torch.Generator().manual_seed(seed)
    # Smooth pictures: in white noise a thousandth of a pixel is already a visible difference.
    small = torch.rand((3 * count, 4, 16, 16), generator=random)
    keyframes = functional.interpolate(small, size=64, mode="bicubic").unflatten(0, (count, 3))
    maps = torch.rand((count, GUIDES + 9, 32, 32), generator=random)
    # Ways of several pixels, also out of the picture.
    motion = maps[:, GUIDES:].unflatten(1, (3, 3))
    motion[:, :, :2] = motion[:, :, :2] * 40 - 20
    # And of less than one, where stillness counts.
    motion[:, :, :2, :, 16:] /= 40
    code = torch.randn((count, 20), generator=random)
    return (keyframes.clamp(0, 1) * 255).to(torch.uint8), maps, code


def test_compiled_and_torch_draw_the_same(portrait: Portrait) -> None:
    # In half precision two orders of the same sum differ by more than the two implementations.
    portrait = portrait.exact()
    keyframes, maps, code = told_of(2, 5)
    with torch.inference_mode():
        exact = portrait(keyframes, maps, code).numpy()
    fast = PortraitCPU(portrait)(keyframes, maps, code).numpy()
    told = PortraitCPU(portrait).tell(keyframes, maps)
    assert (told - portrait.tell(keyframes, maps)).abs().max() < 1e-4
    assert fast.shape == exact.shape
    assert np.abs(fast - exact).max() < 0.01 / 255
    as_floats = PortraitCPU(portrait)(keyframes.float() / 255, maps, code).numpy()
    assert np.array_equal(as_floats, fast)


def test_half_precision_is_a_fraction_of_a_level(portrait: Portrait) -> None:
    keyframes, maps, code = told_of(2, 5)
    exact = PortraitCPU(portrait.exact())(keyframes, maps, code)
    narrow = PortraitCPU(portrait)
    drawn = narrow(keyframes, maps, code)
    if not narrow.narrow:
        pytest.skip("this processor convolves in float32 alone")
    with torch.inference_mode():
        torchs = portrait(keyframes, maps, code)
    # These weights are far larger than trained ones; torch in half precision is as far away.
    assert (drawn - exact).abs().mean() < 1.2 * (torchs - exact).abs().mean()


def test_what_is_told_in_half_precision_is_what_is_told_rounded(portrait: Portrait) -> None:
    draw, (keyframes, maps, _) = PortraitCPU(portrait), told_of(1, 8)
    pictures = np.ascontiguousarray(keyframes[0].permute(0, 2, 3, 1).numpy())
    shape, apart = (16, 16, draw.changing), np.zeros((64, 64), np.float32)
    wide, narrow = np.zeros(shape, np.float32), np.zeros(shape, np.uint16)
    portrait_loops.tell(pictures, maps[0].numpy(), draw._walls, wide, apart)
    portrait_loops.tell_narrow(pictures, maps[0].numpy(), draw._walls, narrow, apart)
    rounded = torch.from_numpy(wide).to(torch.bfloat16)
    found = torch.from_numpy(narrow.view(np.int16)).view(torch.bfloat16)
    # Two compilations of one sum may differ in its last bit, of which a few are halfway.
    assert (rounded == found).float().mean() > 0.999
    assert (rounded.float() - found.float()).abs().max() < 0.01
    wider = np.zeros(wide.size, np.float32)
    portrait_blend.widen(narrow.reshape(-1), wider)
    assert np.array_equal(wider.reshape(shape), found.float().numpy())


@pytest.mark.parametrize("widths", [(8, 16, 24), (8, 16)])
def test_the_packed_network_answers_what_its_layers_do(widths: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    unet = UNet(40, widths, 20, 7, 6).eval().requires_grad_(False)
    unet.flow.weight.normal_()
    unet.head.weight.normal_()
    cells, code = torch.randn(2, 40, 16, 16), torch.randn(2, 20)
    cells[1, 10:20] = cells[0, 10:20]
    order = torch.tensor([*range(10), *range(20, 40), *range(10, 20)])
    with torch.inference_mode():
        fast = FastUNet(unet, cells[:1, 10:20], order, torch.float32)
        for answer, expected in zip(
            fast(cells[:, order[:30]], code), unet(cells, code), strict=True
        ):
            scale = float(expected.abs().max())
            assert (answer - expected).abs().max() < 1e-5 * scale


def test_a_window_of_any_length_draws_the_same(portrait: Portrait) -> None:
    keyframes, maps, code = told_of(6, 6)
    draw = PortraitCPU(portrait)
    whole = draw(keyframes, maps, code)
    alone = torch.cat(
        [draw(keyframes[i : i + 1], maps[i : i + 1], code[i : i + 1]) for i in range(6)]
    )
    assert torch.allclose(whole, alone, atol=1 / 255)


def test_threads_draw_side_by_side(portrait: Portrait) -> None:
    keyframes, maps, code = told_of(8, 9)
    draw = PortraitCPU(portrait)
    expected = [
        draw(keyframes[i : i + 2], maps[i : i + 2], code[i : i + 2]) for i in range(0, 8, 2)
    ]
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(draw, keyframes.split(2), maps.split(2), code.split(2))
        assert all(torch.equal(*pair) for pair in zip(parts, expected, strict=True))


def test_large_portraits_are_drawn_one_by_one(
    portrait: Portrait, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyframes, maps, code = told_of(3, 7)
    draw = PortraitCPU(portrait)
    whole = draw(keyframes, maps, code)
    monkeypatch.setattr(portrait_cpu, "_LARGE", 32)
    single = PortraitCPU(portrait)
    assert (single.at_once, draw.at_once) == (1, 4)
    assert torch.allclose(whole, single(keyframes, maps, code), atol=1 / 255)
    assert len(single._room.told) == 1


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


def test_an_offset_that_is_no_number_reads_inside_the_picture() -> None:
    """A network that diverged, or was made to, must not read foreign memory."""
    picture = np.random.default_rng(0).integers(0, 255, (8, 8, 4)).astype(np.uint8)
    way, at = np.zeros((2, 8), np.float32), np.zeros(8, np.int32)
    weights, planes = np.zeros((3, 8), np.float32), np.zeros((4, 8), np.float32)
    for x, y in ((np.nan, 2.0), (2.0, np.nan), (np.inf, -np.inf), (1e30, -1e30)):
        way[0], way[1] = x, y
        portrait_loops.warped(picture, 3, way, at, weights, planes)
        assert at.min() >= 0
        assert at.max() <= 4 * (6 * 8 + 6)
    way[:] = 0
    portrait_loops.warped(picture, 3, way, at, weights, planes)
    assert np.array_equal(planes.T, picture[3])


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
