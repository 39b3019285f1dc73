"""Steadiness measures on pictures that move in known ways."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from likeness.metrics.temporal import BackgroundSteadiness, WarpedDifference, flow, visible, warp


def texture(size=(96, 128), seed=0):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(1, 3, size[0] // 4, size[1] // 4, generator=generator)
    return functional.interpolate(noise, size=size, mode="bicubic")[0].clamp(0, 1)


def panning(count=8, step=2):
    wide = texture((96, 128 + step * count))
    return torch.stack([wide[:, :, step * t : step * t + 128] for t in range(count)])


def test_flow_finds_a_shift():
    frames = panning()
    inner = flow(frames[1], frames[0])[16:-16, 16:-16]
    # What is at x now was two pixels further right before.
    assert np.median(inner[..., 0]) == pytest.approx(2, abs=0.15)
    assert np.median(np.abs(inner[..., 1])) < 0.1


def test_warp_fetches_along_the_flow():
    frames = panning()
    shift = np.zeros((96, 128, 2), np.float32)
    shift[..., 0] = 2
    warped = warp(frames[:1], shift)[0]
    assert torch.allclose(warped[:, :, :-2], frames[1][:, :, :-2], atol=1e-5)


def test_hidden_pixels_are_not_compared():
    back = np.zeros((20, 20, 2), np.float32)
    forth = back.copy()
    assert visible(back, forth).all()
    forth[:, :10, 0] = 3
    assert visible(back, forth).mean() == 0.5
    back[..., 0] = 8
    assert visible(back, -back)[:, -8:].sum() == 0


def value(result, real, length=3):
    measure = WarpedDifference()
    for start in range(0, len(real), length):
        measure.add(result[start : start + length], real[start : start + length])
    return measure.value()


def test_the_real_clip_itself_has_no_error():
    frames = panning()
    assert value(frames, frames) == 0
    assert WarpedDifference().value() is None
    assert value(frames[:1], frames[:1]) is None


def test_flicker_is_measured_by_its_size():
    frames = panning() * 0.8 + 0.1
    sign = torch.tensor([1, -1] * 4).view(8, 1, 1, 1)
    # Alternating by +-0.02 is a step of 0.04 between frames.
    assert value(frames + 0.02 * sign, frames) == pytest.approx(0.04, abs=0.006)
    assert value(frames + 0.02, frames) == pytest.approx(0, abs=1e-4)


def test_texture_that_sticks_to_the_screen_is_an_error():
    frames = panning()
    assert value(frames[:1].expand_as(frames), frames) > 0.05


def test_large_frames_are_compared_at_half_size():
    frames = functional.interpolate(panning(4), size=(480, 640), mode="bilinear")
    checks = torch.ones(480, 640)
    checks[::2, 1::2] = checks[1::2, ::2] = -1
    sign = torch.tensor([1, -1, 1, -1]).view(4, 1, 1, 1)
    assert value(frames + 0.1 * checks * sign, frames) == pytest.approx(0, abs=1e-3)
    assert value(frames + 0.02 * sign, frames) > 0.03


def test_windows_make_no_difference():
    frames = panning()
    noisy = frames + 0.05 * torch.randn(frames.shape, generator=torch.Generator().manual_seed(0))
    assert value(noisy, frames, 1) == pytest.approx(value(noisy, frames, 8), abs=1e-9)
    measure = WarpedDifference()
    measure.add(noisy, frames)
    assert measure.series().shape == (7,)
    assert (measure.series() > 0.02).all()


def test_background_that_swims_is_seen():
    generator = torch.Generator().manual_seed(0)
    plate = texture()
    real = plate + 0.005 * torch.randn(20, 3, 96, 128, generator=generator)
    head = np.zeros((20, 96, 128), bool)
    head[:, 30:, 40:90] = True
    real[:, :, 30:, 40:90] = torch.rand(20, 3, 66, 50, generator=generator)
    swim = real + 0.03 * torch.sin(torch.arange(20.0)).view(20, 1, 1, 1)

    def measure(result):
        background = BackgroundSteadiness()
        for start in range(0, 20, 6):
            part = slice(start, start + 6)
            background.add(result[part], real[part], head[part])
        return background.value()

    same = measure(real)
    assert same.ratio == 1
    assert same.real == pytest.approx(0.005, rel=0.05)
    assert same.share == pytest.approx(1 - 66 * 50 / (96 * 128))
    assert measure(swim).result == pytest.approx(0.03 / np.sqrt(2), rel=0.1)
    assert measure(plate.expand(20, -1, -1, -1)).ratio == pytest.approx(0, abs=1e-6)


def test_no_background_no_answer():
    background = BackgroundSteadiness()
    assert background.value() is None
    frames = panning(3)
    background.add(frames, frames, np.ones((3, 96, 128), bool))
    assert background.value() is None
