"""Copies for inference: the same answer, exactly in float32 and nearly in bfloat16."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from likeness.nets import identity_faceshifter, identity_iresnet, identity_simswap, regions
from likeness.nets.identity_faceshifter import FaceShifterIdentity
from likeness.nets.identity_iresnet import IResNet
from likeness.nets.identity_simswap import SimSwapIdentity
from likeness.nets.packing import Narrow
from likeness.nets.regions import RegionNet
from likeness.synthesize import faceshifter, simswap
from likeness.synthesize.faceshifter import AEINet
from likeness.synthesize.simswap import SimSwap
from tests.nets import official

DEPTHS, WIDTHS = (1, 2), (16, 32)

# Module, class, official layout, side of the pictures, numbers of the code, norms that stay.
CASES: dict[str, tuple[ModuleType, Any, official.Shapes, int, int, int]] = {
    "iresnet": (identity_iresnet, IResNet, official.iresnet(DEPTHS, WIDTHS, 8, 2), 8, 0, 3 + 1),
    "simswap_identity": (
        identity_simswap,
        SimSwapIdentity,
        official.simswap_identity(DEPTHS, WIDTHS, 8, 2, 4),
        8,
        0,
        3 + 1,
    ),
    "faceshifter_identity": (
        identity_faceshifter,
        FaceShifterIdentity,
        official.resnet(DEPTHS, WIDTHS, True, 8),
        112,
        0,
        0,
    ),
    "regions": (regions, RegionNet, official.bisenet((4, 8, 12, 16), 6, 16, 5, 3), 64, 0, 0),
    "simswap": (simswap, SimSwap, official.simswap((4, 8, 12, 16), 1, 2, 6), 32, 6, 0),
    "faceshifter": (
        faceshifter,
        AEINet,
        official.faceshifter((4, 6, 8, 8), (10, 10, 8, 6, 4), 5),
        32,
        5,
        2 * 5 + 4,
    ),
}

EXACT = {"faceshifter": ("blocks.4.second.", "blocks.4.shortcut.")}
"""Modules of narrow copies that stay float32."""


def loaded(name: str) -> tuple[Any, list[torch.Tensor]]:
    module, network_class, shapes, side, code, _ = CASES[name]
    network = network_class(module.infer(shapes))
    network.load_state_dict(module.rename(official.state(shapes)))
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.rand(2, 3, side, side, generator=generator)]
    if code:
        inputs.append(functional.normalize(torch.randn(2, code, generator=generator)))
    return network.eval(), inputs


@pytest.mark.parametrize("name", CASES)
def test_merged_norms_change_nothing_but_the_last_digits(name: str) -> None:
    network, inputs = loaded(name)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    merged = network.folded()
    with torch.no_grad():
        torch.testing.assert_close(merged(*inputs), network(*inputs), atol=2e-5, rtol=1e-4)
    norms = [m for m in merged.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == CASES[name][-1]
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("name", CASES)
def test_bfloat16_convolutions_answer_nearly_the_same_in_float32(name: str) -> None:
    network, inputs = loaded(name)
    narrow = network.folded(torch.bfloat16)
    assert any(isinstance(m, Narrow) for m in narrow.modules())
    layers = (nn.Conv2d, nn.ConvTranspose2d)
    found = [(path, layer) for path, layer in narrow.named_modules() if isinstance(layer, layers)]
    wide = [path for path, layer in found if layer.weight.dtype is torch.float32]
    assert all(path.startswith(EXACT.get(name, ("nowhere",))) for path in wide)
    assert bool(wide) == (name in EXACT)
    with torch.no_grad():
        exact, answer = network(*inputs), narrow(*inputs)
    assert answer.dtype == torch.float32
    error = (answer - exact).square().mean().sqrt()
    assert 0 < float(error) < 0.05 * float(exact.std())
