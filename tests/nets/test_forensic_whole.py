"""The network for whole faces: where its layers come from, sizes, zones, and that it can learn."""

import pytest
import torch
from torch.nn import functional

from likeness.errors import BundleError, ConfigError
from likeness.nets.forensic_whole import (
    ForensicWholeConfig,
    ForensicWholeNet,
    whole_features_count,
)
from likeness.nets.identity_dlib import DlibIdentity, DlibIdentityConfig
from likeness.networks import build
from likeness.types import Weights

SMALL = ForensicWholeConfig(depths=(1, 1), widths=(4, 6))


def ovals(count: int, side: int = 112) -> torch.Tensor:
    mask = torch.zeros(count, 1, side, side)
    mask[..., side // 4 : 3 * side // 4, side // 3 : 2 * side // 3] = 1
    return mask


def test_every_face_gets_a_number_of_its_own() -> None:
    torch.manual_seed(0)
    network = ForensicWholeNet(SMALL).eval()
    x = torch.rand(3, 3, 112, 112)
    with torch.inference_mode():
        evidence = network(x, ovals(3))
        assert evidence.shape == (3,)
        assert network.features(x, ovals(3)).shape == (3, whole_features_count(SMALL))
        assert torch.allclose(evidence[1:2], network(x[1:2], ovals(1)), atol=1e-5)


def test_its_first_layers_are_the_recognizers() -> None:
    network = ForensicWholeNet(ForensicWholeConfig())
    known = {
        name: value.shape for name, value in DlibIdentity(DlibIdentityConfig()).state_dict().items()
    }
    own = {name: value.shape for name, value in network.state_dict().items()}
    shared = {name for name in own if name.startswith(("stem", "stages"))}
    assert {name: own[name] for name in shared} == {name: known[name] for name in shared}
    assert set(own) - shared == {"middle", "spread", "whole.weight", "whole.bias"}
    assert sum(value.numel() for value in network.parameters()) < 1.3e6


def test_zones_tell_what_is_inside_from_what_is_around() -> None:
    torch.manual_seed(1)
    network = ForensicWholeNet(SMALL).eval()
    plain = torch.full((1, 3, 112, 112), 0.4)
    lit = plain + 0.3 * ovals(1)
    with torch.inference_mode():
        apart = (network.features(lit, ovals(1)) - network.features(plain, ovals(1)))[0].abs()
    inside, around = apart[:8], apart[16:20]
    assert inside.max() > 5 * around.max()


def test_it_is_made_of_what_a_bundle_names() -> None:
    network = ForensicWholeNet(SMALL)
    config = {"depths": [1, 1], "widths": [4, 6]}
    again = build(Weights("forensic_whole", config, network.state_dict()), "forensic_whole")
    assert isinstance(again, ForensicWholeNet)
    assert again.config == SMALL
    wider = {**config, "widths": [4, 8]}
    with pytest.raises(BundleError):
        build(Weights("forensic_whole", wider, network.state_dict()), "forensic_whole")


@pytest.mark.parametrize("config", [{"widths": (4, 6)}, {"depths": (1, 0, 1)}, {"depths": ()}])
def test_impossible_shapes_are_refused(config: dict) -> None:
    with pytest.raises(ConfigError):
        ForensicWholeConfig(**config)


def test_it_learns_which_faces_have_another_light_than_what_is_around_them() -> None:
    torch.manual_seed(0)
    network = ForensicWholeNet(SMALL).train()
    solver = torch.optim.Adam(network.parameters(), 5e-3)

    def pairs(count: int) -> torch.Tensor:
        level = torch.rand(count, 3, 1, 1) * 0.4 + 0.2
        plain = (level + 0.03 * torch.randn(count, 3, 48, 48)).clamp(0, 1)
        return torch.cat([plain, (plain + 0.25 * ovals(count, 48)).clamp(0, 1)])

    for _ in range(40):
        untouched, changed = network(pairs(6), ovals(12, 48)).reshape(2, -1)
        loss = functional.softplus(untouched).mean() + functional.softplus(-changed).mean()
        solver.zero_grad()
        loss.backward()
        solver.step()
    with torch.inference_mode():
        untouched, changed = network(pairs(20), ovals(40, 48)).reshape(2, -1)
    assert float((changed[:, None] > untouched[None]).float().mean()) > 0.95
