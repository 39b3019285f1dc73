"""Packed and narrow convolutions: what the layers answer that they are made of."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from likeness.nets.packing import Narrow, Packed, Plain, can_pack, packed

LAYERS: dict[str, nn.Module] = {
    "plain": nn.Conv2d(6, 16, 3, padding=1),
    "stride": nn.Conv2d(6, 16, 4, stride=2, padding=1, bias=False),
    "one": nn.Conv2d(6, 70, 1),
    "reflect": nn.Conv2d(6, 3, 7, padding=3, padding_mode="reflect"),
    "groups": nn.Conv2d(6, 12, 3, padding=2, dilation=2, groups=3),
    "transposed": nn.ConvTranspose2d(6, 5, 3, stride=2, padding=1, output_padding=1),
}
ROUNDING = {torch.float32: 1e-5, torch.bfloat16: 2**-7}


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def filled(layer: nn.Module) -> nn.Module:
    layer = layer.requires_grad_(False)
    for seed, tensor in enumerate(layer.parameters()):
        tensor.copy_(drawn(*tensor.shape, seed=seed) / tensor[0].numel() ** 0.5)
    return layer


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", LAYERS)
def test_a_packed_layer_answers_what_the_layer_does(name: str, dtype: torch.dtype) -> None:
    layer = filled(deepcopy(LAYERS[name])).to(dtype)
    if not can_pack(layer):
        pytest.skip(f"this torch cannot pack {dtype} here")
    packed = Narrow(deepcopy(layer), dtype, torch.float32)
    # The second size was not packed for.
    for shape in ((2, 6, 16, 20), (1, 6, 11, 9)):
        x = drawn(*shape).to(dtype)
        expected, answer = layer(x).float(), packed(x)
        assert isinstance(packed.layer, Packed)
        assert answer.dtype == torch.float32
        bound = ROUNDING[dtype]
        torch.testing.assert_close(answer, expected, atol=bound, rtol=bound)


def test_layers_that_no_processor_packs_stay_as_they_are() -> None:
    assert not can_pack(nn.Linear(3, 3))
    assert not can_pack(nn.Conv2d(3, 3, 3, padding="same"))
    assert not can_pack(nn.Conv2d(3, 3, 3, device="meta"))
    long = Narrow(filled(nn.Linear(300, 8)), torch.bfloat16, torch.float32)
    x = drawn(2, 300)
    answer = long(x)
    assert answer.dtype == torch.float32
    exact = filled(nn.Linear(300, 8))(x)
    assert 0 < float((answer - exact).abs().max()) < 0.05


@pytest.mark.parametrize("name", ["plain", "stride", "transposed"])
def test_what_follows_a_packed_layer_is_done_with_it(name: str) -> None:
    layer, x = filled(deepcopy(LAYERS[name])), drawn(2, 6, 16, 20)
    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    x = x.contiguous(memory_format=torch.channels_last)
    fast, slow = packed(layer, x, silu=True), Plain(layer, silu=True)
    torch.testing.assert_close(fast(x), slow(x), atol=1e-5, rtol=1e-5)
    if name == "transposed":
        return
    fast, slow = packed(layer, x), Plain(layer)
    other = drawn(*slow(x).shape, seed=3).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(fast.plus(x, other), slow.plus(x, other), atol=1e-5, rtol=1e-5)
