"""Residual features and face regions: official layouts, sizes, and what a picture gets."""

from __future__ import annotations

import pytest
import torch

from likeness.errors import BundleError, ContractError
from likeness.nets import regions, resnet
from likeness.nets.checkpoints import shapes_of
from likeness.nets.layers import imagenet_from_rgb
from likeness.nets.regions import REGIONS, RegionNet, RegionsConfig
from likeness.nets.resnet import ResNet, ResNetConfig
from tests.nets import official

SMALL = RegionsConfig(widths=(4, 8, 12, 16), context=6, fused=16, auxiliary=5, regions=3)
OFFICIAL = official.bisenet((4, 8, 12, 16), context=6, fused=16, auxiliary=5, kinds=3)


@pytest.fixture(scope="module")
def network() -> RegionNet:
    built = RegionNet(SMALL)
    built.load_state_dict(regions.rename(official.state(OFFICIAL)), strict=True)
    return built.eval()


def picture(height: int = 64, width: int = 96) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(2))


def test_widths_are_read_from_an_official_file_and_every_tensor_is_used() -> None:
    assert regions.infer(OFFICIAL) == SMALL
    renamed = regions.rename(official.state(OFFICIAL))
    assert shapes_of(renamed) == shapes_of(RegionNet(SMALL).state_dict())


def test_the_published_network_has_its_published_size() -> None:
    with torch.device("meta"):
        built = RegionNet(RegionsConfig())
    assert sum(p.numel() for p in built.parameters()) == 13_300_416
    assert len(built.state_dict()) == 191
    assert len(REGIONS) == built.config.regions == 19


def test_every_pixel_gets_logits_at_any_size(network: RegionNet) -> None:
    with torch.no_grad():
        answers = network.read(imagenet_from_rgb(picture()))
        assert [tuple(answer.shape) for answer in answers] == [(1, 3, 64, 96)] * 3
        torch.testing.assert_close(network(picture()), answers[0])
    assert float(answers[0].std()) > 0


def test_answers_follow_the_picture_when_it_is_shifted(network: RegionNet) -> None:
    # Far from the borders and but for the attention to the whole picture, a shift by the coarsest
    # stride shifts the answer: no layer knows where it is.
    wide = picture(512, 512)
    with torch.no_grad():
        a, b = network(wide), network(wide.roll(32, 3))
    middle = slice(224, 256)
    inner, moved = a[..., middle, middle], b[..., middle, 256:288]
    assert float((inner - moved).abs().mean()) < 0.1 * float(a.std())


def test_gradients_reach_every_parameter_through_the_three_answers() -> None:
    torch.manual_seed(0)
    trained = RegionNet(SMALL)
    answers = trained.read(torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    sum(answer.square().mean() for answer in answers).backward()
    still = [key for key, p in trained.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still


def test_pictures_of_odd_sizes_are_refused(network: RegionNet) -> None:
    with pytest.raises(ContractError, match="60x64, expected multiples of 32"):
        network(picture(60, 64))


def test_another_backbone_is_refused() -> None:
    below = official.resnet((1, 1, 1, 1), (4, 8, 12, 16), bottleneck=True)
    shapes = {f"cp.resnet.{key}": shape for key, shape in below.items()}
    with pytest.raises(BundleError, match="expected a ResNet-18"):
        regions.infer(shapes)


@pytest.mark.parametrize(
    ("config", "parameters"),
    [  # torchvision's own counts for resnet18, resnet34, resnet50, resnet101
        (ResNetConfig(outputs=1000), 11_689_512),
        (ResNetConfig((3, 4, 6, 3), outputs=1000), 21_797_672),
        (ResNetConfig((3, 4, 6, 3), bottleneck=True, outputs=1000), 25_557_032),
        (ResNetConfig((3, 4, 23, 3), bottleneck=True, outputs=1000), 44_549_160),
    ],
)
def test_residual_networks_have_their_known_sizes(config: ResNetConfig, parameters: int) -> None:
    with torch.device("meta"):
        built = ResNet(config)
    assert sum(p.numel() for p in built.parameters()) == parameters
    shapes = official.resnet(config.depths, config.widths, config.bottleneck, config.outputs)
    assert resnet.infer(shapes) == config
    assert len(shapes) == len(built.state_dict())


@pytest.mark.parametrize("bottleneck", [False, True])
def test_features_halve_from_a_quarter_down(bottleneck: bool) -> None:
    built = ResNet(ResNetConfig((1, 2, 1), (4, 6, 8), bottleneck))
    maps = list(built.features(torch.zeros(1, 3, 64, 32)))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (built.config.channels[stage], 16 >> stage, 8 >> stage) for stage in range(3)
    ]
    assert built(torch.zeros(2, 3, 64, 32)).shape == (2, built.config.channels[-1])
