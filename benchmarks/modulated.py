"""Measure StyleGAN2's modulated convolutions: the paper's definition against what runs.

Run: python benchmarks/modulated.py [--sizes 256 1024] [--runs 5]

The definition is one grouped convolution with a weight per sample. What runs shares the weight and
folds all factors into one scale. Both draw the same picture in float32; the largest difference is
printed beside the times.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from unittest import mock

import torch
from torch import Tensor

from likeness.nets.latents import W
from likeness.synthesize import stylegan_layers
from likeness.synthesize.stylegan import Stylegan, StyleganConfig, channels


def definition(
    x: Tensor,
    weight: Tensor,
    style: Tensor,
    bias: Tensor,
    *,
    convolve: stylegan_layers.Convolve = stylegan_layers.plain,
    demodulate: bool = True,
    gain: float = 1.0,
) -> Tensor:
    """Answer as `modulated`, by the grouped convolution."""
    answer = stylegan_layers.modulated_reference(
        x, weight, style, convolve=convolve, demodulate=demodulate
    )
    return gain * (answer + bias[:, None, None])


def best(run: Callable[[], Tensor], runs: int) -> tuple[float, Tensor]:
    """Return the shortest time in milliseconds and the answer, after one run to warm up."""
    answer = run()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1000 * min(times), answer


def main() -> None:
    """Print one line per size and batch."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, float32, milliseconds per batch, best of", end=" ")
    print(options.runs)
    print("size batch definition     fast  ratio  largest difference")
    for size in options.sizes:
        torch.manual_seed(0)
        network = Stylegan(StyleganConfig(channels(size))).eval()
        noise = network.synthesis.fixed_noise()
        for count in (1, 2):
            point = W(torch.randn(count, network.config.code))
            with torch.inference_mode():
                fast, picture = best(lambda p=point, n=noise, g=network: g.draw(p, n), options.runs)
                with mock.patch.object(stylegan_layers, "modulated", definition):
                    slow, expected = best(
                        lambda p=point, n=noise, g=network: g.draw(p, n), options.runs
                    )
            error = float((picture - expected).abs().max())
            print(f"{size:4} {count:5} {slow:10.0f} {fast:8.0f} {slow / fast:6.2f}  {error:.1e}")


if __name__ == "__main__":
    main()
