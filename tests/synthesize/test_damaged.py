"""Damaged official state dicts: refused with a message, or seen by the strict load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from likeness.errors import BundleError
from likeness.nets import inversion
from likeness.nets.checkpoints import Shapes, State, shapes_of
from likeness.nets.inversion import Inversion, InversionConfig
from likeness.networks import NETWORKS
from likeness.synthesize import autoencoder_published, stylegan_published
from tests.nets.test_inversion import official_state as e4e_state
from tests.synthesize.test_autoencoder import official_state as saehd_state
from tests.synthesize.test_autoencoder import small
from tests.synthesize.test_stylegan import SMALL, ada_state, rosinality_state

ENCODER = InversionConfig(size=32, layers=8, code=22, widths=(16, 18, 20, 22), depths=(1, 1, 1, 1))
DAMAGE: dict[str, Callable[[torch.Tensor], torch.Tensor | None]] = {
    "gone": lambda tensor: None,
    "a number": lambda tensor: torch.zeros(()),
    "empty": lambda tensor: tensor.new_zeros((0, *tensor.shape[1:])),
    "one longer": lambda tensor: tensor.new_zeros([side + 1 for side in tensor.shape]),
    "one flatter": lambda tensor: tensor.flatten(),
}


OPTIONAL = ("noise.weight", "noise_strength", "latent_avg", "filter", "num_batches_tracked")
"""One number whatever its shape, or not needed."""


def bare(tensor: torch.Tensor) -> list[int]:
    """Shape without sides of one: all that may differ between layouts."""
    return [side for side in tensor.shape if side != 1]


def infer_saehd(shapes: Shapes) -> Any:
    """With the options that a folder's data file tells."""
    layout = "liae" if "inter_AB/dense1/weight:0" in shapes else "df"
    return autoencoder_published.infer(shapes, f"{layout}-udt")


def official(name: str) -> tuple[str, State, Callable[[Shapes], Any], Callable[[State], State]]:
    """Return a network's key, a whole state dict, and how it is read."""
    if name == "e4e":
        return "inversion", e4e_state(Inversion(ENCODER)), inversion.infer, inversion.rename
    if name in ("df", "liae"):
        state = saehd_state(small(f"{name}-udt"))
        return "autoencoder", state, infer_saehd, autoencoder_published.rename
    ada = ada_state(SMALL)
    state = ada if name == "ada" else rosinality_state(ada, SMALL)
    return "stylegan", state, stylegan_published.infer, stylegan_published.rename


@pytest.mark.parametrize("name", ["ada", "rosinality", "e4e", "df", "liae"])
def test_damage_never_ends_in_another_error(name: str) -> None:
    network, whole, infer, rename = official(name)
    refused = 0
    for number, key in enumerate(whole):
        if number % 7:
            continue
        for damage in DAMAGE.values():
            damaged = damage(whole[key])
            state = {**whole, key: damaged} if damaged is not None else dict(whole)
            if damaged is None:
                del state[key]
            try:
                config, found = infer(shapes_of(state)), shapes_of(rename(state))
            except BundleError:
                refused += 1
                continue
            with torch.device("meta"):
                expected = shapes_of(NETWORKS[network][0](config).state_dict())
            kept = damaged is not None and bare(damaged) == bare(whole[key])
            optional = key.endswith(OPTIONAL)
            assert found != expected or kept or optional, f"{key} was taken as {damaged}"
    assert refused > 0
