"""The judges of one-to-one networks: fields of view, shapes, that they learn to tell apart."""

from __future__ import annotations

import pytest
import torch

from likeness.errors import ConfigError
from likeness.synthesize.unet_discriminator import (
    CodeDiscriminator,
    UNetPatchConfig,
    UNetPatchDiscriminator,
    field,
    strides_for,
)
from likeness.training.losses import discriminator_log


@pytest.mark.parametrize(
    ("patch", "strides"),
    [
        (8, (2, 2)),
        (16, (2, 2, 2)),
        (20, (2, 1, 2, 2)),
        (24, (2, 2, 1, 2)),
        (28, (2, 1, 2, 1, 2)),
        (32, (2, 2, 2, 2)),
        (40, (2, 2, 1, 2, 2)),
        (48, (2, 2, 2, 1, 2)),
        (64, (2, 2, 2, 2, 2)),
    ],
)
def test_strides_are_deepfacelabs(patch: int, strides: tuple[int, ...]) -> None:
    assert strides_for(patch) == strides


def test_the_field_is_what_a_patch_sees() -> None:
    torch.manual_seed(0)
    network = UNetPatchDiscriminator(UNetPatchConfig(16, 2))
    picture = torch.rand(1, 3, 64, 64, requires_grad=True)
    patches, pixels = network(picture)
    assert patches.shape == (1, 1, 8, 8)
    assert pixels.shape == (1, 1, 64, 64)
    patches[0, 0, 4, 4].backward()
    assert picture.grad is not None
    rows = picture.grad[0].abs().sum((0, 2)).nonzero()
    assert int(rows.max() - rows.min()) + 1 == field((2, 2, 2)) == 15


def test_both_learn_to_tell_apart() -> None:
    torch.manual_seed(0)
    patches = UNetPatchDiscriminator(UNetPatchConfig(8, 4))
    codes = CodeDiscriminator(4, 8, 8)
    real, fake = torch.rand(4, 3, 16, 16), torch.rand(4, 3, 16, 16) * 0.3
    ours, theirs = torch.randn(4, 4, 8, 8) + 1, torch.randn(4, 4, 8, 8)

    def error() -> torch.Tensor:
        pairs = zip(patches(real), patches(fake), strict=True)
        told = torch.stack([discriminator_log(a, b) for a, b in pairs]).sum()
        return told + discriminator_log(codes(ours), codes(theirs))

    optimizer = torch.optim.Adam([*patches.parameters(), *codes.parameters()], 3e-3)
    begun = float(error())
    for _ in range(40):
        optimizer.zero_grad()
        error().backward()
        optimizer.step()
    assert float(error()) < 0.3 * begun


def test_settings_are_checked() -> None:
    with pytest.raises(ConfigError, match="expected 3 and 1 or more"):
        UNetPatchConfig(patch=2)
