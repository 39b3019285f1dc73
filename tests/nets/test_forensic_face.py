"""The network for whole faces: sizes, what it is made of, and that it can learn a seam."""

import pytest
import torch
from torch.nn import functional

from likeness.errors import BundleError, ConfigError
from likeness.nets.forensic_face import (
    FACE_SIDE,
    ForensicFaceConfig,
    ForensicFaceNet,
    features_count,
)
from likeness.networks import build
from likeness.types import Weights

SMALL = ForensicFaceConfig(widths=(4, 6, 8, 10), dropout=0.0)


@pytest.mark.parametrize("side", [48, FACE_SIDE])
def test_it_answers_one_number_for_each_face(side: int) -> None:
    torch.manual_seed(0)
    network = ForensicFaceNet(SMALL).eval()
    x = torch.rand(3, 4, side, side)
    with torch.inference_mode():
        evidence, where = network(x)
        assert evidence.shape == (3,)
        assert where.shape == (3, 1, side // 8, side // 8)
        assert network.features(x)[0].shape == (3, features_count(SMALL))
        assert torch.allclose(evidence[1:2], network(x[1:2])[0], atol=1e-5)


def test_it_is_made_of_what_a_bundle_names() -> None:
    network = ForensicFaceNet(SMALL)
    config = {"widths": [4, 6, 8, 10], "dropout": 0.0}
    again = build(Weights("forensic_face", config, network.state_dict()), "forensic_face")
    assert isinstance(again, ForensicFaceNet)
    assert again.config == SMALL
    with pytest.raises(BundleError):
        build(Weights("forensic_face", {**config, "widths": [4, 6, 8, 12]}, network.state_dict()),
              "forensic_face")  # fmt: skip


@pytest.mark.parametrize("config", [{"widths": (4, 6, 8)}, {"widths": (0, 1, 1, 1)},
                                    {"dropout": 1.0}])  # fmt: skip
def test_impossible_shapes_are_refused(config: dict) -> None:
    with pytest.raises(ConfigError):
        ForensicFaceConfig(**config)


def test_it_learns_which_faces_have_another_light_than_what_is_around_them() -> None:
    torch.manual_seed(0)
    network = ForensicFaceNet(SMALL).train()
    solver = torch.optim.Adam(network.parameters(), 5e-3)
    mask = torch.zeros(1, 1, 48, 48)
    mask[..., 14:34, 16:32] = 1

    def pairs(count: int) -> torch.Tensor:
        level = torch.rand(count, 3, 1, 1) * 0.4 + 0.2
        plain = (level + 0.03 * torch.randn(count, 3, 48, 48)).clamp(0, 1)
        other = (plain + 0.25 * mask).clamp(0, 1)
        return torch.cat([torch.cat([plain, other]), mask.expand(2 * count, 1, 48, 48)], 1)

    for _ in range(30):
        untouched, changed = network(pairs(8))[0].reshape(2, -1)
        loss = functional.softplus(untouched).mean() + functional.softplus(-changed).mean()
        solver.zero_grad()
        loss.backward()
        solver.step()
    network.eval()
    with torch.inference_mode():
        untouched, changed = network(pairs(20))[0].reshape(2, -1)
    assert float((changed[:, None] > untouched[None]).float().mean()) > 0.95
