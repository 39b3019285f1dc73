"""SimSwap's generators: three published shapes, two spaces, and what the code does."""

from __future__ import annotations

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from likeness.errors import BundleError, ConfigError, ContractError, LikenessError
from likeness.nets.checkpoints import shapes_of
from likeness.nets.layers import imagenet_from_rgb, rgb_from_imagenet
from likeness.synthesize import simswap
from likeness.synthesize.simswap import Injection, SimSwap, SimSwapConfig
from tests.nets import official

SMALL = SimSwapConfig(widths=(4, 8, 12, 16), blocks=2, code=6)
OFFICIAL = official.simswap((4, 8, 12, 16), first=1, blocks=2, code=6)


@pytest.fixture(scope="module")
def network() -> SimSwap:
    built = SimSwap(SMALL)
    built.load_state_dict(simswap.rename(official.state(OFFICIAL)), strict=True)
    return built.eval()


def given_pair(count: int = 2, side: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    rgb = torch.rand(count, 3, side, side, generator=generator)
    return rgb, functional.normalize(torch.randn(count, 6, generator=generator))


@pytest.mark.parametrize(
    ("widths", "first", "space"),
    [
        ((4, 8, 12, 16), 1, "unit"),
        ((2, 4, 8, 12, 16), 0, "unit"),
        ((4, 8, 12, 16, 16), 1, "imagenet"),
    ],
    ids=["224", "512-beta", "later-code"],
)
def test_each_published_shape_is_recognized_and_filled(
    widths: tuple[int, ...], first: int, space: str
) -> None:
    shapes = official.simswap(widths, first, blocks=3, code=5)
    config = simswap.infer(shapes)
    assert config == SimSwapConfig(widths, 3, 5, space)  # type: ignore[arg-type]
    renamed = simswap.rename(official.state(shapes))
    assert shapes_of(renamed) == shapes_of(SimSwap(config).state_dict())


@pytest.mark.parametrize(
    ("config", "parameters", "keys"),
    [
        (SimSwapConfig(), 55_051_779, 123),
        (SimSwapConfig(widths=(32, 64, 128, 256, 512)), 55_079_427, 137),
        (SimSwapConfig(widths=(64, 128, 256, 512, 512), space="imagenet"), 59_773_443, 137),
    ],
)
def test_published_networks_have_their_published_size(
    config: SimSwapConfig, parameters: int, keys: int
) -> None:
    with torch.device("meta"):
        built = SimSwap(config)
    assert sum(p.numel() for p in built.parameters()) == parameters
    assert len(built.state_dict()) == keys


def test_a_swap_has_the_target_s_size_and_stays_in_range(network: SimSwap) -> None:
    rgb, code = given_pair()
    with torch.no_grad():
        answer = network(rgb, code)
        again = network(rgb, code)
        alone = torch.cat([network(rgb[i : i + 1], code[i : i + 1]) for i in range(2)])
    assert answer.shape == rgb.shape
    assert 0 <= float(answer.min()) < float(answer.max()) <= 1
    assert torch.equal(answer, again)
    torch.testing.assert_close(answer, alone, atol=1e-6, rtol=0)


def test_another_source_gives_another_face(network: SimSwap) -> None:
    rgb, code = given_pair()
    with torch.no_grad():
        change = (network(rgb, code) - network(rgb, code.flip(0))).abs().mean()
        longer = (network(rgb, code) - network(rgb, 3 * code)).abs().mean()
    assert float(change) > 1e-2
    assert float(longer) > 1e-2  # Codes of another length are another input: they must have 1.


def test_a_code_sets_mean_and_deviation_of_every_channel() -> None:
    generator = torch.Generator().manual_seed(0)
    layer = Injection(5, 3).double()
    x = torch.randn(2, 5, 9, 9, generator=generator, dtype=torch.float64)
    code = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    answer = layer(x, code)
    scale, shift = layer.style(code).chunk(2, 1)
    torch.testing.assert_close(answer.mean((2, 3)), shift)
    deviation = answer.flatten(2).std(2, correction=0)
    torch.testing.assert_close(deviation, (1 + scale).abs(), rtol=1e-6, atol=1e-6)
    # The slow twin: torch's own instance norm of a convolution with a mirrored border.
    mirrored = functional.pad(x, (1, 1, 1, 1), mode="reflect")
    plain = functional.conv2d(mirrored, layer.conv.weight, layer.conv.bias)
    twin = functional.instance_norm(plain, eps=1e-8) * (1 + scale)[..., None, None]
    torch.testing.assert_close(answer, twin + shift[..., None, None])


def test_the_spaces_differ_at_both_ends(network: SimSwap) -> None:
    rgb, code = given_pair()
    other = SimSwap(SimSwapConfig(SMALL.widths, SMALL.blocks, SMALL.code, "imagenet")).eval()
    other.load_state_dict(network.state_dict())
    seen: list[torch.Tensor] = []
    other.stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    last: list[torch.Tensor] = []
    for each in (network, other):
        each.head.register_forward_hook(lambda _, inputs, output: last.append(output))
    with torch.no_grad():
        unit, linear = network(rgb, code), other(rgb, code)
    torch.testing.assert_close(seen[0], imagenet_from_rgb(rgb))
    torch.testing.assert_close(unit, (torch.tanh(last[0]) + 1) / 2)
    torch.testing.assert_close(linear, rgb_from_imagenet(last[1]))


def test_gradients_reach_every_parameter() -> None:
    torch.manual_seed(0)
    trained = SimSwap(SMALL)
    rgb, code = given_pair()
    (trained(rgb, code) - rgb).abs().mean().backward()
    # Biases before a norm over the same values cannot change anything.
    idle = ("stem.conv.bias", "conv.bias")
    still = [
        key
        for key, p in trained.named_parameters()
        if (p.grad is None or not p.grad.any()) and not key.endswith(idle)
    ]
    assert not still


def test_a_small_one_learns_a_picture() -> None:
    torch.manual_seed(0)
    trained = SimSwap(SimSwapConfig(widths=(6, 12), blocks=1, code=6))
    rgb, code = given_pair(side=16)
    rgb = functional.interpolate(rgb[..., ::8, ::8], size=(16, 16), mode="bilinear")
    optimizer = torch.optim.Adam(trained.parameters(), 4e-3, betas=(0.0, 0.99))
    losses = []
    for _ in range(40):
        loss = (trained(rgb, code) - rgb).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_what_does_not_fit_is_refused(network: SimSwap) -> None:
    rgb, code = given_pair()
    with pytest.raises(ContractError, match=r"crops are \(30, 32\), expected multiples of 8"):
        network(rgb[:, :, :30], code)
    with pytest.raises(ContractError, match=r"codes are \(1, 6\), expected \(2, 6\)"):
        network(rgb, code[:1])
    with pytest.raises(ConfigError, match="space is 'rgb'"):
        SimSwapConfig(space="rgb")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="two or more widths"):
        SimSwapConfig(widths=(8,))


def test_tensors_that_no_generator_has_are_left_out_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    state = official.state(OFFICIAL) | {"spNorm.mean": torch.zeros(3)}
    with caplog.at_level(logging.WARNING):
        renamed = simswap.rename(state)
    assert len(renamed) == len(OFFICIAL)
    assert "left out spNorm.mean" in caplog.text


@settings(max_examples=60)
@given(st.data())
def test_damaged_files_never_break_the_reader(data: st.DataObject) -> None:
    shapes = dict(OFFICIAL)
    for key in data.draw(st.lists(st.sampled_from(sorted(shapes)), max_size=6, unique=True)):
        change = data.draw(st.sampled_from(["drop", "flatten", "empty", "rename"]))
        shape = shapes.pop(key)
        if change == "flatten":
            shapes[key] = (sum(shape),)
        elif change == "empty":
            shapes[key] = (0,) * len(shape)
        elif change == "rename":
            shapes[key.replace("down", "up7").replace("0", "5")] = shape
    try:
        config = simswap.infer(shapes)
        renamed = simswap.rename({key: torch.empty(shape) for key, shape in shapes.items()})
    except LikenessError:
        return
    if shapes_of(renamed) == shapes_of(SimSwap(config).state_dict()):
        assert shapes_of(renamed) == shapes_of(SimSwap(SMALL).state_dict())


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        official.simswap((4, 8, 12), 2, 1, 5),
        {key: shape for key, shape in OFFICIAL.items() if not key.startswith("BottleNeck")},
        official.bisenet((4, 8, 12, 16), 6, 8, 5, 3),
    ],
    ids=["nothing", "from step 2", "no blocks", "another network"],
)
def test_another_network_s_file_is_refused(shapes: official.Shapes) -> None:
    with pytest.raises(BundleError):
        simswap.rename(official.state(shapes))
