"""Keyframes: what sampling them takes away is given before."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.condition.gallery import compensated, levels
from likeness.condition.lift import lifted
from likeness.condition.matte import Layers, layered


@pytest.mark.parametrize("pixels", [4, 8, 16])
def test_compensation_gives_waves_what_sampling_takes(pixels):
    w = 2 * np.pi / pixels
    along = np.arange(64, dtype=np.float32)
    wave = (0.5 + 0.2 * np.sin(w * along)).astype(np.float32)
    picture = torch.from_numpy(np.broadcast_to(wave, (2, 3, 48, 64)).copy())
    sharp = compensated(picture)[..., 8:-8].numpy() - 0.5
    gain = np.abs(np.fft.rfft(sharp[0, 0, 20])).max() / np.abs(np.fft.rfft(wave[8:-8])[1:]).max()
    assert gain == pytest.approx(1 + 0.48 * (1 - np.cos(w)), rel=1e-3)
    # Bilinear samples at random places have lost this much on average: hardly anything remains.
    assert gain * np.sqrt(1 - (1 - np.cos(w)) / 3) == pytest.approx(1, abs=0.22)


def test_compensation_leaves_flat_pictures_and_their_edges():
    flat = torch.full((1, 3, 20, 31), 0.3)
    assert torch.allclose(compensated(flat), flat, atol=1e-6)


@pytest.mark.parametrize("cut", [False, True])
def test_keyframes_are_made_ready_in_one_pass_as_step_by_step(cut: bool) -> None:
    random = np.random.default_rng(4)
    pictures = torch.from_numpy(random.integers(0, 256, (3, 3, 20, 31)).astype(np.uint8))
    mattes = torch.from_numpy(random.integers(0, 256, (3, 20, 31)).astype(np.uint8))
    plate = torch.from_numpy(random.random((3, 20, 31)).astype(np.float32))
    sharp = compensated(pictures.float() / 255)
    if cut:
        slow = layered(sharp, mattes / 255, plate)
    else:
        slow = torch.cat([sharp, torch.ones_like(sharp[:, :1])], 1)
    fast = lifted(pictures, Layers(mattes, plate) if cut else None)
    assert fast.is_contiguous(memory_format=torch.channels_last)
    apart = (fast.int() - levels(slow).int()).abs()
    # Sums in another order round a level that lies halfway to the other side.
    assert apart.max() <= 1
    assert (apart > 0).float().mean() < 1e-3
    assert not apart[:, 3].any()
