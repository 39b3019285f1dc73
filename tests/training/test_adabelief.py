"""AdaBelief against its equations written out, and learning-rate dropout."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from likeness.training.adabelief import AdaBelief


def run(steps: int, kept: float = 1.0, wave: int = 0, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(4, 5, dtype=torch.float64))
    optimizer = AdaBelief([weight], lr=0.01, seed=seed)
    optimizer.kept, optimizer.wave = kept, wave
    for step in range(steps):
        weight.grad = torch.sin(weight.detach() * (step + 1)) + 0.3
        optimizer.step()
    return weight.detach()


def test_steps_follow_the_equations() -> None:
    torch.manual_seed(0)
    w = torch.randn(4, 5, dtype=torch.float64).numpy()
    m, v = np.zeros_like(w), np.zeros_like(w)
    for step in range(7):
        g = np.sin(w * (step + 1)) + 0.3
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * (g - m) ** 2
        w = w - 0.01 * m / (np.sqrt(v) + 1e-6)
    np.testing.assert_allclose(run(7).numpy(), w, rtol=1e-12)


def test_corrected_means_do_not_begin_at_nothing() -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(4, 5, dtype=torch.float64))
    w = weight.detach().numpy().copy()
    m, v = np.zeros_like(w), np.zeros_like(w)
    optimizer = AdaBelief([weight], lr=0.01, corrected=True)
    for step in range(1, 6):
        weight.grad = torch.sin(weight.detach() * step) + 0.3
        optimizer.step()
        g = np.sin(w * step) + 0.3
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * (g - m) ** 2
        w = w - 0.01 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-6)
    np.testing.assert_allclose(weight.detach().numpy(), w, rtol=1e-12)


def test_the_wave_swings_the_rate() -> None:
    still = run(1)
    # At the first step of a wave the rate is whole; half a wave later nothing moves.
    torch.testing.assert_close(run(1, wave=4), still)
    two, three = run(2, wave=4), run(3, wave=4)
    torch.testing.assert_close(two, three)


def test_dropout_holds_weights_back_by_chance_that_repeats() -> None:
    before, whole, held = run(0), run(1), run(1, kept=0.3)
    moved = held != before
    assert 0 < int(moved.sum()) < moved.numel()
    torch.testing.assert_close(held[moved], whole[moved])
    torch.testing.assert_close(run(5, kept=0.3), run(5, kept=0.3), rtol=0, atol=0)
    assert not torch.equal(run(5, kept=0.3), run(5, kept=0.3, seed=1))


def test_its_state_goes_on_to_the_bit() -> None:
    def trained(breaks: tuple[int, ...]) -> torch.Tensor:
        torch.manual_seed(0)
        weight = nn.Parameter(torch.randn(8, 3, 3, 3).contiguous(memory_format=torch.channels_last))
        optimizer = AdaBelief([weight], lr=0.01)
        for step in range(6):
            if step in breaks:
                told = optimizer.state_dict()
                weight = nn.Parameter(weight.detach().clone())
                optimizer = AdaBelief([weight], lr=0.01)
                optimizer.load_state_dict(told)
            optimizer.kept = 0.5
            weight.grad = weight.detach() * 2 + 0.1
            optimizer.step()
        return weight.detach()

    assert torch.equal(trained(()), trained((2, 4)))


def test_weights_without_a_gradient_stay() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = AdaBelief([used, unused], lr=0.1)
    used.grad = torch.ones(2)
    optimizer.step()
    assert torch.equal(unused.detach(), torch.ones(2))
    assert float(used[0]) < 1
