"""The space-time network: its size, its convention, what it depends on."""

import pytest
import torch

from likeness.errors import ConfigError, ContractError
from likeness.synthesize.spacetime import Spacetime, SpacetimeConfig, lead_in, stack_window


def tiny(**settings: int | bool | float) -> SpacetimeConfig:
    """A network small enough for tests."""
    return SpacetimeConfig(**{"size": 32, "window": 2, "channels": 3, "width": 4, **settings})


def parameters(config: SpacetimeConfig) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in Spacetime(config).parameters())


@pytest.mark.parametrize(
    ("window", "channels", "refine", "millions"),
    [(11, 9, True, 140.95), (11, 9, False, 54.51), (7, 3, True, 140.87), (7, 3, False, 54.43)],
)
def test_parameter_count_is_that_of_the_published_layout(window, channels, refine, millions):
    config = SpacetimeConfig(window=window, channels=channels, refine=refine)
    assert parameters(config) / 1e6 == pytest.approx(millions, abs=0.005)


def test_512_has_one_more_level():
    small, large = SpacetimeConfig(), SpacetimeConfig(size=512)
    assert (small.depth, large.depth) == (8, 9)
    assert large.widths == (64, 128, 256, 512, 512, 512, 512, 512, 512)
    # One more level: down and up 4x4 convolutions, refinement at 1024, and the norms.
    extra = 512 * 512 * 16 + 1024 * 512 * 16 + 2 * (1024 * 1024 * 9 + 3 * 1024) + 4 * 512
    assert parameters(large) - parameters(small) == extra


def test_dropout_stands_on_the_three_deepest_levels():
    network = Spacetime(tiny())
    counts = [sum(isinstance(m, torch.nn.Dropout) for m in up.modules()) for up in network.ups]
    assert counts == [3, 3, 3, 0, 0]


def test_answer_is_a_picture_of_the_wanted_size():
    network = Spacetime(tiny()).eval()
    with torch.no_grad():
        picture = network(torch.rand(3, 6, 32, 32))
    assert picture.shape == (3, 3, 32, 32)
    assert picture.dtype == torch.float32
    assert 0 <= picture.min() < picture.max() <= 1


def test_maps_are_taken_from_zero_one_to_minus_one_one():
    network = Spacetime(tiny()).eval()
    with torch.no_grad():
        gray = network(torch.full((1, 6, 32, 32), 0.5))
    # Gray is zero inside, and there are no biases besides those that start at zero.
    assert torch.allclose(gray, torch.full_like(gray, 0.5), atol=1e-6)


def test_every_frame_of_the_window_reaches_the_answer():
    torch.manual_seed(0)
    network = Spacetime(tiny()).train()
    maps = torch.rand(2, 6, 32, 32, requires_grad=True)
    network(maps).square().sum().backward()
    assert maps.grad is not None
    assert (maps.grad.abs().amax(dim=(0, 2, 3)) > 0).all()
    assert all(
        p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters() if p.ndim > 1
    )


def test_initial_weights_have_std_two_hundredths():
    torch.manual_seed(0)
    weight = Spacetime(tiny(width=32)).downs[2][1].weight.detach()
    assert float(weight.std()) == pytest.approx(0.02, rel=0.02)


def test_folded_network_gives_the_same_picture():
    torch.manual_seed(0)
    network = Spacetime(tiny())
    for _ in range(3):
        network(torch.rand(4, 6, 32, 32))
    network.eval()
    folded = network.folded()
    maps = torch.rand(2, 6, 32, 32)
    with torch.no_grad():
        assert torch.allclose(network(maps), folded(maps), atol=1e-5)
        rounded = network.folded(torch.bfloat16)(maps)
    assert rounded.dtype == torch.float32
    assert float((rounded - folded(maps)).abs().max()) < 0.02
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())


def test_bfloat16_stays_close_to_float32():
    torch.manual_seed(0)
    network = Spacetime(tiny(width=8)).eval()
    maps = torch.rand(2, 6, 32, 32)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded = network(maps)
    with torch.no_grad():
        exact = network(maps)
    assert rounded.dtype == torch.float32
    assert float((rounded - exact).abs().max()) < 0.01


def test_it_learns_a_picture_by_heart():
    torch.manual_seed(0)
    network = Spacetime(tiny(width=8, dropout=0.0))
    maps, wanted = torch.rand(2, 6, 32, 32), torch.rand(2, 3, 1, 1).expand(2, 3, 32, 32)
    optimizer = torch.optim.Adam(network.parameters(), 2e-3, betas=(0.5, 0.999))
    errors = []
    for _ in range(60):
        error = (network(maps) - wanted).abs().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.25 * errors[0]


def test_wrong_shapes_and_settings_are_refused():
    network = Spacetime(tiny())
    with pytest.raises(ContractError, match=r"expected \(N, 6, 32, 32\)"):
        network(torch.rand(1, 5, 32, 32))
    with pytest.raises(ConfigError, match="multiple of"):
        SpacetimeConfig(size=100)
    assert SpacetimeConfig(size=96, levels=5).depth == 5


def test_stack_window_is_oldest_first():
    maps = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 2, 1, 1)
    stacked = stack_window(maps, 3)
    assert stacked[:, :, 0, 0].tolist() == [
        [0, 0, 1, 1, 2, 2],
        [1, 1, 2, 2, 3, 3],
        [2, 2, 3, 3, 4, 4],
    ]
    begun = stack_window(lead_in(maps, 3), 3)
    assert begun.shape[0] == 5
    assert begun[0, :, 0, 0].tolist() == [0] * 6
    with pytest.raises(ContractError, match="window of 6"):
        stack_window(maps, 6)
