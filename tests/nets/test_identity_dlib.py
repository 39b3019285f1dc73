"""dlib's recognizer as a network: shapes, gradients, batches, and what its shortcuts do."""

from __future__ import annotations

import pytest
import torch

from likeness.errors import ConfigError, ContractError
from likeness.nets.identity_dlib import MEAN, Block, DlibIdentity, DlibIdentityConfig

SMALL = DlibIdentityConfig((1, 2), (4, 6), code=5, size=35)


def drawn(config: DlibIdentityConfig = SMALL) -> DlibIdentity:
    torch.manual_seed(0)
    return DlibIdentity(config).eval()


def chips(count: int = 3, size: int = 35) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def test_codes_depend_on_nothing_but_their_own_chip() -> None:
    network, pictures = drawn(), chips()
    with torch.no_grad():
        codes = network(pictures)
        alone = torch.cat([network(picture[None]) for picture in pictures])
    assert codes.shape == (3, 5)
    torch.testing.assert_close(codes, alone, atol=1e-6, rtol=0)
    assert (codes[0] - codes[1]).norm() > 1e-4


def test_gradients_reach_pictures_and_every_parameter() -> None:
    network = drawn().train()
    pictures = chips().requires_grad_()
    network(pictures).square().sum().backward()
    assert pictures.grad is not None
    assert float(pictures.grad.abs().max()) > 0
    still = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still


def test_colors_are_normalized_inside() -> None:
    network = drawn()
    seen: list[torch.Tensor] = []
    network.stem.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    mean = torch.tensor(MEAN).view(1, 3, 1, 1).expand(1, 3, 35, 35)
    with torch.no_grad():
        network(mean / 255)
        network((mean + 64) / 255)
    torch.testing.assert_close(seen[0], torch.zeros(1, 3, 35, 35), atol=1e-6, rtol=0)
    torch.testing.assert_close(seen[1], torch.full((1, 3, 35, 35), 0.25))


def test_shortcuts_average_and_missing_channels_and_pixels_count_as_zero() -> None:
    block = Block(2, 3, halve=True).eval()
    for parameter in block.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.rand(1, 2, 8, 8)
    with torch.no_grad():
        y = block(x)
        torch.nn.init.ones_(block.second.bias)
        shifted = block(x)
    # Eight pixels average to four and convolve to three.
    assert y.shape == (1, 3, 4, 4)
    torch.testing.assert_close(y[:, :2], torch.nn.functional.avg_pool2d(x, 2))
    assert not y[:, 2].any()
    torch.testing.assert_close(shifted[..., :3, :3], y[..., :3, :3] + 1)
    torch.testing.assert_close(shifted[..., 3, :], y[..., 3, :])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_copies_for_inference_answer_the_same(dtype: torch.dtype) -> None:
    network, pictures = drawn(), chips()
    with torch.no_grad():
        expected, found = network(pictures), network.folded(dtype)(pictures)
    assert found.dtype == torch.float32
    atol = 1e-6 if dtype is torch.float32 else 0.02 * float(expected.abs().max())
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)


def test_chips_of_another_size_are_refused() -> None:
    with pytest.raises(ContractError, match=r"crops are \(3, 36, 36\), expected \(3, 35, 35\)"):
        drawn()(chips(size=36))


@pytest.mark.parametrize(
    "settings",
    [
        {"depths": (1, 2)},
        {"depths": (0, 1, 1, 1, 1)},
        {"widths": (32, 16, 16, 16, 16)},
        {"code": 0},
        {"size": 10},
        {"size": 60},
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        DlibIdentityConfig(**settings)  # type: ignore[arg-type]


def test_the_smallest_chip_that_is_allowed_goes_through() -> None:
    sizes = range(11, 150)
    for stages in (1, 2, 3):
        for size in sizes:
            try:
                config = DlibIdentityConfig((1,) * stages, (2,) * stages, 3, size)
            except ConfigError:
                continue
            with torch.no_grad():
                assert drawn(config)(chips(1, size)).shape == (1, 3)
            break
